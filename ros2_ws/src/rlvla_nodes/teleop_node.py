"""Teleoperation: turns a device in the operator's hand into proposed motions and events for the arbiter.

Proposals go out at a fixed rate, whether the deadman is held or not; its release goes out at once. Nothing moves
without a held deadman, a fresh reading and a deadman press that was seen. docs/how-to/teleop_and_cameras.md has the
maps and the rules.
"""

import contextlib
import math
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Joy

from rlvla_core.control.arbiter import Event, Mode
from rlvla_core.errors import RlvlaError
from rlvla_msgs.msg import ArbiterState, ArmCommand
from rlvla_nodes import diagnostics, topics
from rlvla_nodes.convert import to_seconds, to_stamp
from rlvla_nodes.parameters import declare_parameters
from rlvla_nodes.process import run_node
from rlvla_nodes.teleop import keyboard, spacemouse
from rlvla_nodes.teleop.hold_to_run import CLOSED, OPEN, HoldToRun, Proposal
from rlvla_nodes.teleop.joy import read_joy
from rlvla_nodes.teleop.mode_calls import ModeCalls
from rlvla_nodes.teleop.profile import load_profile
from rlvla_nodes.teleop.reading import PolledDevice, Reading

POLL_S = 0.01
"""How often a device is polled and its silence is looked for, seconds."""
LAST_WORDS_S = 0.5
"""How long a node that ends waits for its last command to arrive, seconds."""
DEFAULT_PROFILES = {"joy": "gamepad", "spacemouse": "spacemouse"}
"""Device -> gamepad profile that is used when none is named."""
MODES = {int(mode): mode.name for mode in Mode}
"""Number of a mode in ArbiterState -> its name."""


@dataclass(frozen=True, kw_only=True)
class TeleopParameters:
    """Parameters of teleop_node."""

    device: Literal["joy", "keyboard", "spacemouse"] = "joy"
    """The operator's device: `joy` (sensor_msgs/Joy messages of a ROS driver), `keyboard` (this terminal) or
    `spacemouse` (a SpaceMouse on this machine, through pyspacemouse)."""
    profile: str = ""
    """What axes and buttons mean: a name in config/gamepads, or the path of such a YAML file. Empty: `gamepad` for the
    device joy, `spacemouse` for the device spacemouse."""
    rate_hz: float = 20.0
    """Commands a second that the node sends while the deadman is held."""
    linear_speed: float = 0.1
    """Speed of the hand with an axis pushed to its end, metres a second."""
    angular_speed: float = 0.5
    """Turning speed of the hand with an axis pushed to its end, radians a second."""
    axis_scale: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
    """Factor of each direction, -1..1: forward, left, up, roll, pitch, yaw. -1 reverses a direction, 0 locks it."""
    dead_zone: float = 0.1
    """Deflection of an axis up to which it counts as centred, as a fraction of its full travel."""
    silence_s: float = 0.15
    """Silence of the device, seconds, after which a held switch counts as released."""
    frame_id: str = "base_link"
    """Frame of the commands: the arm's base."""
    reset_reason: str = "reset by the operator at the teleop device"
    """Reason that is given with a reset after an e-stop."""

    def __post_init__(self) -> None:
        if not 15.0 <= self.rate_hz <= 200.0:
            raise RlvlaError(f"rate_hz is {self.rate_hz}: choose 15 to 200")
        if self.linear_speed <= 0 or self.angular_speed <= 0:
            raise RlvlaError(
                f"speeds are {self.linear_speed} m/s and {self.angular_speed} rad/s: both must be positive"
            )
        if not 0.0 <= self.dead_zone < 1.0:
            raise RlvlaError(f"dead_zone is {self.dead_zone}: choose 0 or more and less than 1")
        if not 0.05 <= self.silence_s <= 0.5:
            raise RlvlaError(f"silence_s is {self.silence_s}: choose 0.05 to 0.5")
        if len(self.axis_scale) != 6 or not all(abs(scale) <= 1.0 for scale in self.axis_scale):
            raise RlvlaError(f"axis_scale is {list(self.axis_scale)}: write six numbers of -1 to 1")
        if not self.reset_reason.strip():
            raise RlvlaError("reset_reason is empty: a reset after an e-stop needs a reason")

    def steps(self) -> tuple[float, ...]:
        """Metres or radians [6] that each axis, pushed to its end, moves in one command."""
        speeds = (*(self.linear_speed,) * 3, *(self.angular_speed,) * 3)
        return tuple(scale * speed / self.rate_hz for scale, speed in zip(self.axis_scale, speeds, strict=True))


class TeleopNode(Node):
    """Reads one device, and publishes the motions that it proposes."""

    # rclpy may take a node down whose __init__ raised.
    _device: PolledDevice | None = None

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("teleop_node", **kwargs)
        self.given = given = declare_parameters(self, TeleopParameters)
        default = DEFAULT_PROFILES.get(given.device)
        self._profile = load_profile(given.profile or default) if default else None
        self._hold = HoldToRun(steps=given.steps(), dead_zone=given.dead_zone, silence_s=given.silence_s)
        self._state: ArbiterState | None = None
        self._joy_buttons: Sequence[int] | None = None
        self._told_to_let_go = False
        # A node that starts again must not look like a replay of itself: the arbiter refuses a step that has been.
        self._step = time.time_ns() // 1_000_000
        self._last = self._hold.propose(time.monotonic())
        self._device = self._open_device()
        self._publisher = self.create_publisher(ArmCommand, topics.TELEOP_COMMAND, topics.STREAM)
        self._calls = ModeCalls(self, given.reset_reason)
        self.create_subscription(ArbiterState, topics.ARBITER_STATE, self._on_state, topics.LATCHED)
        self.create_subscription(ArmCommand, topics.POLICY_COMMAND, self._on_policy, topics.STREAM)
        if self._device is None:
            # Best effort connects to every driver; what a lost message said, the next one says again.
            self.create_subscription(Joy, topics.JOY, self._on_joy, qos_profile_sensor_data)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(POLL_S, self._poll, clock=steady)
        self.create_timer(1.0 / given.rate_hz, self._tick, clock=steady)
        self._diagnostics = diagnostics.Diagnostics(self, self._report)
        self.get_logger().info(f"device {given.device}:\n{self._keys()}")

    def destroy_node(self) -> None:
        """Give the device back as well, and wait until whoever listens has the last command."""
        if self._device is not None:
            self._device.close()
        # A process that ends at once takes what it has just published with it: here, a release.
        if publisher := getattr(self, "_publisher", None):
            publisher.wait_for_all_acked(Duration(seconds=LAST_WORDS_S))
        super().destroy_node()

    def _open_device(self) -> PolledDevice | None:
        if self.given.device == "keyboard":
            return keyboard.Keyboard()
        if self.given.device == "spacemouse":
            assert self._profile is not None, "a spacemouse has one"
            return spacemouse.SpaceMouse(self._profile)
        return None

    def _keys(self) -> str:
        return keyboard.KEYS if self._profile is None else self._profile.keys

    def _on_joy(self, message: Joy) -> None:
        assert self._profile is not None, "only subscribed to with one"
        stamp = to_seconds(message.header.stamp) or self._now_s()
        before, self._joy_buttons = self._joy_buttons, list(message.buttons)
        with self._release_on_error():
            self._take(read_joy(message.axes, message.buttons, before, self._profile, stamp))

    def _poll(self) -> None:
        if self._device is None:
            self._publish_release()
            return
        with self._release_on_error():
            self._take(self._device.poll(self._now_s()))

    def _take(self, reading: Reading) -> None:
        # The e-stop goes first, before anything that takes time.
        for event in sorted(reading.events, key=lambda event: event != Event.ESTOP):
            self._calls.send(event)
        self._hold.take(reading, time.monotonic())
        if Event.ESTOP in reading.events:
            self._hold.disarm()
        if self._hold.must_let_go and not self._told_to_let_go:
            self.get_logger().warning("the deadman is held but does not count: let go of it and press it again")
        self._told_to_let_go = self._hold.must_let_go
        self._publish_release()

    def _publish_release(self) -> None:
        """Publish at once if deadman, motion or enable has ended; everything else waits for its tick."""
        last, now = self._last, self._hold.propose(time.monotonic())
        if (last.deadman and not now.deadman) or (last.moves and not now.moves) or (last.enable and not now.enable):
            self._publish(now)

    @contextlib.contextmanager
    def _release_on_error(self) -> Iterator[None]:
        """Publish the release before an error of a reading ends the node."""
        try:
            yield
        except Exception:
            self._hold.disarm()
            self._publish_release()
            raise

    def _tick(self) -> None:
        if self._lives():
            self._publish(self._hold.propose(time.monotonic()))

    def _lives(self) -> bool:
        """Whether there is a device: it has sent a reading, and for Joy its driver is still there."""
        if self._hold.reading is None:
            return False
        return self._device is not None or self.count_publishers(topics.JOY) > 0

    def _publish(self, proposal: Proposal) -> None:
        self._last = proposal
        self._step += 1
        message = ArmCommand(source="teleop", step=self._step, deadman=proposal.deadman)
        message.header.stamp = self.get_clock().now().to_msg()
        message.header.frame_id = self.given.frame_id
        message.epoch = 0 if self._state is None else self._state.epoch
        message.observation_stamp = to_stamp(proposal.stamp_s)
        message.delta = [float(number) for number in proposal.delta]
        message.operator_enable = proposal.enable and not self._calls.estop_open
        self._publisher.publish(message)

    def _on_state(self, state: ArbiterState) -> None:
        before, self._state = self._state, state
        if before is None or before.mode != state.mode:
            name, why = MODES.get(state.mode, str(state.mode)), "; ".join(state.reasons)
            arrow = f"{MODES.get(before.mode, str(before.mode))} -> {name}" if before is not None else name
            self.get_logger().info(f"arbiter: {arrow}{': ' if why else ''}{why}")

    def _on_policy(self, command: ArmCommand) -> None:
        """Follow the policy's gripper, so that a takeover does not drop what the gripper holds."""
        gripper = command.delta[6]
        if self._state is not None and self._state.active_source == "policy" and math.isfinite(gripper):
            self._hold.gripper = OPEN if gripper > 0 else CLOSED

    def _now_s(self) -> float:
        return to_seconds(self.get_clock().now().to_msg())

    def _report(self) -> diagnostics.Report:
        device = self.given.device
        if not self._lives():
            if self._device is not None or self._profile is None:
                return diagnostics.WARN, f"{device}: no reading yet", {}
            topic = self.resolve_topic_name(topics.JOY)
            return diagnostics.WARN, f"no Joy message on {topic}: run {self._profile.driver}", {}
        silence = self._hold.silence(time.monotonic())
        values = {
            "deadman": "held" if self._last.deadman else "free",
            "operator_enable": self._last.enable,
            "gripper": "open" if self._hold.gripper > 0 else "closed",
            "seconds_since_reading": f"{silence:.3f}",
        }
        if self._calls.estop_open:
            return diagnostics.ERROR, "an e-stop is not answered: use the hardware button", values
        if self._hold.must_let_go:
            return diagnostics.WARN, "the deadman does not count: let go of it and press it again", values
        return diagnostics.OK, f"{device}: there", values


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the node; returns the exit code of the process."""
    return run_node(TeleopNode, arguments)


if __name__ == "__main__":
    sys.exit(main())
