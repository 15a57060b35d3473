"""What the safety filter must know about one arm: names, shape of the hand, and every limit. Read from YAML."""

import math
from dataclasses import dataclass, fields, replace
from pathlib import Path

from rlvla_core.errors import RlvlaError
from rlvla_core.storage.strict import load_yaml

SIMULATED_SILENCE_S = 0.5
"""Oldest joint states of a simulated arm, seconds."""
Point = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class HandConfig:
    """The hand's outline in the tcp frame, and its two fingers."""

    fingertips: tuple[Point, ...]
    """Corners of the fingers' tips at full opening, tcp frame, metres. They stay inside every wall."""
    palm: tuple[Point, ...]
    """Further corners of the hand, tcp frame, metres. They stay above the table and the extra walls."""
    closed: float
    """Opening of each finger [m] at gripper command -1, as the arm's driver counts it."""
    open: float
    """Opening of each finger [m] at gripper command +1."""
    speed: float
    """Metres per second of each finger."""
    dwell_s: float
    """Seconds that a finger keeps its direction before it may turn back."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wall:
    """A half-space to stay in: normal . x >= offset, base frame."""

    name: str
    """As it appears in messages, such as `camera post`."""
    normal: Point
    """Points into the free side; need not be of unit length."""
    offset: float
    """Metres along the unit normal."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkspaceConfig:
    """Where tcp and hand may be, base frame. Plans stay inside the walls; goals keep the clearance as well, because
    between two poses a joint-space path bows a little."""

    box_min: Point
    """Lowest corner of the box, metres."""
    box_max: Point
    """Highest corner, metres."""
    table_z: float
    """Height of the table's surface, metres."""
    clearance: float
    """Metres that goals keep from the sides of the box and from extra walls."""
    table_clearance: float
    """Metres that goals keep above the table."""
    walls: tuple[Wall, ...]
    """Distractor half-spaces, such as a camera's post; may be empty."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MotionConfig:
    """How far and how fast."""

    step_length: float
    """Longest translation of one command, metres."""
    step_turn: float
    """Largest rotation of one command, radians."""
    joint_step: float
    """Largest change of one joint that one command may ask for, radians."""
    joint_margin: float
    """Radians kept from the joint limits of the description."""
    joint_speed: tuple[float, ...]
    """Radians per second."""
    joint_acceleration: tuple[float, ...]
    """Radians per second squared."""
    joint_jerk: tuple[float, ...]
    """Radians per second cubed."""
    tcp_speed: float
    """Metres per second."""
    tcp_turn_speed: float
    """Radians per second."""
    plan_s: float
    """Longest plan of one command, seconds."""
    singularity_length: float
    """Metres that weigh like one radian in the Jacobian's condition number."""
    singularity_slow: float
    """Condition number from which motion towards the singularity gets shorter."""
    singularity_stop: float
    """Condition number from which there is no motion towards the singularity."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FreshnessConfig:
    """How old things may be, and how far the arm may lag."""

    observation_s: float
    """Oldest observation that a command may answer, seconds."""
    command_s: float
    """Oldest command, seconds: one control period and a little."""
    joint_states_s: float
    """Oldest measured joint angles, seconds."""
    tracking_tcp: float
    """Metres between measured and commanded tcp ..."""
    tracking_joint: float
    """... or radians of one joint ..."""
    tracking_s: float
    """... that are a failure when they last for so many seconds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ArmConfig:
    """One arm. Metres, radians, seconds; base frame unless a name says otherwise."""

    name: str
    """As in `rlvla_sim.robots`."""
    base_link: str
    """Link whose frame is the base frame."""
    tcp_link: str
    """Link whose frame is the tool point."""
    joints: tuple[str, ...]
    """Moving joints from base to tool."""
    hand: HandConfig
    """Outline and fingers."""
    workspace: WorkspaceConfig
    """Walls."""
    motion: MotionConfig
    """Steps, speeds, singularities."""
    freshness: FreshnessConfig
    """Ages and lags."""

    def __post_init__(self) -> None:
        motion, workspace, hand = self.motion, self.workspace, self.hand
        for key in ("joint_speed", "joint_acceleration", "joint_jerk"):
            values = getattr(motion, key)
            if len(values) != len(self.joints) or min(values) <= 0:
                raise RlvlaError(f"`motion.{key}` is {list(values)}: write {len(self.joints)} positive numbers")
        for part in ("motion", "freshness"):
            for field in fields(getattr(self, part)):
                value = getattr(getattr(self, part), field.name)
                if isinstance(value, float) and value <= 0:
                    raise RlvlaError(f"`{part}.{field.name}` is {value}: write a positive number")
        if any(a >= b for a, b in zip(workspace.box_min, workspace.box_max, strict=True)):
            raise RlvlaError(f"`workspace.box_min` {workspace.box_min} is not below `box_max` {workspace.box_max}")
        if min(workspace.clearance, workspace.table_clearance) < 0:
            raise RlvlaError("`workspace.clearance` and `table_clearance` must not be negative")
        if any(math.hypot(*wall.normal) < 1e-6 for wall in workspace.walls):
            raise RlvlaError("`workspace.walls` has a normal of length 0")
        if not hand.closed < hand.open or hand.speed <= 0 or hand.dwell_s < 0:
            raise RlvlaError(f"`hand` needs closed < open, speed > 0 and dwell_s >= 0, got {hand}")
        if not hand.fingertips:
            raise RlvlaError("`hand.fingertips` is empty: write at least one point, or the table cannot be kept clear")
        if motion.step_turn > 1.0:
            raise RlvlaError(f"`motion.step_turn` is {motion.step_turn}: at most 1 rad, else turns are ambiguous")
        if not 1.0 < motion.singularity_slow < motion.singularity_stop:
            raise RlvlaError(
                f"`motion.singularity_slow` {motion.singularity_slow} must lie between 1 and "
                f"`singularity_stop` {motion.singularity_stop}"
            )

    def simulated(self, tracking_slack: float, press: float) -> "ArmConfig":
        """The same arm where nothing can break: it may lag `tracking_slack` times as far behind its command, and be
        commanded `press` metres into the table, which in training only the table itself forbids. Its joint states may
        be late, as a busy machine stops a simulator for longer than a driver."""
        limits, space = self.freshness, self.workspace
        tcp, joint = tracking_slack * limits.tracking_tcp, tracking_slack * limits.tracking_joint
        x, y, z = space.box_min
        return replace(
            self,
            freshness=replace(
                limits,
                tracking_tcp=tcp,
                tracking_joint=joint,
                joint_states_s=max(limits.joint_states_s, SIMULATED_SILENCE_S),
            ),
            workspace=replace(space, table_z=space.table_z - press, box_min=(x, y, min(z, space.table_z - press))),
        )

    @classmethod
    def from_yaml(cls, path: Path) -> "ArmConfig":
        """The arm in a file of config/arms/; raises RlvlaError that names file and key."""
        return load_yaml(cls, path)
