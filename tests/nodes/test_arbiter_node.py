"""The arbiter as its own process, between a person, a policy and a driver that are played by the test at the wire."""

import time

import numpy as np
import pytest
from rclpy.node import Node
from ros_graph import Graph
from sensor_msgs.msg import CameraInfo, JointState
from std_msgs.msg import String
from std_srvs.srv import Trigger

from rlvla_core.control.arbiter import OPERATOR_EVENTS, ArbiterConfig, Mode
from rlvla_core.control.arm import ArmConfig
from rlvla_msgs.msg import ArbiterState, ArmCommand, Intervention, JointTarget
from rlvla_msgs.srv import SetMode
from rlvla_nodes import topics
from rlvla_nodes.arbiter_node import ArbiterNode
from rlvla_nodes.config_files import config_folder
from rlvla_sim.robots import robot

ARM_FILE = config_folder("") / "arms" / "widowx250s.yaml"
ARM = ArmConfig.from_yaml(ARM_FILE)
REST = 1e-6
"""Radians a tick below which the command stands still."""
RIGHT = [0.0, 0.02, 0.0, 0.0, 0.0, 0.0, 1.0]
"""2 cm to the side."""


class Bench(Node):
    """A driver that follows at once, a camera, a policy, a teleop device and a person."""

    def __init__(self, **kwargs) -> None:
        super().__init__("bench", **kwargs)
        self.joints = list(robot("widowx250s").arm_start)
        self.camera = self.driver = self.moves = self.holds_deadman = False
        self.operator, self.stuck = True, False
        self.state = ArbiterState()
        self.targets: list[tuple[float, np.ndarray]] = []
        self.interventions: list[Intervention] = []
        self.step = 0
        self.states = self.create_publisher(JointState, topics.JOINT_STATES, topics.STREAM)
        self.infos = self.create_publisher(CameraInfo, topics.CAMERA_INFO, topics.STREAM)
        self.policy = self.create_publisher(ArmCommand, topics.POLICY_COMMAND, topics.STREAM)
        self.teleop = self.create_publisher(ArmCommand, topics.TELEOP_COMMAND, topics.STREAM)
        description = self.create_publisher(String, topics.ROBOT_DESCRIPTION, topics.LATCHED)
        description.publish(String(data=robot("widowx250s").urdf().read_text()))
        self.create_subscription(ArbiterState, topics.ARBITER_STATE, self.on_state, topics.LATCHED)
        self.create_subscription(JointTarget, topics.JOINT_TARGET, self.on_target, topics.STREAM)
        self.create_subscription(Intervention, topics.INTERVENTIONS, self.interventions.append, topics.EVENTS)
        self.set_mode = self.create_client(SetMode, topics.SET_MODE)
        self.estop = self.create_client(Trigger, topics.ESTOP)
        self.create_timer(0.02, self.drive)
        self.create_timer(0.05, self.be_a_person)
        self.create_timer(0.1, self.look)
        self.create_timer(0.2, self.decide)

    def on_state(self, message: ArbiterState) -> None:
        self.state = message

    def on_target(self, message: JointTarget) -> None:
        self.targets.append((time.monotonic(), np.array(message.positions[-6:])))
        if not self.stuck:
            self.joints = list(message.positions[-6:])

    def drive(self) -> None:
        if self.driver:
            message = JointState(name=[*ARM.joints, "left_finger"], position=[*self.joints, 0.037])
            message.header.stamp = self.get_clock().now().to_msg()
            self.states.publish(message)

    def look(self) -> None:
        if self.camera:
            self.infos.publish(CameraInfo(width=640, height=480))

    def decide(self) -> None:
        if self.moves and self.state.mode == ArbiterState.POLICY:
            self.command(self.policy, RIGHT)

    def be_a_person(self) -> None:
        if self.operator:
            delta = [0.0, 0.005, 0.0, 0.0, 0.0, 0.0, 1.0] if self.holds_deadman else [0.0] * 6 + [1.0]
            self.command(self.teleop, delta, deadman=self.holds_deadman, operator_enable=True)

    def command(self, publisher, delta, **changes) -> None:
        self.step += 1
        message = ArmCommand(source="policy", epoch=self.state.epoch, step=self.step, delta=np.array(delta, float))
        message.header.stamp = message.observation_stamp = self.get_clock().now().to_msg()
        for name, value in changes.items():
            setattr(message, name, value)
        publisher.publish(message)

    def is_moving(self) -> bool:
        """Whether the last two commanded points differ."""
        return len(self.targets) > 1 and float(np.abs(self.targets[-1][1] - self.targets[-2][1]).max()) > REST

    def last_motion(self) -> float:
        """When the commanded joints last changed, seconds."""
        for (_, before), (at, after) in reversed(list(zip(self.targets, self.targets[1:], strict=False))):
            if np.abs(after - before).max() > REST:
                return at
        return float("-inf")


@pytest.fixture
def bench(graph: Graph):
    bench = graph.make(Bench)
    bench.process = graph.process("rlvla_nodes", "arbiter_node", "--ros-args", "-p", f"arm:={ARM_FILE}")
    assert graph.until(bench.set_mode.service_is_ready, 20), bench.process.output
    return bench


def press(graph: Graph, bench: Bench, event: str, reason: str = "") -> SetMode.Response:
    for _ in range(3):  # a service that has just been discovered may lose its first answer
        answer = bench.set_mode.call_async(SetMode.Request(event=event, reason=reason))
        if graph.until(answer.done, 2):
            return answer.result()
    raise AssertionError(f"no answer to {event}: {bench.process.output}")


def start(graph: Graph, bench: Bench) -> None:
    """Everything there, policy moving."""
    bench.driver = bench.camera = bench.moves = True
    assert graph.until(lambda: press(graph, bench, "enable").success, 10)
    for _ in range(10):  # until camera and policy have found the arbiter, a start ends in HOLD
        press(graph, bench, "start")
        if graph.until(bench.is_moving, 1):
            return
    raise AssertionError(bench.process.output)


def reaches(graph: Graph, bench: Bench, mode: int, timeout: float) -> float:
    """Seconds until the mode is reached."""
    began = time.monotonic()
    assert graph.until(lambda: bench.state.mode == mode, timeout), bench.process.output
    return time.monotonic() - began


def test_limits_modes_and_events_are_those_of_the_documents(graph):
    """The pages docs/reference/control.md and ros_graph.md say how long each input may be silent [s], and that a real
    arm needs an operator and the limits of its file."""
    controller = graph.make(ArbiterNode, arm=str(ARM_FILE)).controller
    assert controller.watchdogs.limits == {"joint_states": 0.2, "camera": 0.4, "policy": 0.45}
    assert controller.arbiter.config == ArbiterConfig(operator_required=True, operator_s=1.0, teleop_s=0.15)
    assert controller.config == ARM
    assert {mode.name: int(mode) for mode in Mode} == {mode.name: getattr(ArbiterState, mode.name) for mode in Mode}
    assert set(OPERATOR_EVENTS) == {"enable", "disable", "start", "hold", "estop", "reset", "clear_fault"}


def test_nothing_is_commanded_before_it_is_enabled_and_started(graph, bench):
    assert graph.until(lambda: "no fresh joint states" in press(graph, bench, "enable").message, 10)
    assert "`enable` first" in press(graph, bench, "start").message
    assert "unknown event `dance`" in press(graph, bench, "dance").message
    bench.driver = bench.camera = bench.moves = True
    graph.spin(0.3)
    assert not bench.targets
    assert press(graph, bench, "enable").success
    still = list(bench.joints)
    graph.spin(0.5)
    assert bench.targets and np.abs(np.array(bench.joints) - still).max() < REST
    assert bench.state.mode == ArbiterState.READY


def test_a_policy_moves_the_arm_only_with_an_operator(graph, bench):
    bench.driver = bench.camera = True
    bench.operator = False
    assert graph.until(lambda: press(graph, bench, "enable").success, 10)
    graph.spin(1.2)  # what the operator said before has grown old
    assert "operator's heartbeat" in press(graph, bench, "start").message
    bench.operator = True
    graph.spin(0.2)
    bench.moves = True
    assert press(graph, bench, "start").success
    assert graph.until(bench.is_moving, 2)
    bench.operator = False
    assert reaches(graph, bench, ArbiterState.HOLD, 2.0) < 1.5
    assert "operator" in bench.state.reasons[-1]


def test_what_is_commanded_comes_from_the_filter_and_every_change_is_said(graph, bench):
    start(graph, bench)
    assert graph.until(lambda: any(change.code == "workspace" for change in bench.interventions), 15)
    change = next(change for change in bench.interventions if change.code == "workspace")
    assert change.verdict == "clamp" and change.source == "policy" and change.before[1] > change.after[1]
    bench.moves = False
    bench.command(bench.policy, [float("nan")] * 7)
    assert graph.until(lambda: any(change.code == "not_finite" for change in bench.interventions), 2)
    joints = np.array([point for _, point in bench.targets])
    assert np.abs(np.diff(joints, axis=0)).max() <= max(ARM.motion.joint_speed) * 0.01 * 3  # a point may be missed


def test_silence_of_policy_and_camera_holds(graph, bench):
    start(graph, bench)
    bench.moves = False
    assert reaches(graph, bench, ArbiterState.HOLD, 2.0) <= 0.75  # the last command may be 0.2 s old, or new
    assert "policy" in bench.state.reasons[-1]
    graph.spin(0.3)
    assert not bench.is_moving()
    bench.moves = True
    graph.spin(0.3)
    assert bench.state.mode == ArbiterState.HOLD, "coming back is not enough"
    assert press(graph, bench, "start").success
    assert graph.until(bench.is_moving, 2)
    bench.camera = False
    assert reaches(graph, bench, ArbiterState.HOLD, 2.0) <= 0.5
    assert "camera" in bench.state.reasons[-1]


def test_letting_go_of_the_deadman_stops_within_100_ms_and_never_goes_back_to_the_policy(graph, bench):
    start(graph, bench)
    bench.holds_deadman = True
    reaches(graph, bench, ArbiterState.TELEOP, 1.0)
    assert bench.state.active_source == "teleop"
    graph.spin(0.5)
    assert graph.until(bench.is_moving, 1)
    bench.holds_deadman = False
    released = time.monotonic()
    bench.be_a_person()
    reaches(graph, bench, ArbiterState.HOLD, 1.0)
    graph.spin(0.5)
    assert bench.last_motion() - released <= 0.1
    assert bench.state.mode == ArbiterState.HOLD
    bench.holds_deadman = True
    reaches(graph, bench, ArbiterState.TELEOP, 1.0)
    bench.operator = False  # the device is unplugged while it is held
    assert reaches(graph, bench, ArbiterState.HOLD, 1.0) <= 0.4
    bench.operator = True  # plugged in again, still held
    graph.spin(0.3)
    assert bench.state.mode == ArbiterState.HOLD
    bench.holds_deadman = False
    graph.spin(0.2)
    bench.holds_deadman = True
    reaches(graph, bench, ArbiterState.TELEOP, 1.0)


def test_estop_stops_within_50_ms_is_latched_and_wants_a_reason(graph, bench):
    start(graph, bench)
    assert graph.until(bench.is_moving, 2)
    asked = time.monotonic()
    answer = bench.estop.call_async(Trigger.Request())
    assert graph.until(answer.done, 2) and answer.result().success
    graph.spin(0.3)
    assert bench.last_motion() - asked <= 0.05
    assert bench.state.mode == ArbiterState.ESTOP
    assert not press(graph, bench, "enable").success and not press(graph, bench, "start").success
    assert "needs a reason" in press(graph, bench, "reset").message
    assert press(graph, bench, "reset", "a cable was caught; freed").success
    assert bench.state.mode == ArbiterState.DISABLED or graph.until(lambda: bench.state.mode == 0, 1)


def test_without_joint_states_it_is_a_fault_that_a_person_must_clear(graph, bench):
    start(graph, bench)
    bench.driver = False
    assert reaches(graph, bench, ArbiterState.FAULT, 1.0) <= 0.4
    assert "joint_states" in bench.state.reasons[-1]
    bench.driver = True
    graph.spin(0.3)
    assert bench.state.mode == ArbiterState.FAULT
    assert press(graph, bench, "clear_fault").success
    reaches(graph, bench, ArbiterState.HOLD, 1.0)


def test_an_arm_that_does_not_follow_is_a_fault_and_goes_on_from_where_it_is(graph, bench):
    start(graph, bench)
    bench.stuck = True
    reaches(graph, bench, ArbiterState.FAULT, 3.0)
    assert "away from its command" in bench.state.reasons[-1]
    assert press(graph, bench, "clear_fault").success
    graph.spin(0.2)
    assert np.abs(bench.targets[-1][1] - bench.joints).max() < REST


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["-p", f"arm:={ARM_FILE}", "-p", "tick_hertz:=50.0"],
            "no parameter `tick_hertz`: did you mean `tick_hz`?",
        ),
        ([], "no arm: set the parameter `arm`"),
        (["-p", "arm:=nowhere.yaml"], "nowhere.yaml"),
        (["-p", f"arm:={ARM_FILE}", "-p", "autostart:=policy"], "are for simulated arms"),
    ],
)
def test_bad_parameters_end_it_with_one_line(graph, arguments, line):
    process = graph.process("rlvla_nodes", "arbiter_node", "--ros-args", *arguments)
    assert process.wait(20) == 1
    assert line in process.output
    assert len([text for text in process.output.splitlines() if text]) == 1, process.output
