"""The simulated world as a robot: a camera, and an arm that follows joint targets at any rate, as a real arm does."""

import numpy as np

from rlvla_core.errors import RlvlaError
from rlvla_sim.assets import catalogue
from rlvla_sim.config import WorldConfig
from rlvla_sim.world import World


class SimRobot:
    """A simulated arm and camera in one episode at a time.

    Physics advances in steps of 1 / physics_hz seconds. Every 0.2 s end a control step, which is counted and judged
    exactly as in training. After `max_steps` control steps the task flags no longer change.
    """

    def __init__(self, config: WorldConfig) -> None:
        self.config = config
        self.episodes = config.episodes
        self.world = World(config, catalogue(config.assets))
        self.robot = self.world.spec
        self.camera = self.world.renderer.camera
        self.reset(0)

    def reset(self, episode_id: int) -> None:
        """Start the episode with this id. Raises RlvlaError for an id outside the episode set."""
        if not 0 <= episode_id < len(self.episodes):
            name, last = self.episodes.name, len(self.episodes) - 1
            raise RlvlaError(f"episode id {episode_id} is outside the episode set `{name}`: use 0 .. {last}")
        self.world.start(self.episodes.decode(episode_id))
        self.episode_id = episode_id
        self.success_once = False
        self._joints, self._opening = self.world.start_joints.copy(), self.robot.finger_start
        self._substep = 0

    @property
    def over(self) -> bool:
        """Whether the time limit is reached; then nothing is judged any more."""
        return self.world.steps >= self.config.max_steps

    @property
    def target(self) -> tuple[np.ndarray, float]:
        """Joint angles [d] and finger opening [m] that the drives pull towards."""
        return self._joints, self._opening

    def aim(self, joints: np.ndarray, opening: float) -> None:
        """Set the drives' targets: joint angles [d] and how far each finger is open [m].

        Raises RlvlaError for a wrong number of joints and for anything that is not finite; the old targets stay.
        """
        joints = np.asarray(joints, dtype=np.float64)
        if joints.shape != self._joints.shape:
            raise RlvlaError(
                f"{joints.size} joint targets for {self.robot.name}, which has {self._joints.size} joints: "
                f"send {', '.join(self.robot.arm_joints)}"
            )
        if not (np.isfinite(joints).all() and np.isfinite(opening)):
            raise RlvlaError(f"joint target {joints.tolist()} with opening {opening} is not finite: nothing was moved")
        self._joints, self._opening = joints, float(opening)

    def advance(self, substeps: int) -> None:
        """Run this many physics steps towards the targets."""
        for _ in range(substeps):
            self.world.advance(self._joints, self._opening, 1)
            self._substep += 1
            if self._substep % self.config.substeps == 0 and not self.over:
                self.success_once |= self.world.conclude().success

    def play(self, joints: np.ndarray, openings: np.ndarray, tick_s: float) -> None:
        """Run one control step through joint targets [n, d] and finger openings [n] that are `tick_s` seconds apart;
        the last of them stays the target."""
        for substep in range(self.config.substeps):
            # The small term keeps a substep that starts exactly with a point from falling to the one before it.
            point = min(int(substep / self.config.physics_hz / tick_s + 1e-6), len(openings) - 1)
            self.aim(joints[point], float(openings[point]))
            self.advance(1)

    def joint_state(self) -> tuple[np.ndarray, np.ndarray]:
        """Measured positions and velocities [d + 2]: the arm's joints, then the two fingers'."""
        physics = self.world.physics
        index = np.concatenate([physics.arm_index, physics.finger_index])
        articulation = physics.articulation
        return articulation.qpos[index].astype(np.float64), articulation.qvel[index].astype(np.float64)
