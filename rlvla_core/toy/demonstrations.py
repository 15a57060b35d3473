"""Toy demonstrations in memory, with the interface of a dataset that supervised learning reads."""

import numpy as np
import torch

from rlvla_core.data.dataset import FrameBatch
from rlvla_core.data.episode import Episode
from rlvla_core.policy.norm_stats import NormStats
from rlvla_core.toy.world import MAX_STEP

TOY_NORM_STATS = NormStats(
    q01=(-MAX_STEP, -MAX_STEP, -MAX_STEP, -0.1, -0.1, -0.1, 0.0),
    q99=(MAX_STEP, MAX_STEP, MAX_STEP, 0.1, 0.1, 0.1, 1.0),
    mask=(True, True, True, True, True, True, False),
)
"""Action normalisation of the toy worlds; fixed, not measured, since their actions have known limits."""


class Demonstrations:
    """All frames of some episodes, as a dataset in memory."""

    def __init__(self, episodes: list[Episode]) -> None:
        self._images = torch.from_numpy(np.concatenate([episode.images for episode in episodes]))
        self._actions = torch.from_numpy(np.concatenate([episode.actions for episode in episodes]))
        self._states = torch.from_numpy(np.concatenate([e.state for e in episodes if e.state is not None]))
        self._instructions = [episode.instruction for episode in episodes]
        self.episode_index = torch.cat([torch.full((len(e),), i) for i, e in enumerate(episodes)])

    @property
    def num_frames(self) -> int:
        return len(self._actions)

    def frames(self, indices: torch.Tensor) -> FrameBatch:
        """The frames with the given indices int64 [B]."""
        return FrameBatch(
            images=self._images[indices],
            actions=self._actions[indices],
            instructions=[self._instructions[i] for i in self.episode_index[indices].tolist()],
            state=self._states[indices],
        )
