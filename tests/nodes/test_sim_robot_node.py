"""sim_robot_node in a real ROS graph: it gives what SimRobot gives, and refuses what a driver would refuse."""

import time
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from ros_graph import Graph
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import Header, String

from rlvla_core.errors import RlvlaError
from rlvla_msgs.msg import JointTarget
from rlvla_msgs.srv import EpisodeResult, ResetEpisode
from rlvla_nodes import topics
from rlvla_nodes.convert import camera_info_message, image_of, to_seconds
from rlvla_nodes.sim_robot_node import SimRobotNode
from rlvla_sim import WorldConfig
from rlvla_sim.sim_robot import SimRobot

SMALL = {"image_width": 64, "image_height": 64}
MAX_STEPS, EPISODE, POINTS, TICK_S = 4, 77, 20, 0.01


class Driver:
    """Whoever commands the simulated robot and looks at it."""

    def __init__(self, graph: Graph, *, lock_step: bool = True, **parameters: Any) -> None:
        self.graph = graph
        self.images: list[Image] = []
        self.infos: list[CameraInfo] = []
        self.states: list[JointState] = []
        self.status = DiagnosticStatus()
        self.node = node = graph.make(Node, "driver")
        node.create_subscription(Image, topics.IMAGE, self.images.append, topics.EVENTS)
        node.create_subscription(CameraInfo, topics.CAMERA_INFO, self.infos.append, topics.EVENTS)
        node.create_subscription(JointState, topics.JOINT_STATES, self.states.append, topics.EVENTS)
        node.create_subscription(DiagnosticArray, topics.DIAGNOSTICS, self._on_status, topics.EVENTS)
        self._targets = node.create_publisher(JointTarget, topics.JOINT_TARGET, topics.STREAM)
        self._reset = node.create_client(ResetEpisode, topics.RESET_EPISODE)
        self._result = node.create_client(EpisodeResult, topics.EPISODE_RESULT)
        self.robot = graph.make(SimRobotNode, lock_step=lock_step, **{**SMALL, **parameters})
        assert graph.until(lambda: self._reset.service_is_ready() and self._result.service_is_ready())
        assert graph.until(self._targets.get_subscription_count)
        assert graph.until(lambda: self.robot._images.get_subscription_count())
        assert graph.until(lambda: self.robot._joint_states.get_subscription_count())
        assert graph.until(lambda: self.robot._infos.get_subscription_count())

    def _on_status(self, message: DiagnosticArray) -> None:
        self.status = message.status[0]

    def call(self, client: Any, request: Any) -> Any:
        answer = client.call_async(request)
        assert self.graph.until(answer.done)
        return answer.result()

    def reset(self, episode: int) -> ResetEpisode.Response:
        return self.call(self._reset, ResetEpisode.Request(episode_id=episode))

    def result(self) -> EpisodeResult.Response:
        """How the episode stands; also a sign that everything sent before has been looked at."""
        return self.call(self._result, EpisodeResult.Request())

    def move(self, angles: np.ndarray, openings: np.ndarray, /, **changes: Any) -> None:
        message = JointTarget(header=Header(), joints=list(self.robot.arm.sim_robot.robot.arm_joints), tick=TICK_S)
        message.positions, message.openings = np.ravel(angles).tolist(), np.ravel(openings).tolist()
        for name, value in changes.items():
            setattr(message, name, value)
        self._targets.publish(message)

    def line(self) -> str:
        """What the node says of itself on /diagnostics, now."""
        self.status = DiagnosticStatus()
        self.robot._diagnostics.publish()
        assert self.graph.until(lambda: self.status.name)
        return str(self.status.message)

    def latched(self, topic: str) -> str:
        """What a node hears on the topic that comes only now."""
        heard: list[String] = []
        late = self.graph.make(Node, "late")
        late.create_subscription(String, topic, heard.append, topics.LATCHED)
        assert self.graph.until(lambda: heard)
        self.graph.remove(late)
        return str(heard[-1].data)


def swings(sim_robot: SimRobot, count: int, seed: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    """Targets of a control period each: every joint goes its own way, the fingers close."""
    rng = np.random.default_rng(seed)
    joints, opening = sim_robot.target
    found = []
    for i in range(count):
        step = rng.uniform(-0.05, 0.05, joints.shape)
        found.append((joints + step * np.linspace(0, 1, POINTS)[:, None], np.full(POINTS, opening - 0.003 * i)))
        joints = joints + step
    return found


def test_one_target_gives_one_image_of_the_simulated_robot_until_the_time_is_over(graph):
    driver = Driver(graph, max_steps=MAX_STEPS)
    sim_robot = SimRobot(WorldConfig(max_steps=MAX_STEPS))
    answer = driver.reset(EPISODE)
    sim_robot.reset(EPISODE)
    assert answer.success and answer.instruction == sim_robot.world.instruction
    assert graph.until(lambda: driver.images and driver.images[-1].header.stamp == answer.stamp)
    del driver.images[:-1], driver.states[:-1], driver.infos[:-1]
    assert np.array_equal(image_of(driver.images[0]), sim_robot.world.image())
    assert driver.infos[0] == camera_info_message(sim_robot.camera, driver.images[0].header)
    for i, (joints, openings) in enumerate(swings(sim_robot, MAX_STEPS + 2)):
        if not sim_robot.over:
            sim_robot.play(joints, openings, TICK_S)
        driver.move(joints, openings)
        assert graph.until(lambda i=i: len(driver.states) == i + 2)
        result = driver.result()
        state, (positions, velocities) = driver.states[-1], sim_robot.joint_state()
        assert state.name == [*sim_robot.robot.arm_joints, *sim_robot.robot.finger_joints]
        assert np.array_equal(state.position, positions) and np.array_equal(state.velocity, velocities)
        assert to_seconds(state.header.stamp) == pytest.approx(to_seconds(answer.stamp) + 0.2 * (i + 1))
        assert (result.episode_id, result.steps) == (EPISODE, min(i + 1, MAX_STEPS))
        assert (result.success, result.success_once) == (sim_robot.world.success, sim_robot.success_once)
        assert len(driver.images) == min(i + 2, MAX_STEPS), "none of the end, none after it"
        if not sim_robot.over:
            assert np.array_equal(image_of(driver.images[-1]), sim_robot.world.image())
            assert driver.images[-1].header.stamp == state.header.stamp
    images = [image_of(image) for image in driver.images]
    assert all((a != b).any() for a, b in pairwise(images)), "the arm does not show: the test is void"


def test_a_reset_is_told_to_everybody_and_a_bad_one_changes_nothing(graph):
    driver = Driver(graph, episode=5)
    sim_robot = SimRobot(WorldConfig())
    for episode in (5, EPISODE, 1234):
        sim_robot.reset(episode)
        if episode != 5:
            before = driver.result()
            answer = driver.reset(episode)
            assert (answer.success, answer.message, answer.instruction) == (True, "", sim_robot.world.instruction)
            assert before.episode_id != episode
        assert driver.result().episode_id == episode
        assert driver.latched(topics.INSTRUCTION) == sim_robot.world.instruction
        assert np.array_equal(driver.robot.arm.sim_robot.world.image(), sim_robot.world.image())
    assert driver.latched(topics.ROBOT_DESCRIPTION) == sim_robot.robot.urdf().read_text()
    assert graph.until(lambda: driver.images)
    count, stamp = len(driver.images), driver.images[-1].header.stamp
    for bad in (len(sim_robot.episodes), 2**63):
        answer = driver.reset(bad)
        assert not answer.success and f"episode id {bad} is outside the episode set `train`" in answer.message
    assert driver.result().episode_id == 1234
    assert len(driver.images) == count and driver.images[-1].header.stamp == stamp


@pytest.mark.parametrize("lock_step", [True, False])
def test_a_bad_target_is_refused_and_moves_nothing(graph, lock_step):
    driver = Driver(graph, lock_step=lock_step)
    sim_robot = driver.robot.arm.sim_robot
    joints, openings = swings(sim_robot, 1)[0]
    names = list(sim_robot.robot.arm_joints)
    nan, inf, far = joints.copy(), openings.copy(), joints.copy()
    nan[3, 2], inf[5], far[7, 0] = np.nan, np.inf, joints[7, 0] + 0.5
    flat = joints.ravel().tolist()
    bad: list[tuple[dict[str, Any], str]] = [
        ({"joints": names[::-1]}, f"joint target for {names[::-1]}: widowx250s has {names}"),
        ({"joints": names[:-1]}, f"joint target for {names[:-1]}"),
        ({"positions": flat[:-1]}, f"joint target of {len(flat) - 1} positions, 20 openings"),
        ({"positions": [], "openings": []}, "joint target of 0 positions"),
        ({"openings": openings[:3].tolist()}, "3 openings"),
        ({"tick": 0.0}, "tick 0.0 s"),
        ({"tick": 1e-320}, "and a tick of at least"),
        ({"tick": float("nan")}, "tick nan s"),
        ({"positions": nan.ravel().tolist()}, "not finite"),
        ({"openings": inf.tolist()}, "not finite"),
        ({"positions": far.ravel().tolist()}, "it jumps by 0.5"),
        ({"positions": (joints + 1.0).ravel().tolist()}, "it jumps by 1.0"),
    ]
    target, steps = sim_robot.target[0].copy(), driver.result().steps
    qpos = sim_robot.world.physics.articulation.qpos.copy()
    for changes, line in bad:
        driver.move(joints, openings, **changes)
        assert graph.until(lambda: driver.robot._refused)
        assert line in driver.line() and driver.status.level == DiagnosticStatus.ERROR
        assert np.array_equal(sim_robot.target[0], target)
        if lock_step:
            assert np.array_equal(sim_robot.world.physics.articulation.qpos, qpos) and driver.result().steps == steps
        driver.robot._refused = ""
    driver.move(joints, openings, joints=["elbow"])
    assert graph.until(lambda: driver.robot._refused)
    driver.move(joints, openings)
    assert graph.until(lambda: np.array_equal(sim_robot.target[0], joints[-1]))
    assert driver.line() == "simulating" and driver.status.level == DiagnosticStatus.OK


def test_without_a_camera_of_its_own_the_robot_leaves_the_image_topic_to_another(graph):
    robot = graph.make(SimRobotNode, **SMALL, camera=False)
    assert robot.count_publishers(topics.JOINT_STATES) == 1
    assert robot.count_publishers(topics.IMAGE) == robot.count_publishers(topics.CAMERA_INFO) == 0
    graph.spin(0.5)


def test_in_real_time_everything_comes_at_its_rate(graph):
    driver = Driver(graph, lock_step=False, camera_hz=10.0)
    sim_robot = driver.robot.arm.sim_robot
    assert graph.until(lambda: len(driver.states) > 5)
    driver.states.clear(), driver.images.clear()
    began, substeps = time.monotonic(), sim_robot._substep
    graph.spin(2.0)
    passed, played = time.monotonic() - began, (sim_robot._substep - substeps) / sim_robot.config.physics_hz
    late = float(driver.robot.arm.late_s)
    stamps = [[to_seconds(message.header.stamp) for message in kind] for kind in (driver.states, driver.images)]
    rates = [(len(times) - 1) / (times[-1] - times[0]) for times in stamps]
    print(f"joint states {rates[0]:.1f} Hz, images {rates[1]:.1f} Hz, physics {played / passed:.3f}, late {late} s")
    assert rates[0] == pytest.approx(50.0, rel=0.15)
    assert rates[1] == pytest.approx(10.0, rel=0.1)
    assert played + late == pytest.approx(passed, rel=0.1)
    for times in stamps:
        assert all(b > a for a, b in pairwise(times)) and abs(times[-1] - time.time()) < 0.3


def test_the_arm_goes_where_it_is_told_and_says_when_nobody_tells_it(graph):
    driver = Driver(graph, lock_step=False)
    assert "no joint targets" in driver.line() and driver.status.level == DiagnosticStatus.WARN
    joints, opening = driver.robot.arm.sim_robot.target
    goal = joints + np.linspace(-0.1, 0.1, len(joints))
    timer = driver.node.create_timer(0.02, lambda: driver.move(goal, np.array([opening])))

    def error() -> float:
        return float(np.abs(np.array(driver.states[-1].position[: len(goal)]) - goal).max())

    assert graph.until(lambda: driver.states) and error() > 0.05
    assert graph.until(lambda: error() < 0.02, 5.0), error()
    assert driver.line() == "simulating"
    timer.cancel()
    graph.spin(1.5 * driver.robot.given.command_timeout_s)
    assert "no joint targets" in driver.line()
    assert error() < 0.02


def test_after_a_stall_time_is_set_back_and_images_go_on_at_once(graph):
    driver = Driver(graph, lock_step=False, camera_hz=20.0)
    assert graph.until(lambda: len(driver.images) > 2)
    time.sleep(1.0)
    count, played, began = len(driver.images), driver.robot.arm.sim_robot._substep, time.monotonic()
    assert graph.until(lambda: len(driver.images) >= count + 4, 2.0)
    assert time.monotonic() - began < 0.6
    assert driver.robot.arm.late_s > 0.5
    assert 0 < driver.robot.arm.sim_robot._substep - played < 1.0 * driver.robot.arm.sim_robot.config.physics_hz, (
        "not made up for"
    )
    driver.line()
    assert float({each.key: each.value for each in driver.status.values}["behind real time [s]"]) > 0.5


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"robot": "ur5"}, "unknown robot `ur5`: use one of widowx250s, panda"),
    ({"cammera_hz": 5.0}, "did you mean `camera_hz`?"),
    ({"camera_hz": "often"}, "`camera_hz` is 'often', expected float"),
    ({"camera_hz": -1.0}, "camera_hz is -1.0, it must be positive"),
    ({"camera_hz": 60.0}, "above joint_states_hz 50"),
    ({"max_jump_rad": 0.0}, "max_jump_rad is 0.0"),
    ({"image_width": 0}, "image size 0 x 480"),
    ({"max_steps": -3}, "max_steps -3"),
    ({"assets": "nice"}, "choose one of procedural, paper"),
    ({"episode_set": "all"}, "unknown episode set `all`"),
]


@pytest.mark.parametrize(("parameters", "line"), WRONG)
def test_wrong_parameters_are_one_line(graph, parameters, line):
    with pytest.raises(RlvlaError) as caught:
        graph.make(SimRobotNode, **parameters)
    assert line in str(caught.value) and "\n" not in str(caught.value)


def test_a_process_with_wrong_parameters_ends_with_the_line(graph):
    words = ["--ros-args", "-p", "camera_hz:=-1.0"]
    process = graph.process("rlvla_nodes", "sim_robot_node", *words)
    assert process.wait(40) == 1
    assert process.output.splitlines()[-1] == "error: sim_robot_node: camera_hz is -1.0, it must be positive"
    assert "Traceback" not in process.output
