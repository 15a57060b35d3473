"""The whole chain in lock-step, as processes: a trial by action, the arbiter, the simulated robot, driven to a success.

The part of the policy is played by the scripted expert, which looks at a twin of the robot: the twin plays the
setpoints that the arbiter publishes, and its images must be those of the simulated robot.
"""

import numpy as np
import pytest
from rclpy.action import ActionClient
from rclpy.node import Node
from ros_graph import Graph
from sensor_msgs.msg import Image

from rlvla_core.control.arm import ArmConfig
from rlvla_core.control.kinematics import ArmModel
from rlvla_msgs.action import RunTrial
from rlvla_msgs.msg import ArbiterState, ArmCommand, JointTarget
from rlvla_msgs.srv import ResetEpisode
from rlvla_nodes import topics
from rlvla_nodes.config_files import config_folder
from rlvla_nodes.convert import image_of
from rlvla_sim import WorldConfig
from rlvla_sim.expert import Expert, ExpertConfig
from rlvla_sim.sim_robot import SimRobot

EPISODE, MAX_STEPS = 100_003, 40
ARM = config_folder("") / "arms" / "widowx250s.yaml"


class ExpertNode(Node):
    """Answers every image with the expert's action, like a policy that sees through a twin."""

    def __init__(self, **kwargs) -> None:
        super().__init__("policy_node", **kwargs)
        self.twin = SimRobot(WorldConfig(image_width=64, image_height=64, max_steps=MAX_STEPS))
        self.arm = ArmModel(self.twin.robot.urdf().read_text(), ArmConfig.from_yaml(ARM))
        self.state, self.image, self.answered = ArbiterState(), None, None
        self.step = 0
        self.commands = self.create_publisher(ArmCommand, topics.POLICY_COMMAND, topics.STREAM)
        self.create_subscription(ArbiterState, topics.ARBITER_STATE, self.on_state, topics.LATCHED)
        self.create_subscription(Image, topics.IMAGE, self.on_image, topics.LATCHED)
        self.create_subscription(JointTarget, topics.JOINT_TARGET, self.on_target, topics.STREAM)

    def begin(self, episode: int) -> None:
        self.twin.reset(episode)
        self.expert = Expert(self.twin.world, ExpertConfig())
        self.played, self.image = 0, None

    def on_state(self, message: ArbiterState) -> None:
        self.state = message
        self.act()

    def on_image(self, message: Image) -> None:
        self.image = message
        self.act()

    def on_target(self, message: JointTarget) -> None:
        self.twin.play(np.array(message.positions).reshape(-1, 6), np.array(message.openings), message.tick)
        self.played += 1
        self.act()

    def act(self) -> None:
        image, state = self.image, self.state
        if image is None or state.mode != ArbiterState.POLICY or self.twin.over:
            return
        question = (state.epoch, self.played)
        # The image and the points that led to it come on two topics, in any order.
        if question == self.answered or not np.array_equal(image_of(image), self.twin.world.image()):
            return
        self.answered = question
        self.step += 1
        command = ArmCommand(source="policy", epoch=state.epoch, step=self.step)
        command.header.stamp = command.observation_stamp = image.header.stamp
        commanded = self.arm.forward(self.twin.target[0])
        command.delta = self.expert.act(commanded)
        self.commands.publish(command)


@pytest.fixture
def robot_graph(graph: Graph):
    size = ["-p", "image_width:=64", "-p", "image_height:=64", "-p", f"max_steps:={MAX_STEPS}"]
    lock = ["-p", "lock_step:=true"]
    graph.process("rlvla_nodes", "sim_robot_node", "--ros-args", *size, *lock)
    graph.process("rlvla_nodes", "arbiter_node", "--ros-args", "-p", f"arm:={ARM}", "-p", "simulated:=true", *lock)
    graph.process("rlvla_nodes", "trial_node")
    # A busy machine takes longer to start the simulator than a trial waits for it.
    started = graph.make(Node, "starter").create_client(ResetEpisode, topics.RESET_EPISODE)
    assert graph.until(started.service_is_ready, 90)
    return graph


def send(graph: Graph, client: ActionClient, feedback=None, **goal):
    sent = client.send_goal_async(RunTrial.Goal(**goal), feedback_callback=feedback)
    assert graph.until(sent.done, 20)
    return sent.result()


@pytest.mark.timeout(240, method="thread")
def test_a_trial_is_driven_to_a_success_and_bad_goals_are_refused(robot_graph: Graph):
    expert = robot_graph.make(ExpertNode)
    client = ActionClient(robot_graph.make(Node, "operator"), RunTrial, topics.RUN_TRIAL)
    assert robot_graph.until(client.server_is_ready, 60)

    refused = send(robot_graph, client, episode_id=1, max_steps=0, timeout=1.0)
    assert not refused.accepted

    expert.begin(EPISODE)
    steps: list[int] = []
    handle = send(
        robot_graph,
        client,
        lambda message: steps.append(message.feedback.step),
        episode_id=EPISODE,
        policy="expert",
        max_steps=MAX_STEPS,
        timeout=60.0,
    )
    assert handle.accepted
    second = send(robot_graph, client, episode_id=1, max_steps=1, timeout=1.0)
    assert not second.accepted, "two trials at once"
    finished = handle.get_result_async()
    assert robot_graph.until(finished.done, 60)
    result = finished.result().result
    assert (result.ended_by, result.steps, result.episode_id) == ("steps", MAX_STEPS, EPISODE)
    assert result.success and result.success_once
    assert expert.twin.world.success
    assert steps == sorted(steps) and steps[-1] == MAX_STEPS

    bad = send(robot_graph, client, episode_id=2**40, max_steps=1, timeout=5.0).get_result_async()
    assert robot_graph.until(bad.done, 20)
    assert "is outside the episode set `train`" in bad.result().result.ended_by


@pytest.mark.timeout(240, method="thread")
def test_a_cancelled_trial_holds_the_arm(robot_graph: Graph):
    client = ActionClient(robot_graph.make(Node, "policy_node"), RunTrial, topics.RUN_TRIAL)
    states: list[ArbiterState] = []
    watcher = robot_graph.make(Node, "watcher")
    watcher.create_subscription(ArbiterState, topics.ARBITER_STATE, states.append, topics.LATCHED)
    assert robot_graph.until(client.server_is_ready, 60)
    handle = send(robot_graph, client, episode_id=5, max_steps=10, timeout=60.0)
    assert robot_graph.until(lambda: states and states[-1].mode == ArbiterState.POLICY, 20)
    cancelled, finished = handle.cancel_goal_async(), handle.get_result_async()
    assert robot_graph.until(lambda: cancelled.done() and finished.done(), 20)
    assert finished.result().result.ended_by == "cancelled"
    assert robot_graph.until(lambda: states[-1].mode == ArbiterState.HOLD, 5)
