"""The filter's first stages: a command must be well-formed, fresh and new; its step is cut to the allowed length."""

import math
from collections.abc import Iterable

import numpy as np

from rlvla_core.control.arm import FreshnessConfig, MotionConfig
from rlvla_core.control.command import SOURCES, Intervention, MotionCommand
from rlvla_core.geometry.rotations import (
    euler_xyz_of_matrix,
    matrix_of_euler_xyz,
    matrix_of_rotation_vector,
    rotation_vector,
)

CLOCK_SLACK = 0.005
"""How far a stamp may lie ahead of the filter's own clock, seconds."""
LARGEST_ANGLE = 0.5 * math.pi
"""Euler angles [3] of a greater norm are shortened to it, radians; it is far beyond the limit of any step."""
ROUNDING = 1e-6
"""Relative excess over a limit that is not reported as a clamp."""


def clamped(code: str, before: Iterable[float], after: Iterable[float], text: str) -> Intervention:
    """The record of a stage that took less of a command."""
    return Intervention(code=code, verdict="clamp", before=_floats(before), after=_floats(after), text=text)


def vetoed(code: str, before: Iterable[float], text: str) -> Intervention:
    """The record of a stage that refused a command."""
    return Intervention(code=code, verdict="veto", before=_floats(before), after=(), text=text)


def _floats(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(float(v) for v in values)


class CommandSequence:
    """Refuses commands that are malformed, not finite, too old, or no newer than the last accepted one."""

    def __init__(self, limits: FreshnessConfig) -> None:
        self._limits = limits
        self._last: dict[str, int] = {}

    def restart(self, source: str | None = None) -> None:
        """Forget the step numbers of one source, or of all."""
        if source is None:
            self._last.clear()
        else:
            self._last.pop(source, None)

    def accept(self, command: MotionCommand) -> None:
        """Take note that this command moved the arm: its step number and all below it are used up."""
        self._last[command.source] = int(command.step)

    def refusal(self, command: MotionCommand, now: float) -> Intervention | None:
        """The first reason to refuse this command, or None if there is none. `now` in seconds of the stamps' clock."""
        problem = _malformed(command)
        if problem:
            return vetoed("malformed", (), problem)
        numbers = [*command.delta.tolist(), command.observed_at, command.issued_at, now]
        if not all(map(math.isfinite, numbers)):
            return vetoed("not_finite", numbers[:7], "the command has a NaN or an infinity")
        observed, issued = now - command.observed_at, now - command.issued_at
        if min(observed, issued) < -CLOCK_SLACK:
            return vetoed("future", (observed, issued), f"stamped {-min(observed, issued):.3f} s ahead of this clock")
        if observed > self._limits.observation_s:
            text = f"answers an observation of {observed:.3f} s ago, limit {self._limits.observation_s} s"
            return vetoed("stale_observation", (observed,), text)
        if issued > self._limits.command_s:
            return vetoed("stale_command", (issued,), f"{issued:.3f} s old, limit {self._limits.command_s} s")
        last = self._last.get(command.source)
        if last is not None and command.step <= last:
            return vetoed("replay", (command.step,), f"step {command.step} of {command.source} is not above {last}")
        return None


def _malformed(command: MotionCommand) -> str | None:
    if command.source not in SOURCES:
        return f"source {command.source!r}: use one of {', '.join(SOURCES)}"
    if isinstance(command.step, bool) or not isinstance(command.step, (int, np.integer)):
        return f"step {command.step!r} is no whole number"
    for stamp in (command.observed_at, command.issued_at):
        if isinstance(stamp, bool) or not isinstance(stamp, (int, float)):
            return f"stamp {stamp!r} is no number of seconds"
    delta = command.delta
    if not isinstance(delta, np.ndarray) or delta.dtype.kind not in "fiu":
        return f"delta is a {type(delta).__name__}: use an array of 7 numbers"
    if delta.shape != (7,):
        return f"delta has shape {list(delta.shape)}, expected [7]"
    return None


def clamp_delta(delta: np.ndarray, limits: MotionConfig) -> tuple[np.ndarray, list[Intervention]]:
    """Shorten a finite delta [7] to the limits of one step; returns it with the record of every change.

    The direction of the translation and the axis of the rotation are kept.
    """
    given = delta.astype(np.float64)
    out, notes = given.copy(), []
    length = _length(given[:3])
    if length > limits.step_length * (1 + ROUNDING):
        out[:3] = given[:3] / length * limits.step_length
        notes.append(
            clamped("step_length", given[:3], out[:3], f"step of {length:.3g} m, limit {limits.step_length} m")
        )
    # A turn of a whole circle is no small turn: angles are cut before they are taken as a rotation.
    angles = _length(given[3:6])
    euler = given[3:6] if angles <= LARGEST_ANGLE else given[3:6] / angles * LARGEST_ANGLE
    vector = rotation_vector(matrix_of_euler_xyz(euler))
    angle = _length(vector)
    if angle > limits.step_turn * (1 + ROUNDING):
        vector = vector / angle * limits.step_turn
        out[3:6] = euler_xyz_of_matrix(matrix_of_rotation_vector(vector))
        text = f"turn of {max(angle, angles):.3g} rad, limit {limits.step_turn} rad"
        notes.append(clamped("step_turn", given[3:6], out[3:6], text))
    out[6] = min(1.0, max(-1.0, given[6]))
    if abs(out[6] - given[6]) > ROUNDING:
        notes.append(clamped("gripper_range", given[6:], out[6:], f"gripper {given[6]:.3g} is outside -1 .. 1"))
    return out, notes


def _length(vector: np.ndarray) -> float:
    return math.hypot(*vector.tolist())
