"""Watchdogs: they notice inputs that fall silent, a clock that jumps, and an arm that does not follow."""

from dataclasses import dataclass

import numpy as np

from rlvla_core.control.arm import FreshnessConfig
from rlvla_core.errors import RlvlaError


@dataclass(frozen=True, slots=True)
class Stale:
    """An input that has been silent for longer than its limit."""

    name: str
    """The input, such as `camera`."""
    age: float
    """Seconds since its last sign of life; inf if there was none."""
    limit: float
    """Longest silence that is allowed, seconds."""

    def __str__(self) -> str:
        return f"{self.name}: {self.age:.3f} s > {self.limit} s"


class Watchdogs:
    """Watches named inputs, each with the longest silence [s] that it may keep."""

    def __init__(self, limits: dict[str, float]) -> None:
        bad = {name: limit for name, limit in limits.items() if not 0 < limit < float("inf")}
        if bad:
            raise RlvlaError(f"watchdog limits {bad}: write positive seconds")
        self.limits = dict(limits)
        self._seen = dict.fromkeys(limits, float("-inf"))

    def feed(self, name: str, now: float) -> None:
        """Take note of a sign of life of an input. Raises RlvlaError for an input that is not watched."""
        if name not in self._seen:
            raise RlvlaError(f"no watchdog `{name}`: use {', '.join(self._seen)}")
        self._seen[name] = now

    def ages(self, now: float) -> dict[str, float]:
        """Seconds since the last sign of life of each input; inf if there was none."""
        return {name: now - seen for name, seen in self._seen.items()}

    def stale(self, now: float, names: tuple[str, ...] | None = None) -> tuple[Stale, ...]:
        """The inputs over their limit, among `names` or among all. A sign of life from the future counts as none."""
        ages = self.ages(now)
        chosen = self.limits if names is None else names
        return tuple(Stale(n, ages[n], self.limits[n]) for n in chosen if not 0.0 <= ages[n] <= self.limits[n])


class ClockGuard:
    """Notices a clock that goes backwards or leaps: after that, no age can be trusted."""

    def __init__(self, leap_s: float) -> None:
        self._leap_s = leap_s
        self._last: float | None = None

    def check(self, now: float) -> str | None:
        """Why the clock cannot be trusted, or None; to be called at every tick."""
        last, self._last = self._last, now
        if last is None or 0.0 <= now - last <= self._leap_s:
            return None
        if now < last:
            return f"the clock went back by {last - now:.3f} s"
        return f"the clock leapt by {now - last:.3f} s, limit {self._leap_s} s"


class TrackingMonitor:
    """Notices an arm that stays away from its command: after a collision, with a weak motor, without its driver."""

    def __init__(self, limits: FreshnessConfig) -> None:
        self._limits = limits
        self._since: float | None = None

    def reset(self) -> None:
        """Forget earlier errors; to be called when the command starts anew at the measured angles."""
        self._since = None

    def check(
        self,
        measured: np.ndarray,
        commanded: np.ndarray,
        measured_tcp: np.ndarray,
        commanded_tcp: np.ndarray,
        now: float,
    ) -> str | None:
        """Why the arm does not follow, once that has lasted for `tracking_s` seconds, else None.

        Joint angles [d] in radians, tool poses [4, 4] in the base frame.
        """
        limits = self._limits
        joint = float(np.abs(measured - commanded).max())
        tcp = float(np.linalg.norm(measured_tcp[:3, 3] - commanded_tcp[:3, 3]))
        # Written so that a NaN counts as an error.
        if joint <= limits.tracking_joint and tcp <= limits.tracking_tcp:
            self._since = None
            return None
        if self._since is None:
            self._since = now
        lasted = now - self._since
        if lasted < limits.tracking_s:
            return None
        return f"the arm is {1000 * tcp:.0f} mm and {joint:.2f} rad away from its command for {lasted:.2f} s"
