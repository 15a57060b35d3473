"""Stands for launch.event_handlers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(kw_only=True)
class OnProcessExit:
    target_action: Any
    on_exit: Callable[..., Any]
