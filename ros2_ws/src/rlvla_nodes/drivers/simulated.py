"""The simulated arm as a driver: a ManiSkill world that follows joint targets as a real arm's controller does.

In real time `keep_up` lets as much physics pass as time has. In lock-step `play` is one control period: the world plays
the points of one message and then waits. Beside the driver's protocol it has what only a simulator has: episodes and a
camera.
"""

import sys
from typing import Literal

import numpy as np

from rlvla_core.errors import RlvlaError
from rlvla_nodes.drivers.driver import JointReading
from rlvla_sim.config import CONTROL_HZ, WorldConfig
from rlvla_sim.robots import View
from rlvla_sim.sim_robot import SimRobot

SMALL_IMAGE = 128
"""Up to this width in pixels, an image pixel is the mean of four rendered ones, as in training."""
MAX_LAG_S = 0.5
"""When the physics is this far behind real time, the arm's clock is set back and the lag is counted."""


class SimulatedArm:
    """A simulated robot that keeps the protocol `ArmDriver`."""

    def __init__(
        self,
        *,
        robot: str,
        image_width: int,
        image_height: int,
        view: View,
        assets: Literal["procedural", "paper"],
        episode_set: str,
        max_steps: int,
        max_jump_rad: float,
    ) -> None:
        """`max_steps` 0: an episode never ends. A target further than `max_jump_rad` from the last one is refused, as
        real controllers refuse a discontinuity. Raises RlvlaError for values that the simulator does not know."""
        self._config = WorldConfig(
            robot=robot,
            image_width=image_width,
            image_height=image_height,
            view=view,
            # The policy's own transform smooths what it makes smaller.
            supersampling=2 if image_width <= SMALL_IMAGE else 1,
            max_steps=max_steps or sys.maxsize,
            episode_set=episode_set,
            assets=assets,
        )
        self._max_jump_rad = max_jump_rad
        self._clock_s = 0.0
        self._began_s, self._substeps_done = 0.0, 0
        self.late_s = 0.0
        """Seconds by which physics fell behind real time so far, in all."""

    def connect(self) -> None:
        """Build the world, which takes seconds, and start episode 0."""
        self.sim_robot = SimRobot(self._config)

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Names of the arm's joints in its URDF, base to tool."""
        return tuple(self.sim_robot.robot.arm_joints)

    @property
    def finger_names(self) -> tuple[str, ...]:
        """Names of the two finger joints in the URDF."""
        return tuple(self.sim_robot.robot.finger_joints)

    @property
    def urdf(self) -> str:
        """The robot's description."""
        return self.sim_robot.robot.urdf().read_text(encoding="utf-8")

    def read(self) -> JointReading:
        """Measured angles and speeds, opening of the first finger, and the simulated time."""
        positions, velocities = self.sim_robot.joint_state()
        count = len(self.joint_names)
        return JointReading(
            joints=positions[:count],
            velocities=velocities[:count],
            opening=float(positions[count]),
            clock_s=self._clock_s,
        )

    def fingers(self) -> tuple[np.ndarray, np.ndarray]:
        """Measured openings [2] in metres and speeds [2] in metres per second of the two fingers."""
        positions, velocities = self.sim_robot.joint_state()
        count = len(self.joint_names)
        return positions[count:], velocities[count:]

    def send(self, joints: np.ndarray, velocities: np.ndarray, opening: float) -> None:
        """Let the drives pull towards a target; the simulated drives have no use for its speeds.

        Raises RlvlaError for a target that is not finite or jumps; the old target stays.
        """
        self.check(joints[None], np.array([opening]))
        self.sim_robot.aim(joints, opening)

    def play(self, joints: np.ndarray, openings: np.ndarray, tick_s: float) -> None:
        """One control period of lock-step, through targets [n, d] and openings [n] that are `tick_s` seconds apart.

        Nothing happens once the episode is over. Raises RlvlaError as `send` does.
        """
        self.check(joints, openings)
        if not self.over:
            self.sim_robot.play(joints, openings, tick_s)
        self._clock_s += 1.0 / CONTROL_HZ

    def check(self, joints: np.ndarray, openings: np.ndarray) -> None:
        """Raise RlvlaError if targets [n, d] with openings [n] are not finite, or jump from the last target or among
        themselves."""
        if not (np.isfinite(joints).all() and np.isfinite(openings).all()):
            raise RlvlaError("joint target refused: a position or an opening is not finite")
        jump = float(np.abs(np.diff(joints, axis=0, prepend=self.sim_robot.target[0][None])).max())
        if not jump <= self._max_jump_rad:
            raise RlvlaError(
                f"joint target refused: it jumps by {jump:.3f} rad (limit {self._max_jump_rad}); disable and "
                "enable the arbiter, so that it starts from where the arm is"
            )

    def keep_up(self, now_s: float) -> None:
        """Let as much physics pass as real time has, on a monotonic clock that `reset` was told as well."""
        hz = self._config.physics_hz
        due = int((now_s - self._began_s) * hz) - self._substeps_done
        if due > MAX_LAG_S * hz:
            self.late_s += due / hz
            self._began_s += due / hz
            due = 0
        self.sim_robot.advance(due)
        self._substeps_done += due
        self._clock_s += due / hz

    def hold(self) -> None:
        """Stay: the drives keep pulling towards the last target."""

    def stop(self) -> None:
        """Stop where the arm is measured to be."""
        reading = self.read()
        self.sim_robot.aim(reading.joints, reading.opening)

    def recover(self) -> None:
        """Nothing to recover from: a simulated arm has no faults."""

    def faults(self) -> tuple[str, ...]:
        """Always empty: a simulated arm has no faults."""
        return ()

    def close(self) -> None:
        """Nothing to give back."""

    def reset(self, episode_id: int, now_s: float) -> None:
        """Start an episode at `now_s` of real time. Raises RlvlaError for an id outside the episode set."""
        self.sim_robot.reset(episode_id)
        self._began_s, self._substeps_done = now_s, 0
        # A period passes, so that the first image of an episode is newer than the last one of the episode before.
        self._clock_s += 1.0 / CONTROL_HZ

    @property
    def over(self) -> bool:
        """Whether the episode has reached its time limit: nothing moves and nothing is judged any more."""
        return self.sim_robot.over

    @property
    def instruction(self) -> str:
        """What the present episode asks for."""
        return self.sim_robot.world.instruction

    def image(self) -> np.ndarray:
        """What the camera sees now, uint8 [H, W, 3] RGB."""
        return self.sim_robot.world.image()
