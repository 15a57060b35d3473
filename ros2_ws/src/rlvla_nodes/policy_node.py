"""The policy as a lifecycle node: the newest image and an instruction in, a proposed action out.

Configure loads the bundle and refuses one that was trained for another robot, rate or camera. While the node is active
and the arbiter lets the policy move, it answers the newest image at the control rate; images are never queued. Each
answer carries the arbiter's epoch in which it was begun, so that nothing of an older epoch reaches the arm.
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
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header, String

from rlvla_core.errors import RlvlaError
from rlvla_core.policy.bundle import load_bundle
from rlvla_core.policy.deploy import DeploySpec
from rlvla_msgs.msg import ArbiterState, ArmCommand, PolicyStep
from rlvla_nodes import diagnostics, topics
from rlvla_nodes.camera_check import check_image, expected_by, training_view
from rlvla_nodes.convert import image_message, image_of, to_seconds
from rlvla_nodes.pacing import PeriodicGate
from rlvla_nodes.parameters import declare_parameters
from rlvla_nodes.process import run_node

ARBITER_SILENCE_S = 1.5
"""An arbiter that has not published its mode for this long lets nobody move, seconds; it does so twice a second."""
RETRY_S = 0.5
"""How often autostart looks for a missing camera, seconds."""
NOTHING = (-1, -1.0)
"""Epoch and stamp of the last answer while there is none."""


@dataclass(frozen=True, kw_only=True)
class PolicyParameters:
    """Parameters of policy_node."""

    bundle: str = ""
    """Directory of the policy bundle."""
    robot: str = "widowx250s"
    """Robot that the bundle must have been trained for; a bundle of another one is refused."""
    control_hz: float = 5.0
    """Actions a second; must be the rate that the bundle was trained with."""
    instruction: str = ""
    """What the policy is to do; empty: the newest message of the topic `instruction`."""
    temperature: float = 0.0
    """Sampling temperature of the action tokens; 0 = greedy."""
    seed: int = 0
    """Seed of the sampling noise at a temperature above 0."""
    device: str = "cpu"
    """torch device that the network runs on, such as cpu or cuda."""
    lock_step: bool = False
    """Whether to answer every image at once and take its simulated stamp; for a simulated robot that waits for
    the policy."""
    autostart: bool = True
    """Whether the node configures and activates itself as soon as there is a camera."""


class PolicyNode(LifecycleNode):
    """Answers images with proposed actions."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("policy_node", **kwargs)
        self.given = declare_parameters(self, PolicyParameters)
        if self.given.control_hz <= 0 or self.given.temperature < 0:
            raise RlvlaError(
                f"{self.get_name()}: control_hz must be positive and temperature at least 0, got "
                f"{self.given.control_hz} and {self.given.temperature}"
            )
        # One thread: a second one, that spins beside the other nodes, costs more than it brings (and a GPU needs none).
        torch.set_num_threads(1)
        self._image: Image | None = None
        self._info: CameraInfo | None = None
        self._state: ArbiterState | None = None
        self._state_at = 0.0
        self._instruction = self.given.instruction
        self._active = False
        self._answered = NOTHING
        self._gate = PeriodicGate(self.given.control_hz)
        self._step = self._image_count = 0
        self._problem = ""
        self._latencies: deque[float] = deque(maxlen=256)
        # Subscribed to first, as the executor asks in this order: a new episode's instruction comes before its image.
        if not self.given.instruction:
            self.create_subscription(String, topics.INSTRUCTION, self._on_instruction, topics.LATCHED)
        qos = topics.LATCHED if self.given.lock_step else topics.NEWEST
        self.create_subscription(Image, topics.IMAGE, self._on_image, qos)
        self.create_subscription(CameraInfo, topics.CAMERA_INFO, self._on_info, qos)
        self.create_subscription(ArbiterState, topics.ARBITER_STATE, self._on_state, topics.LATCHED)
        self._commands = self.create_lifecycle_publisher(ArmCommand, topics.POLICY_COMMAND, topics.STREAM)
        self._steps = self.create_lifecycle_publisher(PolicyStep, topics.POLICY_STEP, topics.EVENTS)
        self._aligned = self.create_lifecycle_publisher(Image, topics.ALIGNED_IMAGE, topics.STREAM)
        self._diagnostics = diagnostics.Diagnostics(self, self._report)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._wake = self.create_timer(1.0, self._on_wake, clock=steady)
        self._wake.cancel()
        if self.given.autostart:
            self._expected()  # a bundle that is missing or another arm's is an error now, with or without a camera
            self._starter = self.create_timer(RETRY_S, self._start, clock=steady)

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the bundle and check it against robot, rate and camera."""
        try:
            self._load()
        except Exception as error:  # rclpy would swallow it; torch raises many kinds, e.g. for a device that is absent
            what = "" if isinstance(error, RlvlaError) else f"cannot use {self.given.bundle} on {self.given.device}: "
            self._problem = f"{what}{error}".splitlines()[0]
            self.get_logger().error(self._problem)
            return TransitionCallbackReturn.FAILURE
        self._problem = ""
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start to answer images."""
        result = super().on_activate(state)
        self._active, self._answered, self._problem = True, NOTHING, ""
        self._act_if_due()
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop answering images."""
        self._active = False
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Drop the loaded policy."""
        self._active = False
        del self.policy
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop answering images, from whatever state."""
        self._active = False
        return super().on_shutdown(state)

    def _load(self) -> None:
        directory, self.deploy = Path(self.given.bundle), self._expected()
        if self._info is None:
            raise RlvlaError(f"no camera yet: nothing on {topics.CAMERA_INFO}")
        training_view(self.deploy, self._info)
        self._generator = torch.Generator(self.given.device)  # first: it has the clearest error for an absent device
        self.policy = load_bundle(directory, device=self.given.device).eval()
        self.policy.requires_grad_(False)
        self._act(np.zeros((self.deploy.camera.height, self.deploy.camera.width, 3), np.uint8), "warm up")
        self._generator.manual_seed(self.given.seed)
        self.get_logger().info(f"{directory}: {self.deploy.robot}, {self.deploy.control_hz:g} Hz, camera fits")

    def _expected(self) -> DeploySpec:
        return expected_by(self.given.bundle, robot=self.given.robot, control_hz=self.given.control_hz)

    def _start(self) -> None:
        """Autostart: configure and activate once there is a camera. Raises RlvlaError if configuring fails."""
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
        self._act_if_due()

    def _on_state(self, message: ArbiterState) -> None:
        self._state, self._state_at = message, time.monotonic()
        self._act_if_due()

    def _on_image(self, message: Image) -> None:
        self._image = message
        self._image_count += 1
        self._act_if_due()

    def _on_wake(self) -> None:
        self._wake.cancel()
        self._act_if_due()

    def _act_if_due(self) -> None:
        """Answer the newest image if the arbiter lets the policy move, an answer is due and the image is a new one."""
        state, message = self._state, self._image
        if not self._active or state is None or message is None or state.mode != ArbiterState.POLICY:
            return
        question = (state.epoch, to_seconds(message.header.stamp))
        if self._arbiter_is_silent() or not self._instruction or question == self._answered:
            return
        if not self.given.lock_step and not self._is_due(*question):
            return
        self._answered = question
        try:
            self._answer(message, state.epoch)
            self._problem = ""
        except RlvlaError as error:
            self._problem = str(error)

    def _is_due(self, epoch: int, stamp: float) -> bool:
        """Real time: whether the image with this stamp is to be answered now; takes the turn if so."""
        now, period = time.monotonic(), 1.0 / self.given.control_hz
        if epoch != self._answered[0]:
            age = self._age(stamp)
            if not abs(age) <= period:
                self._problem = (
                    f"the newest image is {age:.2f} s old, a start needs one of the last {period:g} s: look at the "
                    "camera and its clock"
                )
                return False
            self._gate.restart(now)
        elif not self._gate.due(now):
            # If no newer image comes before the turn, this one is answered then.
            self._wake.timer_period_ns = int(1e9 * self._gate.left(now))
            self._wake.reset()
            return False
        self._gate.take(now)
        return True

    def _arbiter_is_silent(self) -> bool:
        return self._state is None or time.monotonic() - self._state_at > ARBITER_SILENCE_S

    def _answer(self, message: Image, epoch: int) -> None:
        """Let the policy decide on an image and publish its command. Raises RlvlaError for an image that is no use."""
        began = time.perf_counter()
        observed = to_seconds(message.header.stamp)
        wait_s = 0.0 if self.given.lock_step else self._age(observed)
        view = (slice(None), slice(None))
        if self._info is not None:
            view = training_view(self.deploy, self._info)  # the camera may have been restarted with other settings
            check_image(message, self._info)
        image = image_of(message)[view]
        prepared = time.perf_counter()
        sample = self._act(image, self._instruction)
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
            self._aligned.publish(image_message(self._seen(image), message.header))

    def _act(self, image: np.ndarray, instruction: str) -> Any:
        images = torch.from_numpy(np.ascontiguousarray(image)).unsqueeze(0).to(self.given.device)
        return self.policy.act(images, [instruction], temperature=self.given.temperature, generator=self._generator)

    def _seen(self, image: np.ndarray) -> np.ndarray:
        """The image at the size that the network sees it, uint8 [S, S, 3]."""
        planes = self.policy.transform.resize(torch.from_numpy(np.ascontiguousarray(image)).unsqueeze(0))
        return planes[0].permute(1, 2, 0).round().clamp(0, 255).to(torch.uint8).numpy()

    def _age(self, stamp: float) -> float:
        """Seconds from a stamp to now, by this node's clock."""
        return 1e-9 * self.get_clock().now().nanoseconds - stamp

    def _report(self) -> diagnostics.Report:
        latency = np.median(self._latencies) if self._latencies else float("nan")
        values = {
            "bundle": self.given.bundle,
            "instruction": self._instruction,
            "images": self._image_count,
            "steps": self._step,
            "image to command, median [ms]": f"{1e3 * latency:.1f}",
            "process": os.getpid(),
        }
        if self._problem:
            return diagnostics.ERROR, self._problem, values
        if not self._active:
            waiting = f"waiting for a camera on {topics.CAMERA_INFO}" if self._info is None else "inactive"
            return diagnostics.WARN, waiting, values
        if not self._instruction:
            line = f"no instruction: set the parameter `instruction` or publish on `{topics.INSTRUCTION}`"
            return diagnostics.WARN, line, values
        if self._state is None or self._arbiter_is_silent():
            return diagnostics.WARN, "waiting for the arbiter", values
        if self._state.mode != ArbiterState.POLICY:
            return diagnostics.OK, "ready: the arbiter does not let the policy move", values
        return diagnostics.OK, "acting", values


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the node; returns the exit code of the process."""
    return run_node(PolicyNode, arguments)


if __name__ == "__main__":
    sys.exit(main())
