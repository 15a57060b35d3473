"""VecEnv of N CPU worlds in one process: stepped one after another, their arms controlled as one batch."""

import numpy as np
import torch

from rlvla_core.environment import ACTION_DIM, EnvSpec, Observation, StepResult, check_episode_ids
from rlvla_core.errors import RlvlaError
from rlvla_sim.assets import catalogue
from rlvla_sim.config import CONTROL_HZ, WorldConfig
from rlvla_sim.kinematics import DeltaPoseController, KinematicChain
from rlvla_sim.robots import RobotSpec, robot
from rlvla_sim.world import STATE_DIM, STATE_SLICES, World

STATE_POINTS = ("tcp_position", "object_position", "receptacle_position")
"""Fields of the privileged state that are points, see `EnvSpec.state_points`."""


def env_spec(config: WorldConfig) -> EnvSpec:
    """The environment specification of this world, as bundles record it; raises RlvlaError for an unknown robot or
    episode set."""
    return EnvSpec(
        robot=config.robot,
        camera=robot(config.robot).seen(config.view, config.image_width, config.image_height),
        control_hz=CONTROL_HZ,
        max_steps=config.max_steps,
        episode_set=config.episodes.name,
        num_episodes=len(config.episodes),
        state_dim=STATE_DIM,
        state_points=tuple((name.removesuffix("_position"), STATE_SLICES[name].start) for name in STATE_POINTS),
    )


def check_actions(actions: torch.Tensor, num_envs: int) -> None:
    """Raise RlvlaError unless `actions` are finite floats [num_envs, 7]."""
    if tuple(actions.shape) != (num_envs, ACTION_DIM):
        raise RlvlaError(f"actions have shape {list(actions.shape)}, expected [{num_envs}, {ACTION_DIM}]")
    bad = ~torch.isfinite(actions).all(dim=1)
    if bool(bad.any()):
        row = int(bad.nonzero()[0, 0])
        raise RlvlaError(f"action of environment {row} is not finite: {actions[row].tolist()}")


def finger_targets(spec: RobotSpec, gripper: np.ndarray) -> np.ndarray:
    """Finger joint targets [m] of gripper actions in [-1 closed, +1 open] (clipped)."""
    fraction = 0.5 * (np.clip(gripper, -1.0, 1.0) + 1.0)
    return spec.finger_closed + fraction * (spec.finger_open - spec.finger_closed)


class CpuVecEnv:
    """VecEnv of `num_envs` CPU worlds; tensors live on the CPU."""

    def __init__(self, config: WorldConfig, num_envs: int) -> None:
        if num_envs < 1:
            raise RlvlaError(f"num_envs is {num_envs}: use at least 1")
        self.config = config
        self.num_envs = num_envs
        self.spec = env_spec(config)
        self.episodes = config.episodes
        self.robot = robot(config.robot, config.assets)
        assets = catalogue(config.assets)
        self.worlds = [World(config, assets) for _ in range(num_envs)]
        self.chain = KinematicChain.from_urdf(self.robot.urdf(), self.robot.tcp_link, self.robot.arm_joints)
        size = (num_envs, config.image_height, config.image_width, 3)
        self._images = torch.zeros(size, dtype=torch.uint8)
        self._state = torch.zeros((num_envs, STATE_DIM), dtype=torch.float32)
        texture_overlay = self.episodes.texture_overlay
        self._coupled = texture_overlay is not None and texture_overlay.coupled
        self._boxes = np.zeros((num_envs, 2), dtype=np.int64)
        self._started = False

    def reset(self, episode_ids: torch.Tensor) -> Observation:
        """Start episode `episode_ids[i]` (int64 [N]) in environment i; see VecEnv."""
        check_episode_ids(episode_ids, self.spec, self.num_envs)
        for world, episode_id in zip(self.worlds, episode_ids.tolist(), strict=True):
            world.start(self.episodes.decode(episode_id))
        self.controller = DeltaPoseController(self.chain, np.stack([world.start_joints for world in self.worlds]))
        self._started = True
        return self._observe(range(self.num_envs))

    def step(self, actions: torch.Tensor, active: torch.Tensor | None = None) -> StepResult:
        """Apply float [N, 7] actions to the active environments; see VecEnv.

        `info`: bool [N] `grasped` and `grasped_firmly` (both latched), `grasped_now`; int64 [N] `steps`.
        """
        if not self._started:
            raise RlvlaError("step before reset: reset the environment with episode ids first")
        check_actions(actions, self.num_envs)
        rows = range(self.num_envs) if active is None else active.nonzero()[:, 0].tolist()
        rewards = torch.zeros(self.num_envs)
        if len(rows):
            index = np.array(rows)
            moves = actions.detach().numpy().astype(np.float64)[index]
            arms = self.controller.step(index, moves[:, :6])
            fingers = finger_targets(self.robot, moves[:, 6])
            for row, arm, finger in zip(rows, arms, fingers.tolist(), strict=True):
                rewards[row] = self.worlds[row].step(arm, finger).reward
        observation = self._observe(rows)
        return self._result(observation, rewards)

    def _result(self, observation: Observation, rewards: torch.Tensor) -> StepResult:
        worlds = self.worlds
        success = torch.tensor([w.success for w in worlds])
        grasped = torch.tensor([w.grasped for w in worlds])
        steps = torch.tensor([w.steps for w in worlds])
        ended = success & grasped if self.config.end_on_success else torch.zeros_like(success)
        return StepResult(
            observation=observation,
            rewards=rewards,
            terminated=ended,
            truncated=(steps >= self.config.max_steps) & ~ended,
            success=success,
            info={
                "grasped": grasped,
                "grasped_firmly": torch.tensor([w.grasped_firmly for w in worlds]),
                "grasped_now": torch.tensor([w.grasped_now for w in worlds]),
                "steps": steps,
            },
        )

    def _observe(self, rows: range | list[int]) -> Observation:
        """Fresh images and states of these environments; the others keep their last ones."""
        self._images, self._state = self._images.clone(), self._state.clone()
        images, state = self._images.numpy(), self._state.numpy()
        rendered = self._coupled_images(rows) if self._coupled else (self.worlds[row].image() for row in rows)
        for row, image in zip(rows, rendered, strict=True):
            images[row] = image
            state[row] = self.worlds[row].state()
        return Observation(images=self._images, instructions=[w.instruction for w in self.worlds], state=self._state)

    def _coupled_images(self, rows: range | list[int]) -> list[np.ndarray]:
        """Images of these environments, whose textures all have the size of the largest box in any environment; see
        `TextureOverlay.coupled`."""
        renderers = [self.worlds[row].renderer for row in rows]
        drawn = [self.worlds[row].render() for row in rows]
        for row, renderer, foreground in zip(rows, renderers, drawn, strict=True):
            self._boxes[row] = renderer.box_size(foreground)
        height, width = self._boxes.max(axis=0)
        return [
            renderer.compose(foreground, (height, width)) for renderer, foreground in zip(renderers, drawn, strict=True)
        ]

    def close(self) -> None:
        """Free the simulator."""
        self.worlds = []
        self._started = False
