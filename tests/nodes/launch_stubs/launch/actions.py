"""Stands for launch.actions."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass
class DeclareLaunchArgument:
    name: str
    default_value: str | None = None
    description: str | None = None
    choices: list[str] | None = None

    def execute(self, context) -> None:
        value = context.launch_configurations.setdefault(self.name, self.default_value)
        if self.choices is not None and value not in self.choices:
            raise RuntimeError(f'Argument "{self.name}" provided value "{value}" is not valid')


@dataclass
class OpaqueFunction:
    function: Callable[..., Any]

    def execute(self, context) -> list:
        return self.function(context)


@dataclass
class RegisterEventHandler:
    event_handler: Any
