"""Between a policy's proposal and the arm: kinematics, safety filter, arbiter, watchdogs. No ROS, no simulator."""

from rlvla_core.control.arbiter import Arbiter, ArbiterConfig, Event, Mode
from rlvla_core.control.arm import ArmConfig
from rlvla_core.control.command import Command, Intervention, Setpoint, Verdict
from rlvla_core.control.controller import ArmController
from rlvla_core.control.kinematics import ArmModel
from rlvla_core.control.safety_filter import SafetyFilter
from rlvla_core.control.watchdog import ClockGuard, Stale, TrackingMonitor, Watchdogs

__all__ = [
    "Arbiter",
    "ArbiterConfig",
    "ArmConfig",
    "ArmController",
    "ArmModel",
    "ClockGuard",
    "Command",
    "Event",
    "Intervention",
    "Mode",
    "SafetyFilter",
    "Setpoint",
    "Stale",
    "TrackingMonitor",
    "Verdict",
    "Watchdogs",
]
