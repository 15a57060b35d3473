"""What the safety filter must know about one arm, read from config/arms/*.yaml: names, shape of the hand, limits."""

import math
from dataclasses import dataclass, fields, replace
from pathlib import Path

from rlvla_core.errors import RlvlaError
from rlvla_core.storage.strict import load_yaml

SIMULATED_SILENCE_S = 0.5
"""Greatest age of the joint states of a simulated arm, seconds."""
Point = tuple[float, float, float]
"""x, y, z in metres."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HandConfig:
    """The hand's outline in the tcp frame, and its two fingers."""

    fingertips: tuple[Point, ...]
    """Corners of the fingers' tips at full opening, tcp frame, metres. They stay inside every wall."""
    palm: tuple[Point, ...]
    """Further corners of the hand, tcp frame, metres. They stay above the table and the extra walls."""
    closed: float
    """Opening of each finger at gripper command -1, metres, as the arm's driver counts it."""
    open: float
    """Opening of each finger at gripper command +1, metres."""
    speed: float
    """Speed of each finger, metres per second."""
    dwell_s: float
    """How long the fingers keep their direction before they may turn back, seconds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wall:
    """A half-space in which the hand stays: normal . x >= offset, base frame."""

    name: str
    """The wall's name in messages, such as `camera post`."""
    normal: Point
    """Vector that points into the free side; need not be of unit length."""
    offset: float
    """Distance of the wall from the base's origin along the unit normal, metres."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkspaceConfig:
    """Where the hand may be, base frame. Plans stay inside the walls; goals keep a clearance as well, because a
    joint-space path between two poses bows a little."""

    box_min: Point
    """Lowest corner of the box that tcp and fingertips stay in, metres."""
    box_max: Point
    """Highest corner of that box, metres."""
    table_z: float
    """Height of the table's surface, metres."""
    clearance: float
    """Distance that goals keep from the sides of the box and from extra walls, metres."""
    table_clearance: float
    """Distance that goals keep above the table, metres."""
    walls: tuple[Wall, ...]
    """Extra half-spaces, such as a camera's post; may be empty."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MotionConfig:
    """How far and how fast one command may move the arm."""

    step_length: float
    """Longest translation of one command, metres."""
    step_turn: float
    """Largest rotation of one command, radians."""
    joint_step: float
    """Largest change of one joint that one command may ask for, radians."""
    joint_margin: float
    """Distance kept from the joint limits of the arm's URDF, radians."""
    joint_speed: tuple[float, ...]
    """Highest speed of each joint, radians per second."""
    joint_acceleration: tuple[float, ...]
    """Highest acceleration of each joint, radians per second squared."""
    joint_jerk: tuple[float, ...]
    """Highest jerk of each joint, radians per second cubed."""
    tcp_speed: float
    """Highest speed of the tool point, metres per second."""
    tcp_turn_speed: float
    """Highest turning speed of the tool, radians per second."""
    plan_s: float
    """Longest plan of one command, seconds."""
    singularity_length: float
    """Length that counts as much as one radian in the Jacobian's condition number, metres."""
    singularity_slow: float
    """Condition number above which steps towards the singularity are shortened."""
    singularity_stop: float
    """Condition number above which no step towards the singularity is taken."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FreshnessConfig:
    """How old observations, commands and joint states may be, and how far the arm may lag behind its command."""

    observation_s: float
    """Greatest age of the observation that a command answers, seconds."""
    command_s: float
    """Greatest age of a command, seconds: one control period and a little."""
    joint_states_s: float
    """Greatest age of the measured joint angles, seconds."""
    tracking_tcp: float
    """Greatest distance between measured and commanded tcp, metres; more, for `tracking_s`, is a fault."""
    tracking_joint: float
    """Greatest difference between measured and commanded joint angle, radians; more, for `tracking_s`, is a fault."""
    tracking_s: float
    """How long the arm may be further away than `tracking_tcp` or `tracking_joint`, seconds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ArmConfig:
    """Everything about one arm. Metres, radians, seconds; base frame unless a name says otherwise."""

    name: str
    """The arm's name, such as `widowx250s`."""
    base_link: str
    """Link of the URDF whose frame is the base frame."""
    tcp_link: str
    """Link of the URDF whose frame is the tool frame (tcp)."""
    joints: tuple[str, ...]
    """Names of the moving joints in the URDF, from base to tool."""
    hand: HandConfig
    """The hand's outline and its fingers."""
    workspace: WorkspaceConfig
    """The walls that the hand stays inside."""
    motion: MotionConfig
    """Limits of steps and speeds, and of the nearness to singularities."""
    freshness: FreshnessConfig
    """Greatest ages and lags."""

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

    def simulated(self, tracking_slack: float, table_penetration_m: float) -> "ArmConfig":
        """The same arm in simulation, where nothing can break.

        It may lag `tracking_slack` times as far behind its command, and the hand may be commanded `table_penetration_m`
        metres into the table, which in training only the table itself forbids. Its joint states may be late, as a busy
        machine stops a simulator for longer than a driver.
        """
        limits, space = self.freshness, self.workspace
        tcp, joint = tracking_slack * limits.tracking_tcp, tracking_slack * limits.tracking_joint
        x, y, z = space.box_min
        table_z = space.table_z - table_penetration_m
        return replace(
            self,
            freshness=replace(
                limits,
                tracking_tcp=tcp,
                tracking_joint=joint,
                joint_states_s=max(limits.joint_states_s, SIMULATED_SILENCE_S),
            ),
            workspace=replace(space, table_z=table_z, box_min=(x, y, min(z, table_z))),
        )

    @classmethod
    def from_yaml(cls, path: Path) -> "ArmConfig":
        """The arm in a file of config/arms/; raises RlvlaError that names file and key."""
        return load_yaml(cls, path)
