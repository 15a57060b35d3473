"""Stands for launch_ros.actions."""

from dataclasses import dataclass, field


@dataclass(kw_only=True)
class Node:
    executable: str
    package: str | None = None
    parameters: list = field(default_factory=list)
    additional_env: dict[str, str] | None = None
    output: str = "log"
    respawn: bool = False
    respawn_delay: float | None = None
