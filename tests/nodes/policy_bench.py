"""The neighbours of policy_node for its tests: camera, arbiter, a person with an instruction, and listeners."""

import time
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from ros_graph import Graph
from sensor_msgs.msg import CameraInfo, Image
from small_bundle import ROBOT, SIDE
from std_msgs.msg import Header, String

from rlvla_msgs.msg import ArbiterState, ArmCommand, PolicyStep
from rlvla_nodes import topics
from rlvla_nodes.convert import camera_info_message, image_message, to_stamp
from rlvla_nodes.policy_node import PolicyNode
from rlvla_sim.robots import robot

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


def lens(width: int = SIDE, height: int = SIDE, **changes: float) -> CameraInfo:
    """The camera of training at a size; changes are factors: fx=1.1."""
    message = camera_info_message(robot(ROBOT).seen("whole", width, height), Header(frame_id="camera"))
    for name, place in (("fx", 0), ("cx", 2), ("fy", 4), ("cy", 5)):
        message.k[place] *= changes.get(name, 1.0)
    return message


class PolicyBench:
    """One policy_node in this process and its neighbours, played at the wire."""

    def __init__(self, graph: Graph, *, lock_step: bool = False) -> None:
        self.graph, self.lock_step = graph, lock_step
        self.commands: list[ArmCommand] = []
        self.heard_at: list[float] = []
        self.steps: list[PolicyStep] = []
        self.aligned: list[Image] = []
        self.status = DiagnosticStatus()
        self.state = ArbiterState()
        self.node = node = graph.make(Node, "bench")
        images = topics.LATCHED if lock_step else topics.STREAM
        self._images = node.create_publisher(Image, topics.IMAGE, images)
        self.infos = node.create_publisher(CameraInfo, topics.CAMERA_INFO, images)
        self._states = node.create_publisher(ArbiterState, topics.ARBITER_STATE, topics.LATCHED)
        self._instructions = node.create_publisher(String, topics.INSTRUCTION, topics.LATCHED)
        node.create_subscription(ArmCommand, topics.POLICY_COMMAND, self._on_command, topics.EVENTS)
        node.create_subscription(PolicyStep, topics.POLICY_STEP, self.steps.append, topics.EVENTS)
        node.create_subscription(DiagnosticArray, topics.DIAGNOSTICS, self._on_status, topics.EVENTS)
        self.state_timer = node.create_timer(0.5, lambda: self._states.publish(self.state))

    def _on_command(self, message: ArmCommand) -> None:
        self.commands.append(message)
        self.heard_at.append(time.monotonic())

    def _on_status(self, message: DiagnosticArray) -> None:
        if message.status[0].name == "policy_node":
            self.status = message.status[0]

    def make(self, bundle: object, **parameters: Any) -> PolicyNode:
        """The node, connected."""
        given = {"bundle": str(bundle), "instruction": "put it", "autostart": False, "lock_step": self.lock_step}
        self.policy = self.graph.make(PolicyNode, **(given | parameters))
        publishers = (self._images, self.infos, self._states)
        assert self.graph.until(lambda: all(each.get_subscription_count() for each in publishers))
        assert self.graph.until(lambda: self.node.count_publishers(topics.POLICY_COMMAND))
        return self.policy

    def active(self, bundle: object, width: int = SIDE, height: int = SIDE, **parameters: Any) -> PolicyNode:
        """The node with a camera, configured and active."""
        policy = self.make(bundle, **parameters)
        self.lens(width, height)
        assert policy.trigger_configure() == SUCCESS
        assert policy.trigger_activate() == SUCCESS
        return policy

    def lens(self, width: int = SIDE, height: int = SIDE, **changes: float) -> CameraInfo:
        """Say what the camera is like, and wait until the node has heard; changes are factors: fx=1.1."""
        message = lens(width, height, **changes)
        self.infos.publish(message)
        assert self.graph.until(lambda: self.policy._info is not None and self.policy._info == message)
        return message

    def mode(self, mode: int, epoch: int = 1) -> None:
        """Let the arbiter be in a mode, and wait until the node has heard."""
        self.state = ArbiterState(mode=mode, epoch=epoch)
        self._states.publish(self.state)
        assert self.graph.until(lambda: self.policy._state is not None and self.policy._state == self.state)

    def instruct(self, text: str) -> None:
        """Say what to do."""
        self._instructions.publish(String(data=text))

    def message(self, image: np.ndarray, stamp: float | None = None) -> Image:
        """The image as the camera sends it; stamp in seconds, default: now."""
        now = self.node.get_clock().now().to_msg() if stamp is None else to_stamp(stamp)
        return image_message(image, Header(stamp=now, frame_id="camera"))

    def publish(self, message: Image) -> Image:
        """Send an image."""
        self._images.publish(message)
        return message

    def show(self, message: Image) -> Image:
        """Send an image and wait until the node has seen it: what it answers at once, it has answered."""
        self.publish(message)
        assert self.graph.until(lambda: self.policy._image is not None and self.policy._image == message)
        return message

    def answers(self, count: int, timeout: float = 5.0) -> ArmCommand:
        """Wait for so many answers in all, and that there are no more; the last."""
        assert self.graph.until(lambda: len(self.commands) >= count and len(self.steps) >= count, timeout), self.line()
        assert len(self.commands) == len(self.steps) == count
        return self.commands[-1]

    def line(self) -> str:
        """What the node says of itself on /diagnostics, now."""
        self.status = DiagnosticStatus()
        self.policy._diagnostics.publish()
        assert self.graph.until(lambda: self.status.name)
        return str(self.status.message)
