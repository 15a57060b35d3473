"""Decides on which camera images the policy runs: once a control period.

An image that comes up to 25 % of a period early still counts, so that a camera at exactly the control rate does not
lose every second image to jitter.
"""

EARLY = 0.25
"""Fraction of a period by which an image may come before its turn and still be answered."""


class PeriodicGate:
    """Opens once a period and keeps the rate. Times are seconds of one monotonic clock."""

    def __init__(self, hz: float) -> None:
        self._period = 1.0 / hz
        self._next_at = 0.0

    def restart(self, now: float) -> None:
        """Open at once, and count the periods from now."""
        self._next_at = now

    def due(self, now: float) -> bool:
        """Whether the turn may be taken now."""
        return now >= self._next_at - EARLY * self._period

    def left(self, now: float) -> float:
        """Seconds until the next turn; negative once it is late."""
        return self._next_at - now

    def take(self, now: float) -> None:
        """Take the turn. After a late one the next wait is shorter, so that the rate holds, by at most EARLY."""
        self._next_at = max(self._next_at + self._period, now + (1.0 - EARLY) * self._period)
