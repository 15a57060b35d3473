"""A part of a dataset, to measure how supervised learning grows with its data."""

import torch

from rlvla_core import seeds
from rlvla_core.data.dataset import FrameBatch
from rlvla_core.data.frames import Frames
from rlvla_core.errors import RlvlaError


class Subset:
    """Some episodes of a dataset, chosen by a seed; a smaller subset of the same seed is part of every larger one."""

    def __init__(self, dataset: Frames, episodes: int, *, seed: int) -> None:
        """Choose `episodes` of the dataset's episodes. Raises RlvlaError if it has fewer, or for none."""
        found = int(dataset.episode_index.max()) + 1
        if not 0 < episodes <= found:
            raise RlvlaError(f"{episodes} episodes of a dataset of {found}: ask for 1 to {found}, or collect more")
        order = torch.randperm(found, generator=seeds.generator(seed, "subset"))
        self._dataset = dataset
        self._frames = torch.isin(dataset.episode_index, order[:episodes]).nonzero().squeeze(-1)
        self.episode_index = dataset.episode_index[self._frames].unique(return_inverse=True)[1]
        """For each frame the number of its episode within the subset, int64 [N]."""

    @property
    def num_frames(self) -> int:
        """Number of frames, N."""
        return len(self._frames)

    def frames(self, indices: torch.Tensor) -> FrameBatch:
        """The frames with the given indices (int64 [B], 0 .. N - 1 within the subset), in that order."""
        return self._dataset.frames(self._frames[indices])
