"""The arms of config/arms with their descriptions, and commands to try on them."""

from functools import cache
from pathlib import Path

import numpy as np

from rlvla_core.control.arm import ArmConfig
from rlvla_core.control.command import MotionCommand
from rlvla_core.control.kinematics import ArmModel
from rlvla_core.control.safety_filter import SafetyFilter
from rlvla_sim.kinematics import KinematicChain
from rlvla_sim.robots import robot

ROOT = Path(__file__).resolve().parents[2]
ARMS = ROOT / "config" / "arms"
NAMES = tuple(sorted(path.stem for path in ARMS.glob("*.yaml")))
"""Arms that every test of the filter runs over: each file in config/arms."""
TICK = 0.01


@cache
def arm_of(name: str) -> ArmModel:
    return ArmModel(robot(name).urdf().read_text(), ArmConfig.from_yaml(ARMS / f"{name}.yaml"))


@cache
def chain_of(name: str) -> KinematicChain:
    """The simulator's kinematics: another implementation, from the same description."""
    spec = robot(name)
    return KinematicChain.from_urdf(spec.urdf(), spec.tcp_link, spec.arm_joints)


def start_of(name: str) -> np.ndarray:
    return np.array(robot(name).arm_start)


def filter_of(name: str) -> SafetyFilter:
    """At rest at the start pose of the simulated worlds, fingers open, at time 0."""
    safety = SafetyFilter(arm_of(name), TICK)
    safety.sync(start_of(name), arm_of(name).config.hand.open, 0.0)
    return safety


def command(delta, step: int = 1, now: float = 0.0, **changes) -> MotionCommand:
    """A fresh policy command; six numbers leave the fingers open."""
    if isinstance(delta, (list, tuple)):
        delta = np.array([*delta, 1.0][:7], dtype=np.float64)
    values = {"source": "policy", "step": step, "delta": delta, "observed_at": now, "issued_at": now}
    return MotionCommand(**{**values, **changes})


def settle(safety: SafetyFilter) -> np.ndarray:
    """Tick until rest; the joint angles on the way [T, d], the first one included."""
    joints = [safety.joints]
    while safety.moving:
        joints.append(safety.tick().joints)
        assert len(joints) < 300
    return np.array(joints)


def lowest_tip(name: str, joints) -> float:
    """Least height [m] of tcp and fingertips above the table, at joint angles [T, d]; poses by the simulator."""
    arm = arm_of(name)
    points = arm.points(chain_of(name).forward(np.asarray(joints)))[:, arm.tips]
    return float(points[..., 2].min()) - arm.config.workspace.table_z
