"""The keyboard of a terminal as a teleop device.

A terminal sends no key-up: a held key is a key that repeats. So a motion key counts as held for a moment after each
time it was seen, short enough that letting go is a stop and long enough to reach the next repeat. Between the first
press and the first repeat a keyboard waits 0.2-0.7 s; nothing bridges that, so a tap is one small step.
The deadman is tapped on and runs out by itself, since a terminal reports one repeating key only.
"""

import atexit
import contextlib
import os
import re
import select
import sys
import termios
import time
import tty

from rlvla_core.errors import RlvlaError
from rlvla_nodes.teleop.reading import REST, Reading

MOTION_HELD_S = 0.06
"""A motion key counts as held this long after each time it was seen, seconds: longer than the period of the commands,
so that a tap is a step. With polls every 10 ms the arm stops at most 80 ms after the last repeat; the keyboard must
repeat 17 times a second or more."""
DEADMAN_S = 1.5
"""The deadman runs out this long after the last motion or gripper key, seconds: more than the 0.7 s before a slow
keyboard's first repeat."""
REPEAT_S = 0.7
"""A key that is seen again within this time, in seconds, is the same press."""
ENABLE_FIRST_S, ENABLE_HELD_S = 0.8, 0.3
"""The enable key counts as held this long after its first press (until repeats begin) and after each repeat, seconds.
Its release may be late, because it moves nothing by itself."""

DEADMAN, ENABLE, GRIPPER = " ", "e", "g"
"""Keys of the deadman, the operator's enable and the gripper."""
MOTION = {
    "w": (0, 1.0),
    "s": (0, -1.0),
    "a": (1, 1.0),
    "d": (1, -1.0),
    "r": (2, 1.0),
    "f": (2, -1.0),
    "o": (3, 1.0),
    "u": (3, -1.0),
    "i": (4, 1.0),
    "k": (4, -1.0),
    "j": (5, 1.0),
    "l": (5, -1.0),
}
"""Key -> direction and sign, as in `Reading.axes`."""
EVENT_KEYS = {"\n": "estop", "1": "enable", "2": "start", "3": "hold", "4": "clear_fault", "5": "reset", "0": "disable"}
"""Key -> event of the operator."""
KEYS = """\
tap   SPACE      deadman on, for 1.5 s after the last motion key; SPACE again: off at once
hold  w s        forward, back        (a tap is one small step; a held key moves once the terminal repeats it)
hold  a d        left, right
hold  r f        up, down
hold  u o        roll left, right
hold  i k        pitch forward, back
hold  j l        yaw left, right
press g          gripper, while the deadman is on
hold  e          operator enable: I watch, the policy may run
press ENTER      E-STOP
press 1 0        enable, disable the arm
press 2 3        start the policy, hold
press 4 5        clear a fault, reset after an e-stop"""

_ESCAPE = re.compile(r"\x1b(?:\[[0-9;?]*[@-~]|O.|[^\[O])")
_UNFINISHED_ESCAPE = re.compile(r"\x1b(?:\[[0-9;?]*|O)?$")


class Keys:
    """Turns characters and their times into readings; knows neither terminal nor clock."""

    def __init__(self) -> None:
        self._rest = ""
        self._seen: dict[str, float] = {}
        self._deadman_until = 0.0
        self._enable_until = 0.0

    def read(self, text: str, now_s: float, stamp_s: float) -> Reading:
        """The reading at `now_s` (any clock that does not jump) after `text`, the characters since the last call."""
        text = _ESCAPE.sub("", self._rest + text)
        # The letters of an arrow key that arrives in two pieces must not be taken for motion keys.
        unfinished = _UNFINISHED_ESCAPE.search(text)
        self._rest = unfinished.group() if unfinished else ""
        gripper_presses, events = 0, []
        for key in text.removesuffix(self._rest).replace("\r", "\n").lower():
            repeated = now_s - self._seen.get(key, float("-inf")) < REPEAT_S
            self._seen[key] = now_s
            on = now_s < self._deadman_until
            if key == DEADMAN:
                # Off is never delayed; on needs a new press, so that a held space bar does not blink.
                self._deadman_until = now_s + DEADMAN_S if not on and not repeated else 0.0
            elif key == ENABLE:
                self._enable_until = now_s + (ENABLE_HELD_S if repeated else ENABLE_FIRST_S)
            elif key in MOTION and on:
                self._deadman_until = now_s + DEADMAN_S
            elif key == GRIPPER and on:
                self._deadman_until = now_s + DEADMAN_S
                gripper_presses += not repeated
            elif key in EVENT_KEYS and not repeated:
                events.append(EVENT_KEYS[key])
        return Reading(
            stamp_s=stamp_s,
            axes=self._axes(now_s),
            deadman=now_s < self._deadman_until,
            enable=now_s < self._enable_until,
            gripper_presses=gripper_presses,
            events=tuple(events),
        )

    def _axes(self, now_s: float) -> tuple[float, ...]:
        axes = list(REST)
        for key, (direction, sign) in MOTION.items():
            if now_s - self._seen.get(key, float("-inf")) < MOTION_HELD_S:
                axes[direction] += sign
        return tuple(axes)


class Keyboard:
    """The terminal of this process, read character by character until `close`."""

    def __init__(self, descriptor: int | None = None) -> None:
        self._descriptor = _standard_input() if descriptor is None else descriptor
        if not os.isatty(self._descriptor):
            raise RlvlaError(
                "device `keyboard` needs a terminal, and standard input is none: run "
                "`python -m rlvla_nodes.teleop_node --ros-args -p device:=keyboard` in a terminal of its own, or "
                "choose `device:=joy`"
            )
        self._keys = Keys()
        self._found = termios.tcgetattr(self._descriptor)
        self._open = True
        # Whatever ends the process, the user gets a terminal back that echoes.
        atexit.register(self.close)
        tty.setcbreak(self._descriptor, termios.TCSANOW)

    def poll(self, stamp_s: float) -> Reading:
        """The reading after what was typed since the last poll. Raises RlvlaError once the terminal is gone."""
        text = b""
        # select instead of O_NONBLOCK, which would stay behind on the shell's own side of the terminal.
        while select.select([self._descriptor], [], [], 0.0)[0]:
            try:
                piece = os.read(self._descriptor, 1024)
            except OSError:
                piece = b""
            if not piece:
                raise RlvlaError("the terminal of the keyboard is closed: start the node again in another one")
            text += piece
        return self._keys.read(text.decode("latin-1"), time.monotonic(), stamp_s)

    def close(self) -> None:
        """Restore the terminal, and throw away keys that would otherwise be typed into the shell."""
        if not self._open:
            return
        self._open = False
        atexit.unregister(self.close)
        with contextlib.suppress(termios.error):
            termios.tcflush(self._descriptor, termios.TCIFLUSH)
            termios.tcsetattr(self._descriptor, termios.TCSANOW, self._found)


def _standard_input() -> int:
    try:
        return sys.stdin.fileno()
    except (AttributeError, OSError, ValueError):
        return -1
