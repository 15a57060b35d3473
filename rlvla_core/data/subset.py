"""A part of a dataset: how does supervised learning grow with its data?"""

import torch

from rlvla_core import seeds
from rlvla_core.data.dataset import FrameBatch
from rlvla_core.data.frames import Frames
from rlvla_core.errors import RlvlaError


class Subset:
    """So many episodes of a dataset, drawn by a seed. The episodes of a smaller subset are among those of a larger."""

    def __init__(self, dataset: Frames, episodes: int, *, seed: int) -> None:
        """Raises RlvlaError where the dataset has fewer."""
        found = int(dataset.episode_index.max()) + 1
        if not 0 < episodes <= found:
            raise RlvlaError(f"{episodes} episodes of a dataset of {found}: ask for 1 to {found}, or collect more")
        order = torch.randperm(found, generator=seeds.generator(seed, "subset"))
        self._dataset = dataset
        self._frames = torch.isin(dataset.episode_index, order[:episodes]).nonzero().squeeze(-1)
        self.episode_index = dataset.episode_index[self._frames].unique(return_inverse=True)[1]

    @property
    def num_frames(self) -> int:
        return len(self._frames)

    def frames(self, indices: torch.Tensor) -> FrameBatch:
        return self._dataset.frames(self._frames[indices])
