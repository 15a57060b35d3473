"""rlvla's ROS 2 nodes: they carry messages between cameras, policy, arbiter and arm.

One file a node; `graph.py` says which of them run, with which parameters, however they are started.
"""

NODES = ("arbiter_node", "camera_node", "policy_node", "sim_robot_node", "teleop_node", "trial_node")
"""Every node: the name is that of its module here, of its executable in `executables/`, and of the node in ROS."""
