"""rlvla's ROS 2 nodes: they carry messages between the rooms and decide nothing themselves.

One file a node; `graph.py` says which of them run, with which parameters, however they are started.
"""
