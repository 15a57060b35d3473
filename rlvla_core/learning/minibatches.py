"""In which order a rollout is learned from, and how it is divided: the same on any number of ranks, and repeatable."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from rlvla_core import seeds
from rlvla_core.learning.config import TrainingConfig
from rlvla_core.learning.distributed import Ranks


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Minibatch:
    """What one optimiser step learns from."""

    items: torch.Tensor
    """int64 [m]: this rank's items; there may be none."""
    count: float
    """Items on all ranks: losses are divided by it, so that the split of the work never changes the gradient."""
    is_first: bool
    """No step has been taken since the rollout: the policy is still the one that played it."""


def minibatches(
    items: torch.Tensor, total: int, config: TrainingConfig, ranks: Ranks, iteration: int
) -> Iterator[Minibatch]:
    """`config.epochs` passes over this rank's `items` int64 [M], each in an order of its own.

    total: number of items on all ranks. An item is what the algorithm draws: a step, or a start with all its episodes.
    Every rank gets the same number of minibatches, of `config.minibatch` items over all ranks as nearly as it divides;
    none where no rank has items.
    """
    if total == 0:
        return
    for epoch in range(config.epochs):
        order = seeds.generator(config.seed, "shuffle", iteration, ranks.rank, epoch)
        mine = items.cpu()[torch.randperm(len(items), generator=order)].to(items.device)
        chunks = mine.tensor_split(max(1, round(total / config.minibatch)))
        counts = ranks.sum(torch.tensor([float(len(chunk)) for chunk in chunks])).tolist()
        for index, (chunk, count) in enumerate(zip(chunks, counts, strict=True)):
            if count:
                yield Minibatch(items=chunk, count=count, is_first=epoch == 0 and index == 0)


def micro_batches(items: torch.Tensor, size: int) -> Iterator[torch.Tensor]:
    """`items` int64 [m] in pieces of at most `size`; nothing for none (`Tensor.split` would give one empty piece)."""
    for first in range(0, len(items), size):
        yield items[first : first + size]
