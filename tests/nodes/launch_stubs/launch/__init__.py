"""Stands for ROS 2's `launch`, which is on no package registry: classes that keep what they are given.

Only what the launch files here use, with the argument names of launch 3.7 (Kilted); another name is a TypeError.
"""

from dataclasses import dataclass, field


@dataclass
class LaunchContext:
    launch_configurations: dict[str, str] = field(default_factory=dict)
    is_shutdown: bool = False


@dataclass
class LaunchDescription:
    entities: list
