"""A simulated robot behind the topics of a real one: images and joint states out, joint targets in.

In real time the physics follows the wall clock and images come at the camera's rate. In lock-step one JointTarget is
one control period: the world plays its points and then publishes the next image; stamps are simulated seconds.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from builtin_interfaces.msg import Time
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import Header, String

from rlvla_core.errors import RlvlaError
from rlvla_msgs.msg import JointTarget
from rlvla_msgs.srv import EpisodeResult, ResetEpisode
from rlvla_nodes import diagnostics, topics
from rlvla_nodes.convert import camera_info_message, image_message, to_stamp
from rlvla_nodes.drivers.simulated import SimulatedArm
from rlvla_nodes.graph import SimView
from rlvla_nodes.parameters import declare_parameters
from rlvla_nodes.process import run_node

CAMERA_FRAME = "camera_color_optical_frame"
"""Frame of the simulated camera's images: x right, y down, z into the scene."""
MIN_TICK_S = 1e-4
"""Shortest time between two points of a joint target, seconds."""


@dataclass(frozen=True, kw_only=True)
class SimRobotParameters:
    """Parameters of sim_robot_node."""

    robot: str = "widowx250s"
    """Robot of the simulator: `widowx250s` or `panda`."""
    image_width: int = 640
    """Width of the simulated camera's image, pixels."""
    image_height: int = 480
    """Height of the simulated camera's image, pixels."""
    view: SimView = "whole"
    """What the camera shows: `whole`, all that it sees, or `workspace`, the part around the working area. The policy
    cuts the part that it was trained with out of the whole."""
    assets: Literal["procedural", "paper"] = "procedural"
    """Which assets to use: `procedural` (generated, shipped) or `paper` (RL4VLA's, from the folder in
    $RLVLA_ASSETS)."""
    episode_set: str = "train"
    """Episode set that episode ids index, such as `train`."""
    episode: int = 0
    """Id of the episode that the node starts with."""
    max_steps: int = 0
    """Time limit of an episode, in control periods; 0: no limit."""
    lock_step: bool = False
    """Whether the world waits for each joint target, however late it comes; otherwise it runs in real time."""
    camera: bool = True
    """Whether to publish images of the simulated camera."""
    camera_hz: float = 10.0
    """Images a second of the simulated camera, in real time."""
    joint_states_hz: float = 50.0
    """Joint states a second, in real time."""
    command_timeout_s: float = 0.2
    """Time without a joint target after which the diagnostics say that nobody commands the arm, seconds; the arm stays
    at the last target."""
    max_jump_rad: float = 0.3
    """Largest change of a joint from one target to the next, radians; a target beyond it is refused, as real
    controllers refuse a jump."""


class SimRobotNode(Node):
    """Camera and arm in one process, because the simulator is one world."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("sim_robot_node", **kwargs)
        self.given = given = declare_parameters(self, SimRobotParameters)
        for name in ("camera_hz", "joint_states_hz", "command_timeout_s", "max_jump_rad"):
            if getattr(given, name) <= 0:
                raise RlvlaError(f"{self.get_name()}: {name} is {getattr(given, name)}, it must be positive")
        if given.camera_hz > given.joint_states_hz:
            raise RlvlaError(
                f"{self.get_name()}: camera_hz {given.camera_hz:g} is above joint_states_hz {given.joint_states_hz:g}, "
                "at which the world is looked at: raise joint_states_hz"
            )
        self.arm = SimulatedArm(
            robot=given.robot,
            image_width=given.image_width,
            image_height=given.image_height,
            view=given.view,
            assets=given.assets,
            episode_set=given.episode_set,
            max_steps=given.max_steps,
            max_jump_rad=given.max_jump_rad,
        )
        self.arm.connect()
        stream = topics.LATCHED if given.lock_step else topics.STREAM
        if given.camera:  # a publisher that never publishes would still be taken for a second camera
            self._images = self.create_publisher(Image, topics.IMAGE, stream)
            self._infos = self.create_publisher(CameraInfo, topics.CAMERA_INFO, stream)
        self._joint_states = self.create_publisher(JointState, topics.JOINT_STATES, stream)
        self._instruction = self.create_publisher(String, topics.INSTRUCTION, topics.LATCHED)
        self._description = self.create_publisher(String, topics.ROBOT_DESCRIPTION, topics.LATCHED)
        self._description.publish(String(data=self.arm.urdf))
        self.create_subscription(JointTarget, topics.JOINT_TARGET, self._on_target, topics.STREAM)
        self._commanded_at: float | None = None
        self._refused = ""
        self._image_count = 0
        self.reset(given.episode)
        # Only now, so that whoever finds the services also gets an answer.
        self.create_service(ResetEpisode, topics.RESET_EPISODE, self._on_reset)
        self.create_service(EpisodeResult, topics.EPISODE_RESULT, self._on_result)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        if not given.lock_step:
            self.create_timer(1.0 / given.joint_states_hz, self._keep_up, clock=steady)
        self._diagnostics = diagnostics.Diagnostics(self, self._report)

    def reset(self, episode_id: int) -> Time:
        """Start an episode and publish its first image; returns the stamp of its first joint state.

        Raises RlvlaError for an id outside the episode set.
        """
        now = time.monotonic()
        self.arm.reset(episode_id, now)
        self._commanded_at, self._refused = None, ""
        self._next_image = now + 1.0 / self.given.camera_hz
        self._instruction.publish(String(data=self.arm.instruction))
        stamp = self._publish_joints()
        self._publish_image()
        return stamp

    def _on_reset(self, request: ResetEpisode.Request, response: ResetEpisode.Response) -> ResetEpisode.Response:
        try:
            response.stamp = self.reset(request.episode_id)
        except RlvlaError as error:
            response.message = str(error)
            return response
        response.success, response.instruction = True, self.arm.instruction
        return response

    def _on_result(self, _: EpisodeResult.Request, response: EpisodeResult.Response) -> EpisodeResult.Response:
        sim_robot = self.arm.sim_robot
        world = sim_robot.world
        response.episode_id, response.steps = sim_robot.episode_id, world.steps
        response.success, response.success_once = world.success, sim_robot.success_once
        response.grasped, response.grasped_firmly = world.grasped, world.grasped_firmly
        return response

    def _on_target(self, message: JointTarget) -> None:
        try:
            joints, openings = self._points(message)
            if self.given.lock_step:
                self.arm.play(joints, openings, message.tick)
            else:
                self.arm.check(joints, openings)  # first, so that a message with one bad point moves nothing
                for point, opening in zip(joints, openings, strict=True):
                    # The message carries no speeds.
                    self.arm.send(point, np.zeros_like(point), float(opening))
        except RlvlaError as error:
            if not self._refused:
                self.get_logger().error(str(error))
            self._refused = str(error)
            return
        self._commanded_at, self._refused = time.monotonic(), ""
        if self.given.lock_step:
            self._publish_joints()
            if not self.arm.over:
                self._publish_image()

    def _points(self, message: JointTarget) -> tuple[np.ndarray, np.ndarray]:
        """Positions [n, d] and openings [n] of a message. Raises RlvlaError for one that does not fit this arm."""
        names, wanted = list(message.joints), list(self.arm.joint_names)
        if names != wanted:
            raise RlvlaError(f"joint target for {names}: {self.given.robot} has {wanted}")
        count = len(message.openings)
        if count == 0 or len(message.positions) != count * len(names) or not message.tick >= MIN_TICK_S:
            raise RlvlaError(
                f"joint target of {len(message.positions)} positions, {count} openings and tick {message.tick} s: "
                f"{len(names)} positions a point are expected, and a tick of at least {MIN_TICK_S} s"
            )
        return np.array(message.positions).reshape(count, len(names)), np.array(message.openings)

    def _keep_up(self) -> None:
        """Real time: let as much physics pass as time has, and publish what is due."""
        now = time.monotonic()
        self.arm.keep_up(now)
        self._publish_joints()
        if now >= self._next_image:
            missed = int((now - self._next_image) * self.given.camera_hz)
            self._next_image += (1 + missed) / self.given.camera_hz
            self._publish_image()

    def _header(self, frame: str) -> Header:
        stamp = to_stamp(self.arm.read().clock_s) if self.given.lock_step else self.get_clock().now().to_msg()
        return Header(stamp=stamp, frame_id=frame)

    def _publish_joints(self) -> Time:
        reading, (openings, speeds) = self.arm.read(), self.arm.fingers()
        message = JointState(header=self._header("base_link"), name=[*self.arm.joint_names, *self.arm.finger_names])
        message.position = [*reading.joints.tolist(), *openings.tolist()]
        message.velocity = [*reading.velocities.tolist(), *speeds.tolist()]
        self._joint_states.publish(message)
        return message.header.stamp

    def _publish_image(self) -> None:
        if not self.given.camera:
            return
        header = self._header(CAMERA_FRAME)
        self._infos.publish(camera_info_message(self.arm.sim_robot.camera, header))
        self._images.publish(image_message(self.arm.image(), header))
        self._image_count += 1

    def _report(self) -> diagnostics.Report:
        values = {
            "episode": self.arm.sim_robot.episode_id,
            "instruction": self.arm.instruction,
            "steps": self.arm.sim_robot.world.steps,
            "success": self.arm.sim_robot.world.success,
            "images": self._image_count,
            "behind real time [s]": round(self.arm.late_s, 2),
        }
        if problems := [line for line in (self._refused, *self.arm.faults()) if line]:
            return diagnostics.ERROR, "; ".join(problems), values
        silent = self._commanded_at is None or time.monotonic() - self._commanded_at > self.given.command_timeout_s
        if silent and not self.given.lock_step:
            return diagnostics.WARN, "no joint targets: the arm stays where it is", values
        return diagnostics.OK, "simulating", values


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the node; returns the exit code of the process."""
    return run_node(SimRobotNode, arguments)


if __name__ == "__main__":
    sys.exit(main())
