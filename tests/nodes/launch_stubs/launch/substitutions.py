"""Stands for launch.substitutions."""

from dataclasses import dataclass


@dataclass
class LaunchConfiguration:
    variable_name: str

    def perform(self, context) -> str:
        return context.launch_configurations[self.variable_name]
