"""The fingers' commanded motion: bounded speed, and no reversal before the dwell time has passed."""

from rlvla_core.control.arm import HandConfig


class Gripper:
    """Commanded opening of each finger, metres. Dwell is counted in ticks from the first tick of a motion."""

    def __init__(self, hand: HandConfig, tick_s: float) -> None:
        self._hand = hand
        self._tick_s = tick_s
        self.sync(hand.open)

    def sync(self, opening: float) -> None:
        """Stand still at a measured opening [m], clipped to what may be commanded."""
        self.opening = self.target = min(max(opening, self._hand.closed), self._hand.open)
        self._direction = 0
        self._ticks_since_turn = 0

    def go(self, command: float) -> bool:
        """Go to a gripper command (-1 closed .. +1 open); False, and no change, if that would turn back too soon."""
        wanted = self._hand.closed + 0.5 * (command + 1.0) * (self._hand.open - self._hand.closed)
        back = (wanted - self.opening) * self._direction < 0
        if back and self._ticks_since_turn * self._tick_s < self._hand.dwell_s:
            return False
        self.target = wanted
        return True

    def stop(self) -> None:
        """Keep the fingers where they are commanded to be now."""
        self.target = self.opening

    def tick(self) -> float:
        """Move by one tick towards the target; returns the commanded opening [m]."""
        gap, step = self.target - self.opening, self._hand.speed * self._tick_s
        self._ticks_since_turn += 1
        if gap * self._direction < 0 or (gap and not self._direction):
            self._direction, self._ticks_since_turn = (1 if gap > 0 else -1), 0
        self.opening = self.target if abs(gap) <= step else self.opening + (step if gap > 0 else -step)
        return self.opening

    @property
    def command(self) -> float:
        """The gripper command (-1 closed .. +1 open) that the fingers are following."""
        return 2.0 * (self.target - self._hand.closed) / (self._hand.open - self._hand.closed) - 1.0

    @property
    def moving(self) -> bool:
        """Whether the fingers are still on their way."""
        return self.opening != self.target
