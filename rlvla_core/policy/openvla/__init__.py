"""OpenVLA: the graph (two vision towers, projector, Llama), its checkpoint layout and its presets."""
