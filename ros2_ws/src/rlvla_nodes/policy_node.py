"""The policy as a lifecycle node: the newest picture and an instruction in, a proposed action out.

Configure loads the bundle and refuses one that was trained for another robot, rate or camera. While active, and while
the arbiter lets the policy move, it answers pictures at the control rate: the newest one, never a queue. Work in
progress belongs to the arbiter's epoch in which it began, so nothing of an older turn reaches the arm.
"""

import os
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header, String

from rlvla_core.errors import RlvlaError
from rlvla_core.policy.bundle import load_bundle, load_deploy
from rlvla_msgs.msg import ArbiterState, ArmCommand, PolicyStep
from rlvla_nodes import diagnostics, topics
from rlvla_nodes.convert import image_message, picture_of, to_seconds
from rlvla_nodes.fit import check_camera, check_robot
from rlvla_nodes.parameters import declare_parameters
from rlvla_nodes.process import run_node

EARLY = 0.25
"""Share of a period: a picture that comes this much before its turn is answered, so that a camera of the control rate
itself never makes the policy wait a whole picture for a millisecond of jitter."""
RETRY_S = 0.5
"""Autostart looks for a missing camera this often."""


@dataclass(frozen=True, kw_only=True)
class PolicyParameters:
    """What may be set from a parameter file."""

    bundle: str = ""
    """Directory of the policy bundle."""
    robot: str = "widowx250s"
    """The arm that this rig has; a bundle of another one is refused."""
    control_hz: float = 5.0
    """Actions a second that this rig runs; must be the bundle's."""
    instruction: str = ""
    """What to do; empty: whatever the topic `instruction` says."""
    temperature: float = 0.0
    """Of the action tokens; 0 always takes the most likely one."""
    seed: int = 0
    """Of the sampling noise, at a temperature above 0."""
    device: str = "cpu"
    """torch device that the network runs on."""
    lock_step: bool = False
    """Answer every picture at once and take simulated stamps; for a simulated rig that waits."""
    autostart: bool = True
    """Configure and activate without being asked, as soon as the camera is there."""


class PolicyNode(LifecycleNode):
    """Pictures to proposals."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("policy_node", **kwargs)
        self.given = declare_parameters(self, PolicyParameters)
        if self.given.control_hz <= 0 or self.given.temperature < 0:
            raise RlvlaError(
                f"{self.get_name()}: control_hz must be positive and temperature at least 0, got "
                f"{self.given.control_hz} and {self.given.temperature}"
            )
        # One thread: a second one that spins beside the other nodes costs more than it brings (and the GPU needs none).
        torch.set_num_threads(1)
        self._picture: Image | None = None
        self._info: CameraInfo | None = None
        self._state: ArbiterState | None = None
        self._instruction = self.given.instruction
        self._active = False
        self._answered = (-1, -1.0)
        self._next_at = 0.0
        self._step = self._pictures = 0
        self._problem = ""
        self._latencies: deque[float] = deque(maxlen=256)
        pictures = topics.LATCHED if self.given.lock_step else topics.NEWEST
        self.create_subscription(Image, topics.IMAGE, self._on_picture, pictures)
        self.create_subscription(CameraInfo, topics.CAMERA_INFO, self._on_info, pictures)
        self.create_subscription(ArbiterState, topics.ARBITER_STATE, self._on_state, topics.LATCHED)
        if not self.given.instruction:
            self.create_subscription(String, topics.INSTRUCTION, self._on_instruction, topics.LATCHED)
        self._commands = self.create_lifecycle_publisher(ArmCommand, topics.POLICY_COMMAND, topics.STREAM)
        self._steps = self.create_lifecycle_publisher(PolicyStep, topics.POLICY_STEP, topics.EVENTS)
        self._aligned = self.create_lifecycle_publisher(Image, topics.ALIGNED_IMAGE, topics.STREAM)
        # A lifecycle node's own timers stand still while it is inactive; the report must not.
        self._diagnostics = diagnostics.Diagnostics(self, self._report)
        if self.given.autostart:
            steady = Clock(clock_type=ClockType.STEADY_TIME)
            self._starter = self.create_timer(RETRY_S, self._start, clock=steady)

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the bundle and hold it against the rig."""
        try:
            self._load()
        except RlvlaError as error:
            self._problem = str(error)
            self.get_logger().error(self._problem)
            return TransitionCallbackReturn.FAILURE
        self._problem = ""
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin to answer pictures."""
        result = super().on_activate(state)
        self._active, self._answered, self._next_at = True, (-1, -1.0), 0.0
        self._act_if_due()
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Say nothing more."""
        self._active = False
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Forget the bundle."""
        self._active = False
        del self.policy
        return super().on_cleanup(state)

    def _load(self) -> None:
        if not self.given.bundle:
            raise RlvlaError("no bundle: set the parameter `bundle` to a policy bundle, e.g. runs/demo/policy")
        directory = Path(self.given.bundle)
        deploy = load_deploy(directory)
        check_robot(deploy, self.given.robot, self.given.control_hz)
        if self._info is None:
            raise MissingCamera(f"no camera yet: nothing on {topics.CAMERA_INFO}")
        check_camera(deploy, self._info)
        self.deploy = deploy
        self.policy = load_bundle(directory, device=self.given.device).eval()
        self.policy.requires_grad_(False)
        self._generator = torch.Generator(self.given.device).manual_seed(self.given.seed)
        self._act(np.zeros((deploy.camera.height, deploy.camera.width, 3), np.uint8), "warm up")
        self.get_logger().info(f"{directory}: {deploy.robot}, {deploy.control_hz:g} Hz, camera fits")

    def _start(self) -> None:
        """Autostart: configure and activate; a missing camera may still come, anything else is the end."""
        if self._info is None:
            return
        self.destroy_timer(self._starter)
        if self.trigger_configure() != TransitionCallbackReturn.SUCCESS:
            raise RlvlaError(self._problem)
        self.trigger_activate()

    def _on_info(self, message: CameraInfo) -> None:
        self._info = message

    def _on_instruction(self, message: String) -> None:
        self._instruction = message.data

    def _on_state(self, message: ArbiterState) -> None:
        self._state = message
        self._act_if_due()

    def _on_picture(self, message: Image) -> None:
        self._picture = message
        self._pictures += 1
        self._act_if_due()

    def _act_if_due(self) -> None:
        """Answer the newest picture if it is the policy's turn, the time has come and the picture is new to it."""
        state, message = self._state, self._picture
        if not self._active or state is None or message is None or state.mode != ArbiterState.POLICY:
            return
        question = (state.epoch, to_seconds(message.header.stamp))
        now = time.monotonic()
        period = 1.0 / self.given.control_hz
        if question == self._answered:
            return
        if not self.given.lock_step:
            if now < self._next_at - EARLY * period:
                return
            if question[0] != self._answered[0] and self._age(question[1]) > period:
                return  # the first picture of a turn must be a fresh one
        self._next_at = max(self._next_at + period, now)
        self._answered = question
        try:
            self._answer(message, state.epoch)
            self._problem = ""
        except RlvlaError as error:
            self._problem = str(error)

    def _answer(self, message: Image, epoch: int) -> None:
        """Decide and publish. Raises RlvlaError for a picture that cannot be used."""
        began = time.perf_counter()
        observed = to_seconds(message.header.stamp)
        wait_s = 0.0 if self.given.lock_step else self._age(observed)
        if self._info is not None and (message.width, message.height) != (self._info.width, self._info.height):
            raise RlvlaError(
                f"picture of {message.width}x{message.height}, but its camera_info says "
                f"{self._info.width}x{self._info.height}: restart the camera"
            )
        if not self._instruction:
            raise RlvlaError(f"no instruction: set the parameter `instruction` or publish on `{topics.INSTRUCTION}`")
        picture = picture_of(message)
        prepared = time.perf_counter()
        sample = self._act(picture, self._instruction)
        decided = time.perf_counter()
        action = sample.actions[0].double().cpu().numpy()
        self._step += 1
        stamp = message.header.stamp if self.given.lock_step else self.get_clock().now().to_msg()
        command = ArmCommand(header=Header(stamp=stamp, frame_id="base_link"), source="policy", epoch=epoch)
        command.step, command.observation_stamp, command.delta = self._step, message.header.stamp, action
        self._commands.publish(command)
        published = time.perf_counter()
        step = PolicyStep(header=command.header, observation_stamp=message.header.stamp, epoch=epoch, step=self._step)
        step.instruction, step.action, step.tokens = self._instruction, action, sample.tokens[0].cpu().numpy()
        step.logprob, step.value = float(sample.logprobs[0].sum()), float(sample.values[0])
        step.wait_ms, step.prepare_ms = 1e3 * wait_s, 1e3 * (prepared - began)
        step.model_ms, step.publish_ms = 1e3 * (decided - prepared), 1e3 * (published - decided)
        self._steps.publish(step)
        self._latencies.append(wait_s + published - began)
        if self._aligned.get_subscription_count():
            self._aligned.publish(image_message(self._seen(picture), message.header))

    def _act(self, picture: np.ndarray, instruction: str) -> Any:
        images = torch.from_numpy(np.ascontiguousarray(picture)).unsqueeze(0).to(self.given.device)
        return self.policy.act(images, [instruction], temperature=self.given.temperature, generator=self._generator)

    def _seen(self, picture: np.ndarray) -> np.ndarray:
        """The picture at the size that the network sees it, uint8 [S, S, 3]."""
        planes = self.policy.transform.resize(torch.from_numpy(np.ascontiguousarray(picture)).unsqueeze(0))
        return planes[0].permute(1, 2, 0).round().clamp(0, 255).to(torch.uint8).numpy()

    def _age(self, stamp: float) -> float:
        """Seconds since a stamp, by this node's clock."""
        return 1e-9 * self.get_clock().now().nanoseconds - stamp

    def _report(self) -> diagnostics.Report:
        latency = np.median(self._latencies) if self._latencies else float("nan")
        values = {
            "bundle": self.given.bundle,
            "instruction": self._instruction,
            "pictures": self._pictures,
            "steps": self._step,
            "picture to command, median [ms]": f"{1e3 * latency:.1f}",
            "process": os.getpid(),
        }
        if self._problem:
            return diagnostics.ERROR, self._problem, values
        if not self._active:
            waiting = f"waiting for a camera on {topics.CAMERA_INFO}" if self._info is None else "inactive"
            return diagnostics.WARN, waiting, values
        if self._state is None:
            return diagnostics.WARN, "waiting for the arbiter", values
        if self._state.mode != ArbiterState.POLICY:
            return diagnostics.OK, "ready: the arbiter does not let the policy move", values
        return diagnostics.OK, "acting", values


class MissingCamera(RlvlaError):
    """The camera has not spoken yet; it may still come."""


def main(arguments: Sequence[str] | None = None) -> int:
    def make() -> Node:
        return PolicyNode()

    return run_node(make, arguments)


if __name__ == "__main__":
    sys.exit(main())
