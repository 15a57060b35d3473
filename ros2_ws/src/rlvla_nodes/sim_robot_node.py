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
from rlvla_nodes.parameters import declare_parameters
from rlvla_nodes.process import run_node
from rlvla_sim import WorldConfig
from rlvla_sim.config import CONTROL_HZ
from rlvla_sim.robots import View
from rlvla_sim.sim_robot import SimRobot

CAMERA_FRAME = "camera_color_optical_frame"
SMALL_IMAGE = 128
"""Pixels: up to this width a pixel is the mean of four drawn ones, as in training."""
MAX_LAG_S = 0.5
"""Real time: when the physics is this far behind the clock, the clock is set back and the lag counted."""
MIN_TICK_S = 1e-4
"""Shortest time between two points of a target."""


@dataclass(frozen=True, kw_only=True)
class SimRobotParameters:
    """What may be set from a parameter file."""

    robot: str = "widowx250s"
    """widowx250s or panda."""
    image_width: int = 640
    """Pixels."""
    image_height: int = 480
    """Pixels."""
    view: View = "whole"
    """How much of the camera's image there is: the policy cuts what it was trained with out of the whole."""
    assets: Literal["procedural", "paper"] = "procedural"
    """Whose objects, tables and WidowX; `paper` reads the folder that RLVLA_ASSETS names."""
    episode_set: str = "train"
    """Grid that episode ids index."""
    episode: int = 0
    """Episode that the sim_robot starts with."""
    max_steps: int = 0
    """Control periods after which an episode is over; 0: it never ends."""
    lock_step: bool = False
    """Wait for a target before the world moves on, however long it takes."""
    camera: bool = True
    """Whether the sim_robot has a camera of its own."""
    camera_hz: float = 10.0
    """Images a second in real time."""
    joint_states_hz: float = 50.0
    """Joint states a second in real time."""
    command_timeout_s: float = 0.2
    """Without a target for this long the arm counts as uncommanded and stays at the last one."""
    max_jump_rad: float = 0.3
    """A target further than this from the last one is refused, as real controllers refuse a discontinuity."""


class SimRobotNode(Node):
    """Camera and arm in one process, as the simulator is one world."""

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
        self.sim_robot = SimRobot(
            WorldConfig(
                robot=given.robot,
                image_width=given.image_width,
                image_height=given.image_height,
                view=given.view,
                # What the policy's own transform makes smaller is smoothed there.
                supersampling=2 if given.image_width <= SMALL_IMAGE else 1,
                max_steps=given.max_steps or sys.maxsize,
                episode_set=given.episode_set,
                assets=given.assets,
            )
        )
        self.joint_names = [*self.sim_robot.robot.arm_joints, *self.sim_robot.robot.finger_joints]
        stream = topics.LATCHED if given.lock_step else topics.STREAM
        if given.camera:  # a publisher that never publishes would still be taken for a second camera
            self._image_publisher = self.create_publisher(Image, topics.IMAGE, stream)
            self._infos = self.create_publisher(CameraInfo, topics.CAMERA_INFO, stream)
        self._joint_states = self.create_publisher(JointState, topics.JOINT_STATES, stream)
        self._instruction = self.create_publisher(String, topics.INSTRUCTION, topics.LATCHED)
        self._description = self.create_publisher(String, topics.ROBOT_DESCRIPTION, topics.LATCHED)
        self._description.publish(String(data=self.sim_robot.robot.urdf().read_text()))
        self.create_subscription(JointTarget, topics.JOINT_TARGET, self._on_target, topics.STREAM)
        self._commanded_at: float | None = None
        self._refused = ""
        self._late_s = 0.0
        self._substeps_done = 0
        self._image_count = 0
        self._sim_seconds = 0.0
        self.reset(given.episode)
        # Only now, so that whoever finds the services also gets an answer.
        self.create_service(ResetEpisode, topics.RESET_EPISODE, self._on_reset)
        self.create_service(EpisodeResult, topics.EPISODE_RESULT, self._on_result)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        if not given.lock_step:
            self.create_timer(1.0 / given.joint_states_hz, self._follow_the_clock, clock=steady)
        self._diagnostics = diagnostics.Diagnostics(self, self._report)

    def reset(self, episode_id: int) -> Time:
        """Start an episode and publish its first image; the stamp of its first joint state.

        Raises RlvlaError for an id outside the grid.
        """
        self.sim_robot.reset(episode_id)
        self._commanded_at, self._refused = None, ""
        self._began = time.monotonic()
        self._substeps_done, self._next_image = 0, self._began + 1.0 / self.given.camera_hz
        # A period passes, so that the first image of an episode is newer than the last one of the episode before.
        self._sim_seconds += 1.0 / CONTROL_HZ
        self._instruction.publish(String(data=self.sim_robot.world.instruction))
        stamp = self._publish_joints()
        self._publish_image()
        return stamp

    def _on_reset(self, request: ResetEpisode.Request, response: ResetEpisode.Response) -> ResetEpisode.Response:
        try:
            response.stamp = self.reset(request.episode_id)
        except RlvlaError as error:
            response.message = str(error)
            return response
        response.success, response.instruction = True, self.sim_robot.world.instruction
        return response

    def _on_result(self, _: EpisodeResult.Request, response: EpisodeResult.Response) -> EpisodeResult.Response:
        world = self.sim_robot.world
        response.episode_id, response.steps = self.sim_robot.episode_id, world.steps
        response.success, response.success_once = world.success, self.sim_robot.success_once
        response.grasped, response.grasped_firmly = world.grasped, world.grasped_firmly
        return response

    def _on_target(self, message: JointTarget) -> None:
        try:
            joints, openings = self._points(message)
            if not self.given.lock_step:
                self.sim_robot.aim(joints[-1], openings[-1])
            elif not self.sim_robot.over:
                self.sim_robot.play(joints, openings, message.tick)
        except RlvlaError as error:
            if not self._refused:
                self.get_logger().error(str(error))
            self._refused = str(error)
            return
        self._commanded_at, self._refused = time.monotonic(), ""
        if self.given.lock_step:
            self._sim_seconds += 1.0 / CONTROL_HZ
            self._publish_joints()
            if not self.sim_robot.over:
                self._publish_image()

    def _points(self, message: JointTarget) -> tuple[np.ndarray, np.ndarray]:
        """Positions [n, d] and openings [n] of a message. Raises RlvlaError for one that does not fit this arm."""
        names, wanted = list(message.joints), list(self.sim_robot.robot.arm_joints)
        if names != wanted:
            raise RlvlaError(f"joint target for {names}: {self.sim_robot.robot.name} has {wanted}")
        count = len(message.openings)
        if count == 0 or len(message.positions) != count * len(names) or not message.tick >= MIN_TICK_S:
            raise RlvlaError(
                f"joint target of {len(message.positions)} positions, {count} openings and tick {message.tick} s: "
                f"{len(names)} positions a point are expected, and a tick of at least {MIN_TICK_S} s"
            )
        joints, openings = np.array(message.positions).reshape(count, len(names)), np.array(message.openings)
        if not (np.isfinite(joints).all() and np.isfinite(openings).all()):
            raise RlvlaError("joint target refused: a position or an opening is not finite")
        jump = float(np.abs(np.diff(joints, axis=0, prepend=self.sim_robot.target[0][None])).max())
        if not jump <= self.given.max_jump_rad:
            raise RlvlaError(
                f"joint target refused: it jumps by {jump:.3f} rad (limit {self.given.max_jump_rad}); disable and "
                "enable the arbiter, so that it starts from where the arm is"
            )
        return joints, openings

    def _follow_the_clock(self) -> None:
        """Let as much physics pass as time has, and publish."""
        hz = self.sim_robot.config.physics_hz
        now = time.monotonic()
        due = int((now - self._began) * hz) - self._substeps_done
        if due > MAX_LAG_S * hz:
            self._late_s += due / hz
            self._began += due / hz
            due = 0
        self.sim_robot.advance(due)
        self._substeps_done += due
        self._publish_joints()
        if now >= self._next_image:
            missed = int((now - self._next_image) * self.given.camera_hz)
            self._next_image += (1 + missed) / self.given.camera_hz
            self._publish_image()

    def _header(self, frame: str) -> Header:
        stamp = to_stamp(self._sim_seconds) if self.given.lock_step else self.get_clock().now().to_msg()
        return Header(stamp=stamp, frame_id=frame)

    def _publish_joints(self) -> Time:
        positions, velocities = self.sim_robot.joint_state()
        message = JointState(header=self._header("base_link"), name=self.joint_names)
        message.position, message.velocity = positions.tolist(), velocities.tolist()
        self._joint_states.publish(message)
        return message.header.stamp

    def _publish_image(self) -> None:
        if not self.given.camera:
            return
        header = self._header(CAMERA_FRAME)
        self._infos.publish(camera_info_message(self.sim_robot.camera, header))
        self._image_publisher.publish(image_message(self.sim_robot.world.image(), header))
        self._image_count += 1

    def _report(self) -> diagnostics.Report:
        values = {
            "episode": self.sim_robot.episode_id,
            "instruction": self.sim_robot.world.instruction,
            "steps": self.sim_robot.world.steps,
            "success": self.sim_robot.world.success,
            "images": self._image_count,
            "behind real time [s]": round(self._late_s, 2),
        }
        if self._refused:
            return diagnostics.ERROR, self._refused, values
        silent = self._commanded_at is None or time.monotonic() - self._commanded_at > self.given.command_timeout_s
        if silent and not self.given.lock_step:
            return diagnostics.WARN, "no joint targets: the arm stays where it is", values
        return diagnostics.OK, "simulating", values


def main(arguments: Sequence[str] | None = None) -> int:
    return run_node(SimRobotNode, arguments)


if __name__ == "__main__":
    sys.exit(main())
