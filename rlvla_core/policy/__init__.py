"""The policy: OpenVLA's graph in plain torch, and everything between an image and a robot action.

Start reading at `policy.py` (what the rest of the code uses), then `openvla.py` (the graph) and `decode.py`
(how seven action tokens come out of it). `config.py` holds every size.
"""
