"""Hold to run: turns device readings into proposed motions. No ROS.

Motion needs a held deadman, a fresh reading, and a deadman press that was seen; without any of them the proposal is to
stand still.
"""

from dataclasses import dataclass

from rlvla_nodes.teleop.reading import REST, Reading, shape

OPEN, CLOSED = 1.0, -1.0
"""Gripper commands."""


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """The content of one ArmCommand."""

    stamp_s: float
    """Stamp of the reading that it answers, seconds of the ROS clock."""
    delta: tuple[float, ...]
    """Δxyz [m], Δrotation [rad] (XYZ Euler), base frame; gripper +1 open, -1 closed."""
    deadman: bool
    """Whether the deadman is held and counts."""
    enable: bool
    """Whether the operator's enable switch is held."""

    @property
    def moves(self) -> bool:
        """Whether the arm is asked to leave its pose."""
        return any(self.delta[:6])


class HoldToRun:
    """The state of teleoperation: the last reading, whether its deadman counts, and the gripper command."""

    def __init__(
        self,
        *,
        steps: tuple[float, ...],
        dead_zone: float,
        silence_s: float,
    ) -> None:
        """`steps` [6]: signed metres or radians that each axis moves in one command when it is pushed to its end.
        `silence_s`: after this time without a reading everything counts as released."""
        self._steps, self._dead_zone, self._silence_s = steps, dead_zone, silence_s
        self.reading: Reading | None = None
        self.gripper = OPEN
        self._taken_s = 0.0
        self._armed = False

    def take(self, reading: Reading, now_s: float) -> None:
        """Take a new reading, at `now_s` of a clock that does not jump."""
        self._notice_silence(now_s)
        if not reading.deadman:
            self._armed = True
        elif self._armed and reading.gripper_presses % 2:
            self.gripper = -self.gripper
        self.reading, self._taken_s = reading, now_s

    def propose(self, now_s: float) -> Proposal:
        """The motion to propose at `now_s`."""
        self._notice_silence(now_s)
        reading = self.reading
        if reading is None or self.silence(now_s) > self._silence_s:
            stamp_s = 0.0 if reading is None else reading.stamp_s
            return Proposal(stamp_s=stamp_s, delta=(*REST, self.gripper), deadman=False, enable=False)
        held = self._armed and reading.deadman
        axes = shape(reading.axes, self._dead_zone) if held else REST
        motion = tuple(axis * step for axis, step in zip(axes, self._steps, strict=True))
        return Proposal(stamp_s=reading.stamp_s, delta=(*motion, self.gripper), deadman=held, enable=reading.enable)

    def disarm(self) -> None:
        """Let the deadman count again only after it was seen released."""
        self._armed = False

    @property
    def must_let_go(self) -> bool:
        """Whether the deadman is held but does not count, because its press was not seen."""
        return self.reading is not None and self.reading.deadman and not self._armed

    def silence(self, now_s: float) -> float:
        """Seconds since the last reading."""
        return now_s - self._taken_s

    def _notice_silence(self, now_s: float) -> None:
        # A device that comes back with the deadman still held must not move the arm: nobody expects that any more.
        if self.reading is not None and self.reading.deadman and self.silence(now_s) > self._silence_s:
            self._armed = False
