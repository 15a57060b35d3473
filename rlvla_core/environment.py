"""The contract between a policy and any environment: simulator, toy problem or robot.

Shape letters: N environments, H W image, A = 7 action dimensions, S privileged state.
All tensors are torch tensors on the environment's own device (CPU simulation: CPU; GPU simulation: CUDA), so that a
batched GPU simulator hands images to the policy without a trip through host memory.
"""

from dataclasses import dataclass, field
from typing import Protocol

import torch

from rlvla_core.errors import RlvlaError
from rlvla_core.geometry.camera import CameraSpec

ACTION_DIM = 7
"""Number of action dimensions A: Δxyz [m], Δrotation [rad] (XYZ Euler), gripper (+1 open, -1 closed)."""

ACTION_SPACE = "delta_target_xyz_euler_gripper/base"
"""Name of the one action space: deltas in the base frame, applied to the previous *commanded* target pose: p ← p + Δp,
R ← R(Δeuler)·R."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EnvSpec:
    """What a policy must know about an environment to fit it; copied into a bundle's `deploy.json`."""

    robot: str
    camera: CameraSpec
    control_hz: float
    max_steps: int
    """Time limit: an episode is truncated after this many control steps."""
    episode_set: str
    """Name of the episode set that episode ids index, e.g. `train`."""
    num_episodes: int
    """Size of the episode set: valid episode ids are 0 .. num_episodes - 1."""
    state_dim: int = 0
    """Width S of `Observation.state`; 0 where the environment has none."""
    state_points: tuple[tuple[str, int], ...] = ()
    """Points in the state, as (name, first of three columns): metres, base frame. Training may use them as labels for
    where things are in the image; the deployed graph never sees them."""
    action_space: str = ACTION_SPACE


@dataclass(frozen=True, kw_only=True, slots=True)
class Observation:
    """What N environments show: the policy's inputs and, for training only, privileged state."""

    images: torch.Tensor
    """uint8 [N, H, W, 3], RGB."""
    instructions: list[str]
    """N instructions."""
    state: torch.Tensor | None = None
    """Privileged simulator state, float32 [N, S]: for auxiliary losses and privileged critics. Never an input of the
    deployed graph."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StepResult:
    """The outcome of one control step of N environments."""

    observation: Observation
    rewards: torch.Tensor
    """float32 [N]: rewards of this step."""
    terminated: torch.Tensor
    """bool [N]: the task itself has ended (no value beyond it)."""
    truncated: torch.Tensor
    """bool [N]: the time limit was reached (the value beyond it is bootstrapped)."""
    success: torch.Tensor
    """bool [N]: the success test holds now (not latched)."""
    info: dict[str, torch.Tensor] = field(default_factory=dict)
    """Further per-environment facts, each [N], e.g. `grasped`, `grasped_firmly`."""


class VecEnv(Protocol):
    """N environments that start together from given episode ids and step in lock-step."""

    spec: EnvSpec
    num_envs: int
    """Number of environments N."""

    def reset(self, episode_ids: torch.Tensor) -> Observation:
        """Start episode `episode_ids[i]` (int64 [N]) in environment i. The same id always gives the same start.

        Raises RlvlaError for an id outside 0 .. num_episodes - 1 or a tensor that is not [N].
        """
        ...

    def step(self, actions: torch.Tensor, active: torch.Tensor | None = None) -> StepResult:
        """Apply float32 [N, 7] actions. Environments with `active[i]` False are left as they are: their image
        stays the last one, their reward is 0 (a caller masks them out). Default: all active."""
        ...

    def close(self) -> None:
        """Free the simulator."""
        ...


def check_episode_ids(episode_ids: torch.Tensor, spec: EnvSpec, num_envs: int) -> None:
    """Raise RlvlaError unless `episode_ids` is int64 [num_envs] with every id in the episode set."""
    if episode_ids.shape != (num_envs,) or episode_ids.dtype != torch.int64:
        raise RlvlaError(f"episode ids must be int64 [{num_envs}], got {episode_ids.dtype} {list(episode_ids.shape)}")
    low, high = int(episode_ids.min()), int(episode_ids.max())
    if low < 0 or high >= spec.num_episodes:
        bad = low if low < 0 else high
        raise RlvlaError(
            f"episode id {bad} is outside the episode set `{spec.episode_set}`: use 0 .. {spec.num_episodes - 1}"
        )
