"""The only node that commands the arm: proposed motions go into `rlvla_core.control`, checked setpoints come out.

In real time a steady timer plays the plan at `tick_hz`, one setpoint a message. In lock-step one policy command is one
control period: all its setpoints go out in one message, and time is what the images' stamps say.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, JointState
from std_msgs.msg import Header, String
from std_srvs.srv import Trigger

from rlvla_core.control.arbiter import OPERATOR_EVENTS, ArbiterConfig, Event, Mode
from rlvla_core.control.arm import ArmConfig
from rlvla_core.control.command import MotionCommand, Setpoint, Verdict
from rlvla_core.control.controller import ArmController
from rlvla_core.errors import RlvlaError
from rlvla_msgs.msg import ArbiterState, ArmCommand, Intervention, JointTarget
from rlvla_msgs.srv import SetMode
from rlvla_nodes import diagnostics, topics
from rlvla_nodes.autostart import Autostart
from rlvla_nodes.convert import to_seconds, to_stamp
from rlvla_nodes.parameters import declare_parameters
from rlvla_nodes.process import run_node


@dataclass(frozen=True, kw_only=True)
class ArbiterParameters:
    """Parameters of arbiter_node."""

    arm: str = ""
    """Path of the arm's file, e.g. config/arms/widowx250s.yaml."""
    simulated: bool = False
    """Whether the arm is simulated: a simulated arm may start by itself and needs no operator."""
    autostart: Literal["none", "ready", "policy"] = "none"
    """How far the arbiter goes by itself, once after its start: `ready` enables the arm, `policy` (simulated arms only)
    also lets the policy move it."""
    tick_hz: float = 100.0
    """Setpoints a second."""
    control_hz: float = 5.0
    """Commands a second that the policy gives; in lock-step, the length of the period that each command plays."""
    lock_step: bool = False
    """Whether each policy command plays one whole control period; for a simulated robot that waits for the policy."""
    table_penetration_m: float = 0.0
    """Depth to which the hand may be commanded into the table, metres; simulated arms only. In training nothing but the
    table stops the hand, and policies learn to press into it."""
    tracking_slack: float = 1.0
    """Factor on the arm file's tracking limits; simulated arms only. The drives of the simulated WidowX lag by 0.28 s
    (damping / stiffness, as the paper identified them), which is 56 mm at 40 mm a step."""
    camera_silence_s: float = 0.4
    """Longest silence of the camera while the policy moves the arm, seconds; then HOLD."""
    policy_silence_s: float = 0.45
    """Longest silence of the policy while it moves the arm, seconds: two periods and 50 ms; then HOLD."""


class ArbiterNode(Node):
    """Carries messages to and from one ArmController."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("arbiter_node", **kwargs)
        self.given = given = declare_parameters(self, ArbiterParameters)
        if not given.arm:
            raise RlvlaError("arbiter_node: no arm: set the parameter `arm`, e.g. config/arms/widowx250s.yaml")
        if min(given.tick_hz, given.control_hz) <= 0:
            raise RlvlaError(f"arbiter_node: rates must be positive, got {given.tick_hz} and {given.control_hz}")
        if not given.simulated and (given.autostart == "policy" or given.lock_step):
            raise RlvlaError("arbiter_node: autostart policy and lock_step are for simulated arms")
        self.arm = ArmConfig.from_yaml(Path(given.arm))
        if given.simulated:
            self.arm = self.arm.simulated(given.tracking_slack, given.table_penetration_m)
        elif given.tracking_slack != 1.0 or given.table_penetration_m:
            raise RlvlaError("arbiter_node: tracking_slack and table_penetration_m are for simulated arms")
        self.controller = ArmController(
            self.arm,
            1.0 / given.tick_hz,
            self._on_change,
            deadmen=ArbiterConfig(operator_required=not given.simulated),
            camera_silence_s=given.camera_silence_s,
            policy_silence_s=given.policy_silence_s,
        )
        self._measured_at = 0.0
        self._sim_now = 0.0
        self._step = 0
        self._limits: set[str] = set()
        self._states = self.create_publisher(ArbiterState, topics.ARBITER_STATE, topics.LATCHED)
        self._changes = self.create_publisher(Intervention, topics.INTERVENTIONS, topics.EVENTS)
        self._targets = self.create_publisher(JointTarget, topics.JOINT_TARGET, topics.STREAM)
        joint_states = topics.LATCHED if given.lock_step else topics.STREAM
        self.create_subscription(String, topics.ROBOT_DESCRIPTION, self._on_description, topics.LATCHED)
        self.create_subscription(JointState, topics.JOINT_STATES, self._on_joints, joint_states)
        self.create_subscription(CameraInfo, topics.CAMERA_INFO, self._on_camera, topics.NEWEST)
        self.create_subscription(ArmCommand, topics.POLICY_COMMAND, self._on_policy, topics.STREAM)
        self.create_subscription(ArmCommand, topics.TELEOP_COMMAND, self._on_teleop, topics.STREAM)
        self.create_service(SetMode, topics.SET_MODE, self._on_set_mode)
        for name, event in ((topics.ESTOP, Event.ESTOP), (topics.HOLD, Event.HOLD), (topics.START, Event.START)):
            self.create_service(Trigger, name, self._trigger(event))
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        if not given.lock_step:
            self.create_timer(1.0 / given.tick_hz, self._tick, clock=steady)
        self.create_timer(0.5, self._publish_state, clock=steady)
        self._autostart = Autostart(
            self,
            self.controller,
            given.autostart,
            clock=lambda: self.now,
            press=lambda event: self.cause(event, "autostart"),
            needs_camera=not given.lock_step,
        )
        self._diagnostics = diagnostics.Diagnostics(self, self._report)
        self._publish_state()

    @property
    def now(self) -> float:
        """The one clock that ages are measured on, seconds: the steady clock, or in lock-step the simulated one."""
        return self._sim_now if self.given.lock_step else time.monotonic()

    def cause(self, event: Event, reason: str = "") -> str:
        """Cause an event; returns why it is refused, or an empty string."""
        return self.controller.cause(event, self.now, reason)

    def _on_change(self, before: Mode, mode: Mode, reason: str) -> None:
        line = f"{before.name} -> {mode.name} ({reason})"
        if mode in (Mode.FAULT, Mode.ESTOP):
            self.get_logger().error(line)
        else:
            self.get_logger().info(line)
        if mode is Mode.ESTOP and self.controller.setpoint is not None:
            self._publish_targets([self.controller.advance()])
        self._publish_state()

    def _on_description(self, message: String) -> None:
        self.controller.describe(message.data)

    def _on_joints(self, message: JointState) -> None:
        by_name = dict(zip(message.name, message.position, strict=False))
        if not by_name.keys() >= set(self.arm.joints):
            return  # a gripper or another arm publishes on the same topic
        # The first joint that is not the arm's is a finger; without one the gripper counts as open.
        fingers = [position for name, position in by_name.items() if name not in self.arm.joints]
        self._measured_at = to_seconds(message.header.stamp)
        if self.given.lock_step:
            self._sim_now = self._measured_at
        joints = np.array([by_name[name] for name in self.arm.joints])
        self.controller.measured(joints, float(fingers[0] if fingers else self.arm.hand.open), self.now)

    def _on_camera(self, _: CameraInfo) -> None:
        self.controller.watchdogs.feed("camera", self.now)

    def _on_policy(self, message: ArmCommand) -> None:
        verdict = self.controller.policy(self._command(message, "policy"), message.epoch, self.now)
        if isinstance(verdict, str):
            # After a hold, late answers are normal: not worth a warning.
            self.get_logger().debug(f"policy command {message.step} not admitted: {verdict}")
            return
        self._publish_changes(message, verdict)
        if self.given.lock_step:
            ticks = round(self.given.tick_hz / self.given.control_hz)
            self._publish_targets([self.controller.advance() for _ in range(ticks)])

    def _on_teleop(self, message: ArmCommand) -> None:
        command = self._command(message, "teleop")
        verdict = self.controller.teleop(
            command, message.epoch, self.now, deadman=message.deadman, operator=message.operator_enable
        )
        if isinstance(verdict, Verdict):
            self._publish_changes(message, verdict)

    def _command(self, message: ArmCommand, source: str) -> MotionCommand:
        """The message as a command on the arbiter's clock; `source` is the topic's, whatever the message claims."""
        offset = 0.0 if self.given.lock_step else self.now - 1e-9 * self.get_clock().now().nanoseconds
        return MotionCommand(
            source=source,
            step=message.step,
            delta=np.array(message.delta),
            observed_at=to_seconds(message.observation_stamp) + offset,
            issued_at=to_seconds(message.header.stamp) + offset,
        )

    def _tick(self) -> None:
        setpoint = self.controller.tick(self.now)
        if setpoint is not None:
            self._publish_targets([setpoint])

    def _publish_targets(self, points: list[Setpoint]) -> None:
        stamp = to_stamp(self._sim_now) if self.given.lock_step else self.get_clock().now().to_msg()
        message = JointTarget(header=Header(stamp=stamp), step=self._step, joints=list(self.arm.joints))
        message.tick = 1.0 / self.given.tick_hz
        message.positions = np.concatenate([point.joints for point in points])
        message.openings = [point.opening for point in points]
        self._targets.publish(message)

    def _publish_changes(self, command: ArmCommand, verdict: Verdict) -> None:
        self._step = command.step
        for change in verdict.interventions:
            self._limits.add(change.code)
            message = Intervention(header=Header(stamp=self.get_clock().now().to_msg()), step=command.step)
            message.source, message.code, message.verdict = command.source, change.code, change.verdict
            message.before, message.after, message.text = list(change.before), list(change.after), change.text
            self._changes.publish(message)

    def _publish_state(self) -> None:
        arbiter, setpoint = self.controller.arbiter, self.controller.setpoint
        message = ArbiterState(mode=int(arbiter.mode), active_source=arbiter.active_source, epoch=arbiter.epoch)
        message.header.stamp = self.get_clock().now().to_msg()
        message.moving = setpoint is not None and setpoint.moving
        message.reasons = list(arbiter.reasons)
        message.limits, self._limits = sorted(self._limits), set()
        message.stale = [str(stale) for stale in self.controller.watchdogs.stale(self.now)]
        self._states.publish(message)

    def _on_set_mode(self, request: SetMode.Request, response: SetMode.Response) -> SetMode.Response:
        self._autostart.cancel()  # a person has taken charge
        if request.event not in OPERATOR_EVENTS:
            response.message = f"unknown event `{request.event}`: use one of {', '.join(OPERATOR_EVENTS)}"
        elif request.event == Event.ENABLE and self._measured_at < to_seconds(request.newer_than):
            response.message = "the arm was not measured yet since the time that `newer_than` names"
        else:
            response.message = self.cause(Event(request.event), request.reason)
        response.success, response.mode = not response.message, int(self.controller.mode)
        return response

    def _trigger(self, event: Event) -> Any:
        def on_trigger(_: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            answer = self._on_set_mode(SetMode.Request(event=event.value), SetMode.Response())
            response.success, response.message = answer.success, answer.message or self.controller.mode.name
            return response

        return on_trigger

    def _report(self) -> diagnostics.Report:
        mode, reasons = self.controller.mode, self.controller.arbiter.reasons
        values: dict[str, object] = {"mode": mode.name, "epoch": self.controller.arbiter.epoch, "arm": self.arm.name}
        for name, age in self.controller.watchdogs.ages(self.now).items():
            values[f"{name} age [s]"] = "never" if age == float("inf") else f"{age:.3f}"
        reason = self._autostart.why_not or (reasons[-1] if reasons else "")
        if mode in (Mode.FAULT, Mode.ESTOP):
            return diagnostics.ERROR, f"{mode.name}: {reason}", values
        if mode in (Mode.DISABLED, Mode.HOLD):
            return diagnostics.WARN, f"{mode.name}: {reason}", values
        return diagnostics.OK, mode.name, values


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the node; returns the exit code of the process."""
    return run_node(ArbiterNode, arguments)


if __name__ == "__main__":
    sys.exit(main())
