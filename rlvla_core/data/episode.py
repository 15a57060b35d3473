"""One demonstration or trial, as arrays in memory.

Shape letters: T steps, H W image, A = 7 action dimensions, S privileged state.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rlvla_core.environment import ACTION_DIM
from rlvla_core.errors import RlvlaError


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Episode:
    """T steps of one episode. Step t holds the image *before* action t, and action t itself.

    Raises RlvlaError where an array has another shape or dtype, where an action is not finite, or for no steps.
    """

    images: npt.NDArray[np.uint8]
    """Images before the action, uint8 [T, H, W, 3], RGB."""
    actions: npt.NDArray[np.float32]
    """Actions, float32 [T, 7]: Δxyz [m], Δrotation [rad] (XYZ Euler), gripper (+1 open, -1 closed)."""
    instruction: str
    """The sentence that the policy was given; it is the same over the whole episode."""
    episode_id: int
    """The environment's id of the start (object, receptacle, table, positions, yaw in one integer)."""
    success: bool
    """Whether the task was done when the episode ended."""
    state: npt.NDArray[np.float32] | None = None
    """Privileged simulator state before the action, float32 [T, S]: labels for training, never a policy input."""
    rewards: npt.NDArray[np.float32] | None = None
    """Reward that each action earned, float32 [T]."""

    def __post_init__(self) -> None:
        length = len(self.images)
        _check("images", self.images, np.uint8, (length, None, None, 3))
        _check("actions", self.actions, np.float32, (length, ACTION_DIM))
        if self.state is not None:
            _check("state", self.state, np.float32, (length, None))
        if self.rewards is not None:
            _check("rewards", self.rewards, np.float32, (length,))
        if length == 0:
            raise RlvlaError(f"episode {self.episode_id} has no steps: leave it out")
        if not np.isfinite(self.actions).all():
            step = int(np.flatnonzero(~np.isfinite(self.actions).all(axis=1))[0])
            raise RlvlaError(f"episode {self.episode_id} has an action that is not finite at step {step}: leave it out")
        if not self.instruction:
            raise RlvlaError(f"episode {self.episode_id} has no instruction: give it one sentence")

    def __len__(self) -> int:
        return len(self.images)

    def select(self, steps: npt.NDArray[Any]) -> "Episode":
        """This episode with only `steps` (bool [T], or integer indices). Raises RlvlaError where none is left."""
        return Episode(
            images=self.images[steps],
            actions=self.actions[steps],
            instruction=self.instruction,
            episode_id=self.episode_id,
            success=self.success,
            state=None if self.state is None else self.state[steps],
            rewards=None if self.rewards is None else self.rewards[steps],
        )


def _check(name: str, array: npt.NDArray[Any], dtype: type, shape: tuple[int | None, ...]) -> None:
    fits = array.ndim == len(shape) and all(want in (None, have) for want, have in zip(shape, array.shape, strict=True))
    if not fits or array.dtype != dtype:
        want = ", ".join("?" if size is None else str(size) for size in shape)
        raise RlvlaError(
            f"episode {name} must be {np.dtype(dtype).name} [{want}], got {array.dtype} {list(array.shape)}"
        )
