"""Checked plans: jerk-limited joint trajectories that end at rest, sampled at the ticks, inside every limit.

The arm is given exactly these samples, so every limit is checked on them. The third finite differences of a trajectory
with bounded jerk keep the same bound, so the jerk limit holds for what is sent, not only for Ruckig's own curve.
"""

import math
from dataclasses import dataclass

import numpy as np
from ruckig import ControlInterface, InputParameter, Result, Ruckig, RuckigError, Synchronization, Trajectory

from rlvla_core.control.kinematics import ArmModel
from rlvla_core.control.workspace import Workspace
from rlvla_core.errors import RlvlaError

ROUNDING = 1e-6
"""By how much a sample may exceed a limit: radians, metres, or a fraction of a speed."""
REPLANS = 3
"""How often a plan is made again with lower joint speeds because the tool would be too fast."""


@dataclass(frozen=True, slots=True, eq=False)
class JointState:
    """The commanded motion at one instant."""

    joints: np.ndarray
    """Joint angles [d], radians."""
    velocities: np.ndarray
    """Joint speeds [d], radians per second."""
    accelerations: np.ndarray
    """Joint accelerations [d], radians per second squared."""

    @classmethod
    def at_rest(cls, joints: np.ndarray) -> "JointState":
        """No motion, at joint angles [d]."""
        return cls(joints, np.zeros_like(joints), np.zeros_like(joints))


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A motion as samples after 1, 2, .. T ticks; the last sample is at rest."""

    joints: np.ndarray
    """Joint angles [T, d], radians."""
    velocities: np.ndarray
    """Joint speeds [T, d], radians per second."""
    accelerations: np.ndarray
    """Joint accelerations [T, d], radians per second squared."""
    duration: float
    """Seconds until the arm rests; the last sample is at most one tick later."""

    def __len__(self) -> int:
        return len(self.joints)

    @classmethod
    def stay(cls, joints: np.ndarray) -> "Plan":
        """The plan that rests at joint angles [d]."""
        rest = np.zeros((1, len(joints)))
        return cls(joints[None].copy(), rest, rest, 0.0)

    def state(self, row: int) -> JointState:
        """The motion after `row` + 1 ticks."""
        return JointState(self.joints[row], self.velocities[row], self.accelerations[row])


@dataclass(frozen=True, slots=True, eq=False)
class Refused:
    """Why a plan could not be made or breaks a limit."""

    code: str
    """`joint_limits`, `joint_speed`, `workspace`, `tcp_speed`, `too_long` or `no_plan`."""
    text: str
    """One line for a person, with the values."""
    speeds: np.ndarray | None = None
    """Joint speeds [d] at which the tool would be slow enough (`tcp_speed` only)."""


class Planner:
    """Makes the plans of one arm and checks them against every limit."""

    def __init__(self, arm: ArmModel, workspace: Workspace, tick_s: float) -> None:
        if not 0.0005 <= tick_s <= 0.05:
            raise RlvlaError(f"tick_s is {tick_s}: use 0.0005 to 0.05 seconds, such as 0.01")
        self._arm, self._workspace, self._tick_s = arm, workspace, tick_s
        self._motion = arm.config.motion
        self._speed = np.array(self._motion.joint_speed)
        self._acceleration = np.array(self._motion.joint_acceleration)
        self._ruckig = Ruckig(arm.dof)
        self._trajectory = Trajectory(arm.dof)
        self._input = InputParameter(arm.dof)
        self._input.max_acceleration = list(self._motion.joint_acceleration)
        self._input.max_jerk = list(self._motion.joint_jerk)
        # All joints arrive together and, from rest, on a straight line in joint space.
        self._input.synchronization = Synchronization.Phase
        self._input.target_velocity = self._input.target_acceleration = [0.0] * arm.dof

    def move(self, start: JointState, goal: np.ndarray) -> Plan | Refused:
        """The quickest plan from `start` to rest at joint angles [d] that keeps every limit."""
        self._input.control_interface = ControlInterface.Position
        self._input.target_position = goal.tolist()
        answer = self._attempt(start, self._speed)
        for _ in range(REPLANS):
            if isinstance(answer, Plan) or answer.speeds is None:
                break
            answer = self._attempt(start, answer.speeds)
        return answer

    def stop(self, start: JointState) -> Plan | Refused:
        """The quickest plan from `start` to rest anywhere that keeps every limit."""
        self._input.control_interface = ControlInterface.Velocity
        return self._attempt(start, self._speed)

    def _attempt(self, start: JointState, speed: np.ndarray) -> Plan | Refused:
        given = self._input
        given.current_position = start.joints.tolist()
        given.current_velocity = start.velocities.tolist()
        given.current_acceleration = start.accelerations.tolist()
        given.max_velocity = speed.tolist()
        try:
            found = self._ruckig.calculate(given, self._trajectory) in (Result.Working, Result.Finished)
        except RuckigError:
            found = False
        if not found:
            return Refused("no_plan", "no jerk-limited trajectory from the present motion to the goal")
        duration = self._trajectory.duration
        if not duration <= self._motion.plan_s:
            return Refused("too_long", f"would take {duration:.2f} s, limit {self._motion.plan_s} s")
        ticks = max(1, math.ceil(duration / self._tick_s - 1e-9))
        samples = [self._trajectory.at_time(min(i * self._tick_s, duration)) for i in range(1, ticks + 1)]
        table = np.array(samples)
        # Ruckig ends within rounding of rest; the arm's commanded state must be at rest exactly.
        table[-1, 1:] = 0.0
        plan = Plan(table[:, 0], table[:, 1], table[:, 2], duration)
        return self._refusal(start, plan) or plan

    def _refusal(self, start: JointState, plan: Plan) -> Refused | None:
        """The first limit that a plan breaks, or None. If the start lies beyond a joint limit or a wall already (a
        measured arm may, by a little), the plan must not go further beyond."""
        joints, config = plan.joints, self._arm.config
        if not np.isfinite(joints).all():
            return Refused("no_plan", "the trajectory is not finite")
        # Rounding is allowed at the limit only, never at the start of a plan: else many plans would creep further out.
        under = np.minimum(self._arm.lower - ROUNDING, start.joints) - joints
        over = joints - np.maximum(self._arm.upper + ROUNDING, start.joints)
        worst = np.maximum(under, over).max(axis=0)
        if worst.max() > 0.0:
            name = config.joints[int(worst.argmax())]
            return Refused("joint_limits", f"joint {name} would pass its limit by {worst.max():.4f} rad")
        speeds = np.abs(plan.velocities).max(axis=0)
        fraction = np.maximum(speeds / self._speed, np.abs(plan.accelerations).max(axis=0) / self._acceleration)
        if fraction.max() > 1 + ROUNDING:
            name = config.joints[int(fraction.argmax())]
            return Refused("joint_speed", f"joint {name} would be at {fraction.max():.0%} of its speed or acceleration")
        poses = self._arm.forward_each(np.concatenate([start.joints[None], joints]))
        distances = self._workspace.distances(poses)
        beyond = (np.minimum(distances[0], -ROUNDING) - distances[1:]).max(axis=0)
        if beyond.max() > 0.0:
            name = self._workspace.names[int(beyond.argmax())]
            return Refused("workspace", f"the hand would pass {name} by {1000 * beyond.max():.1f} mm on its way")
        move, turn = tool_speeds(poses, self._tick_s)
        excess = max(move / self._motion.tcp_speed, turn / self._motion.tcp_turn_speed)
        if excess > 1 + ROUNDING:
            text = f"the tool would move at {move:.2f} m/s and turn at {turn:.2f} rad/s"
            return Refused("tcp_speed", text, np.maximum(0.97 * speeds / excess, 1e-3))
        return None


def tool_speeds(poses: np.ndarray, tick_s: float) -> tuple[float, float]:
    """Highest speed [m/s] and turning speed [rad/s] between tool poses [T, 4, 4] that are one tick apart."""
    moves = np.diff(poses[:, :3, 3], axis=0)
    rotations = poses[:, :3, :3]
    # |A - B|_F = 2 sqrt(2) sin(angle / 2), which is exact for small angles where the trace is not.
    chord = np.sqrt(np.square(np.diff(rotations, axis=0)).sum(axis=(1, 2)).max()) / (2.0 * math.sqrt(2.0))
    turn = 2.0 * math.asin(min(1.0, float(chord)))
    return float(np.sqrt(np.square(moves).sum(axis=1).max())) / tick_s, turn / tick_s
