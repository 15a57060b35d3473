"""OpenVLA (Kim et al., arXiv 2406.09246): two vision towers, projector and Llama; checkpoint layout and presets."""
