"""Watchdogs: inputs that fall silent, a clock that jumps, an arm that does not follow."""

from dataclasses import dataclass

import numpy as np

from rlvla_core.control.arm import FreshnessConfig
from rlvla_core.errors import RlvlaError

LIMITS = {"observation": 0.4, "joint_states": 0.2, "policy": 0.45, "teleop": 0.15, "operator": 1.0}
"""Seconds of silence that are allowed; the policy's is two periods and 50 ms."""


@dataclass(frozen=True, slots=True)
class Stale:
    """An input over its limit."""

    name: str
    age: float
    """Seconds since its last sign, inf where there was none."""
    limit: float
    """Seconds."""

    def __str__(self) -> str:
        return f"{self.name}: {self.age:.3f} s > {self.limit} s"


class Watchdogs:
    """Named inputs, each with the longest silence [s] that it may keep."""

    def __init__(self, limits: dict[str, float]) -> None:
        bad = {name: limit for name, limit in limits.items() if not 0 < limit < float("inf")}
        if bad:
            raise RlvlaError(f"watchdog limits {bad}: write positive seconds")
        self.limits = dict(limits)
        self._seen = dict.fromkeys(limits, float("-inf"))

    def beat(self, name: str, now: float) -> None:
        """A sign of life; raises RlvlaError for an input that nobody watches."""
        if name not in self._seen:
            raise RlvlaError(f"no watchdog `{name}`: use {', '.join(self._seen)}")
        self._seen[name] = now

    def ages(self, now: float) -> dict[str, float]:
        """Seconds since each input's last sign, inf where there was none."""
        return {name: now - seen for name, seen in self._seen.items()}

    def stale(self, now: float, names: tuple[str, ...] | None = None) -> tuple[Stale, ...]:
        """Inputs over their limit, of these names or of all. A sign from the future counts as none."""
        ages = self.ages(now)
        chosen = self.limits if names is None else names
        return tuple(Stale(n, ages[n], self.limits[n]) for n in chosen if not 0.0 <= ages[n] <= self.limits[n])


class ClockGuard:
    """Notices a clock that goes backwards or leaps: ages mean nothing after that."""

    def __init__(self, leap_s: float) -> None:
        self._leap_s = leap_s
        self._last: float | None = None

    def check(self, now: float) -> str | None:
        """Call regularly; why the clock is not to be trusted, or None."""
        last, self._last = self._last, now
        if last is None or 0.0 <= now - last <= self._leap_s:
            return None
        if now < last:
            return f"the clock went back by {last - now:.3f} s"
        return f"the clock leapt by {now - last:.3f} s, limit {self._leap_s} s"


class TrackingMonitor:
    """Notices an arm that stays away from what is commanded: a collision, a weak motor, a lost driver."""

    def __init__(self, limits: FreshnessConfig) -> None:
        self._limits = limits
        self._since: float | None = None

    def reset(self) -> None:
        """Forget, after a new start from the measured angles."""
        self._since = None

    def check(
        self,
        measured: np.ndarray,
        commanded: np.ndarray,
        measured_tcp: np.ndarray,
        commanded_tcp: np.ndarray,
        now: float,
    ) -> str | None:
        """Why the arm does not follow, once it has not for `tracking_s`; joints [d], tool poses [4, 4]."""
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
