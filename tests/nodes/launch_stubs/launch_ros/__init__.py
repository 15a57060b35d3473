"""Stands for ROS 2's `launch_ros`; see the stub of `launch`."""
