"""The policy: a vision-language-action model in plain torch, and everything between an image and a robot action.

Start reading at `policy.py` (what the rest of the code uses), then `model.py` (what a policy asks of a model). Each
model is a folder: `openvla/` holds `graph.py` (the forward pass), `decode.py` (how seven action tokens come out of it)
and `config.py` (every size). `models.py` lists the models there are.
"""
