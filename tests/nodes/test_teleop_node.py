"""teleop_node in a real ROS graph: Joy messages in, commands and SetMode calls out."""

import itertools
import signal
import statistics
import time

import pytest
from rclpy.node import Node
from ros_graph import Graph
from sensor_msgs.msg import Joy

from rlvla_core.errors import RlvlaError
from rlvla_msgs.msg import ArbiterState, ArmCommand
from rlvla_msgs.srv import SetMode
from rlvla_nodes import topics
from rlvla_nodes.convert import to_seconds
from rlvla_nodes.teleop.profile import load_profile
from rlvla_nodes.teleop_node import TeleopNode, TeleopParameters

GAMEPAD = load_profile("gamepad")
FORWARD = (0.0, 1.0, 0.0, 0.0, 0.0, 0.0)


class Desk:
    """A gamepad's driver and a listener on the arbiter's side, in one node."""

    def __init__(self, graph: Graph, teleop: bool = True, **parameters: object) -> None:
        self.graph = graph
        # Pauses of a busy test machine are not what most of these tests are about.
        parameters.setdefault("silence_s", 0.5)
        self.node = graph.make(Node, "desk")
        self.joy = self.node.create_publisher(Joy, topics.JOY, 10)
        self.state = self.node.create_publisher(ArbiterState, topics.ARBITER_STATE, topics.LATCHED)
        self.policy = self.node.create_publisher(ArmCommand, topics.POLICY_COMMAND, topics.STREAM)
        self.heard: list[tuple[float, ArmCommand]] = []
        self.node.create_subscription(ArmCommand, topics.TELEOP_COMMAND, self._hear, topics.STREAM)
        self.events: list[tuple[str, str]] = []
        self.axes, self.down = (0.0,) * 6, set[int]()
        self.teleop = graph.make(TeleopNode, **parameters) if teleop else None
        assert graph.until(lambda: self.joy.get_subscription_count() and self.node.count_publishers("teleop/command"))

    def _hear(self, command: ArmCommand) -> None:
        self.heard.append((time.monotonic(), command))

    def say(self) -> None:
        """One Joy message."""
        message = Joy(axes=list(self.axes), buttons=[int(number in self.down) for number in range(21)])
        message.header.stamp = self.node.get_clock().now().to_msg()
        self.joy.publish(message)

    def run(self, seconds: float, rate_hz: float = 30.0) -> None:
        """A driver that repeats what it sees, for a time."""
        for _ in range(max(1, round(seconds * rate_hz))):
            self.say()
            self.graph.spin(1.0 / rate_hz)

    def hold(self, *down: int, axes: tuple[float, ...] = FORWARD) -> None:
        """Change what is held, and say so once."""
        self.axes, self.down = axes, set(down)
        self.say()

    def serve(self, mode: int = ArbiterState.READY, success: bool = True, message: str = "") -> None:
        """Answer SetMode."""

        def answer(request: SetMode.Request, response: SetMode.Response) -> SetMode.Response:
            self.events.append((request.event, request.reason))
            response.success, response.mode, response.message = success, mode, message
            return response

        self.node.create_service(SetMode, topics.SET_MODE, answer)

    @property
    def last(self) -> ArmCommand:
        return self.heard[-1][1]


def test_press_moves_and_release_stops_at_once(graph: Graph) -> None:
    desk = Desk(graph)
    desk.run(0.2)
    assert not desk.last.deadman
    delays = []
    for _ in range(5):
        desk.hold(GAMEPAD.deadman)
        desk.run(0.3)
        assert desk.last.deadman and desk.last.source == "teleop" and desk.last.header.frame_id == "base_link"
        assert list(desk.last.delta) == pytest.approx([0.1 / 20, 0, 0, 0, 0, 0, 1.0])
        del desk.heard[:]
        released = time.monotonic()
        desk.hold()
        assert graph.until(lambda: desk.heard and not desk.last.deadman, 2.0)
        delays.append(desk.heard[-1][0] - released)
        assert not any(desk.last.delta[:6])
        desk.run(0.1)
    print(f"release to zero command: {[f'{1e3 * seconds:.1f} ms' for seconds in delays]}")
    assert statistics.median(delays) <= 0.1
    steps = [command.step for _, command in desk.heard]
    assert all(b > a for a, b in itertools.pairwise(steps))


def test_commands_keep_their_rate_and_name_the_reading(graph: Graph) -> None:
    desk = Desk(graph)
    assert not desk.heard, "no device has been heard yet"
    desk.run(2.0)
    first, last = desk.heard[0][0], desk.heard[-1][0]
    assert (len(desk.heard) - 1) / (last - first) == pytest.approx(20.0, rel=0.1)
    now = to_seconds(desk.last.header.stamp)
    assert 0 <= now - to_seconds(desk.last.observation_stamp) < 0.2


def test_silence_while_held_is_a_release_and_needs_a_new_press(graph: Graph) -> None:
    desk = Desk(graph)
    desk.run(0.1)
    desk.hold(GAMEPAD.deadman, GAMEPAD.enable)
    desk.run(0.3)
    assert desk.last.deadman and desk.last.operator_enable
    desk.say()
    silent_from = time.monotonic()
    assert graph.until(lambda: not desk.last.deadman, 2.0)
    took = desk.heard[-1][0] - silent_from
    print(f"silence to zero command: {1e3 * took:.0f} ms")
    assert 0.49 < took < 0.8
    assert not any(desk.last.delta[:6]) and not desk.last.operator_enable
    desk.run(0.3)
    assert not desk.last.deadman, "it is still the old press"
    desk.hold()
    desk.run(0.1)
    desk.hold(GAMEPAD.deadman)
    desk.run(0.2)
    assert desk.last.deadman


def test_a_driver_that_dies_leaves_a_release_and_then_no_commands(graph: Graph) -> None:
    desk = Desk(graph)
    desk.run(0.1)
    desk.hold(GAMEPAD.deadman)
    desk.run(0.2)
    desk.node.destroy_publisher(desk.joy)
    assert graph.until(lambda: not desk.last.deadman, 2.0)
    graph.spin(0.2)
    count = len(desk.heard)
    graph.spin(0.4)
    assert len(desk.heard) == count


def test_stick_noise_and_sticks_without_the_deadman_move_nothing(graph: Graph) -> None:
    desk = Desk(graph)
    desk.hold(axes=(1.0, 1.0, 1.0, 1.0, 0.0, 0.0))
    desk.run(0.2)
    desk.hold(GAMEPAD.deadman, axes=(0.09, -0.08, 0.099, -0.05, -0.02, 0.0))
    desk.run(0.3)
    assert desk.last.deadman
    assert not any(any(command.delta[:6]) for _, command in desk.heard)


def test_the_silence_of_the_parameter_is_the_one_that_counts(graph: Graph) -> None:
    """The best of some tries: a pause of the machine may shorten or lengthen one of them."""
    desk = Desk(graph, silence_s=TeleopParameters.silence_s)
    took = []
    for _ in range(3):
        desk.hold()
        desk.run(0.1)
        desk.hold(GAMEPAD.deadman)
        if graph.until(lambda: desk.last.deadman, 0.12):
            desk.say()
            silent_from = time.monotonic()
            assert graph.until(lambda: not desk.last.deadman, 2.0)
            took.append(desk.heard[-1][0] - silent_from)
    print(f"silence to zero command: {[f'{1e3 * seconds:.0f} ms' for seconds in took]}")
    assert 0.12 < min(took) < 0.2


def test_axis_scale_turns_and_locks_directions(graph: Graph) -> None:
    desk = Desk(graph, axis_scale=[-0.5, 0.0, 1.0, 1.0, 1.0, 1.0], linear_speed=0.2)
    desk.run(0.1)
    desk.hold(GAMEPAD.deadman, axes=(1.0, 1.0, 0.0, 0.0, 0.0, 0.0))
    desk.run(0.2)
    assert list(desk.last.delta) == pytest.approx([-0.005, 0, 0, 0, 0, 0, 1.0])


def test_the_spacemouse_profile_moves_all_six(graph: Graph) -> None:
    desk = Desk(graph, profile="spacemouse", dead_zone=0.0)
    desk.run(0.1)
    desk.hold(0, axes=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6))
    desk.run(0.2)
    expected = [0.005 * 0.1, 0.005 * 0.2, 0.005 * 0.3, 0.025 * 0.4, 0.025 * 0.5, 0.025 * 0.6, 1.0]
    assert list(desk.last.delta) == pytest.approx(expected)


def test_the_epoch_is_the_arbiters_and_the_gripper_is_what_the_policy_left(graph: Graph) -> None:
    desk = Desk(graph)
    desk.state.publish(ArbiterState(mode=ArbiterState.POLICY, active_source="policy", epoch=7))
    desk.run(0.3)
    assert desk.last.epoch == 7
    desk.policy.publish(ArmCommand(source="policy", delta=[0.0] * 6 + [-1.0]))
    desk.run(0.2)
    desk.hold(GAMEPAD.deadman)
    desk.run(0.2)
    assert desk.last.delta[6] == -1.0, "taking over drops nothing"
    desk.state.publish(ArbiterState(mode=ArbiterState.TELEOP, active_source="teleop", epoch=8))
    desk.run(0.1)
    desk.policy.publish(ArmCommand(source="policy", delta=[0.0] * 6 + [1.0]))
    desk.run(0.2)
    assert (desk.last.epoch, desk.last.delta[6]) == (8, -1.0)
    desk.hold(GAMEPAD.deadman, GAMEPAD.gripper)
    desk.run(0.1)
    assert desk.last.delta[6] == 1.0


def test_each_button_calls_its_event_once(graph: Graph) -> None:
    desk = Desk(graph)
    desk.serve()
    assert graph.until(lambda: desk.teleop._calls._client.service_is_ready())
    desk.run(0.1)
    for event, button in [(each.event, each.button) for each in GAMEPAD.events]:
        desk.hold(button)
        desk.run(0.15)
        desk.hold()
        desk.run(0.05)
        # A busy machine may answer an e-stop after its first retry.
        assert set(desk.events) == {(event, "reset by the operator at the teleop device" if event == "reset" else "")}
        assert len(desk.events) == 1 or event == "estop"
        del desk.events[:]


def test_the_estop_is_repeated_until_somebody_answers(graph: Graph) -> None:
    desk = Desk(graph)
    desk.run(0.1)
    desk.hold(GAMEPAD.deadman, GAMEPAD.enable)
    desk.run(0.2)
    assert desk.last.operator_enable
    desk.hold(GAMEPAD.deadman, GAMEPAD.enable, GAMEPAD.button_of("estop"))
    desk.run(0.5)
    assert not desk.last.deadman and not desk.last.operator_enable
    desk.serve()
    assert graph.until(lambda: ("estop", "") in desk.events, 3.0)
    graph.spin(0.3)
    count = len(desk.events)
    desk.run(0.5)
    assert len(desk.events) == count, "answered"
    assert not desk.last.deadman, "the deadman was held all the time"


def test_an_estop_with_an_arbiter_is_answered_quickly(graph: Graph) -> None:
    desk = Desk(graph)
    desk.serve()
    assert graph.until(lambda: desk.teleop._calls._client.service_is_ready())
    desk.run(0.1)
    desk.hold(GAMEPAD.button_of("estop"))
    pressed = time.monotonic()
    assert graph.until(lambda: desk.events, 2.0)
    took = time.monotonic() - pressed
    print(f"e-stop press to service: {1e3 * took:.1f} ms")
    assert took < 0.1


@pytest.mark.parametrize(
    ("axes", "buttons", "word"), [([0.0] * 2, [0] * 21, "gamepad"), ([float("nan")] * 6, [0] * 21, "nan")]
)
def test_a_joy_message_that_does_not_fit_ends_the_node_after_a_release(
    graph: Graph, axes: list[float], buttons: list[int], word: str
) -> None:
    desk = Desk(graph)
    desk.run(0.1)
    desk.hold(GAMEPAD.deadman)
    desk.run(0.2)
    assert desk.last.deadman
    desk.joy.publish(Joy(axes=axes, buttons=buttons))
    with pytest.raises(RlvlaError, match=word):
        graph.spin(1.0)
    assert graph.until(lambda: not desk.last.deadman, 0.5)


WRONG = [
    ({"rate_hz": 5.0}, "rate_hz is 5.0"),
    ({"axis_scale": [1.0]}, "axis_scale"),
    ({"dead_zone": 1.0}, "dead_zone"),
    ({"linear_speed": 0.0}, "speeds"),
    ({"silence_s": 3.0}, "silence_s"),
    ({"reset_reason": " "}, "reset_reason"),
    ({"device": "mouse"}, "joy, keyboard, spacemouse"),
]


def test_wrong_parameters_are_refused(graph: Graph) -> None:
    for parameters, word in WRONG:
        with pytest.raises(RlvlaError, match=word):
            graph.make(TeleopNode, **parameters)


def test_what_the_operator_reads(graph: Graph) -> None:
    """Map at the start, changes of mode with reasons, refusals, missing arbiter; two Ctrl-C end it with 0."""
    process = graph.process("rlvla_nodes.teleop_node")
    desk = Desk(graph, teleop=False)
    # Both sides must have found each other before a single message counts.
    assert graph.until(lambda: desk.say() or desk.heard)
    desk.run(0.1)
    desk.hold(GAMEPAD.button_of("start"))
    desk.run(0.1)
    assert graph.until(lambda: "`start` was not sent: no node offers /arbiter/set_mode" in process.output), (
        process.output
    )
    desk.serve(success=False, message="the calibration is too old")
    desk.state.publish(ArbiterState(mode=ArbiterState.POLICY))
    assert graph.until(lambda: "arbiter: POLICY" in process.output)
    desk.state.publish(ArbiterState(mode=ArbiterState.HOLD, reasons=["image: 0.52 s > 0.4 s"]))
    assert graph.until(lambda: "arbiter: POLICY -> HOLD: image: 0.52 s > 0.4 s" in process.output)
    desk.hold()
    desk.run(0.1)
    desk.hold(GAMEPAD.button_of("start"))
    desk.run(0.1)
    assert graph.until(lambda: "`start` was refused: the calibration is too old" in process.output)
    process.signal(signal.SIGINT)
    process.signal(signal.SIGINT)
    assert process.wait() == 0
    assert "hold  right shoulder (RB)" in process.output
    assert "Traceback" not in process.output
