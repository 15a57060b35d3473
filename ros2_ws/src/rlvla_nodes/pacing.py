"""When it is the policy's turn: one turn a period, early or late by a little, the rate kept."""

EARLY = 0.25
"""Share of a period: an image that comes this much before its turn is answered, so that a camera of the control rate
itself never makes the policy wait a whole image for a millisecond of jitter."""


class Beat:
    """Times are seconds of one monotonic clock."""

    def __init__(self, hz: float) -> None:
        self._period = 1.0 / hz
        self._next_at = 0.0

    def restart(self, now: float) -> None:
        """A turn is due now."""
        self._next_at = now

    def due(self, now: float) -> bool:
        """Whether the turn may be taken."""
        return now >= self._next_at - EARLY * self._period

    def left(self, now: float) -> float:
        """Until the turn."""
        return self._next_at - now

    def take(self, now: float) -> None:
        """A late turn shortens the wait for the next one, so that the rate holds, but only by as much as jitter may."""
        self._next_at = max(self._next_at + self._period, now + (1.0 - EARLY) * self._period)
