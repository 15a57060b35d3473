"""The fixed list of episodes that an evaluation runs. Two results are comparable if their lists are the same."""

import functools
import hashlib
import json
from dataclasses import dataclass

import numpy as np
import torch

from rlvla_core.environment import EnvSpec
from rlvla_core.errors import RlvlaError


@dataclass(frozen=True, kw_only=True)
class EpisodeList:
    """Distinct episode ids of one episode set, in the order in which they are run and reported."""

    episode_set: str
    """Name of the set of episodes that the ids index, e.g. `train`."""
    num_episodes: int
    """Number of episodes in the whole set. In a set of another size, an id would mean another episode."""
    ids: tuple[int, ...]
    """Episode ids, each in 0 .. num_episodes - 1."""

    def __post_init__(self) -> None:
        """Raises RlvlaError for an empty list, a repeated id or one outside the set."""
        if not self.ids:
            raise RlvlaError("an episode list needs at least one episode")
        if len(set(self.ids)) != len(self.ids):
            raise RlvlaError(
                f"an episode list holds every episode once, got {len(self.ids) - len(set(self.ids))} repeats"
            )
        low, high = min(self.ids), max(self.ids)
        if low < 0 or high >= self.num_episodes:
            raise RlvlaError(
                f"episode id {low if low < 0 else high} is outside the episode set `{self.episode_set}`: "
                f"use 0 .. {self.num_episodes - 1}"
            )

    @classmethod
    def draw(cls, spec: EnvSpec, n: int, seed: int = 0) -> "EpisodeList":
        """n distinct ids, uniform over the episode set of `spec`; equal on every machine and with every numpy version.

        A partial Fisher-Yates shuffle fed by Philox's raw 64-bit words (counter based; the sampling functions of
        numpy may change between versions, raw words may not). With one seed, a shorter list is the beginning of a
        longer one. Raises RlvlaError for n < 1 and for n above the size of the set.
        """
        size = spec.num_episodes
        if not 1 <= n <= size:
            raise RlvlaError(f"cannot draw {n} distinct episodes of the set `{spec.episode_set}`: it has {size}")
        words = np.random.Philox(np.random.SeedSequence(seed))
        moved: dict[int, int] = {}  # the shuffled array, where it differs from 0, 1, 2, ...
        ids = []
        for position in range(n):
            other = position + _uniform_below(size - position, words)
            ids.append(moved.get(other, other))
            moved[other] = moved.get(position, position)
        return cls(episode_set=spec.episode_set, num_episodes=size, ids=tuple(ids))

    @functools.cached_property
    def sha256(self) -> str:
        """Hash of the set's name and size and of the ids in their order."""
        content = [self.episode_set, self.num_episodes, list(self.ids)]
        return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()

    def __len__(self) -> int:
        return len(self.ids)

    def tensor(self) -> torch.Tensor:
        """The ids as int64 tensor [n]."""
        return torch.tensor(self.ids, dtype=torch.int64)

    def batches(self, size: int) -> list["EpisodeList"]:
        """The list cut into consecutive lists of `size` episodes; the last one may be shorter."""
        return [self.part(self.ids[start : start + size]) for start in range(0, len(self.ids), size)]

    def part(self, ids: tuple[int, ...]) -> "EpisodeList":
        """A list of the given ids of the same episode set."""
        return EpisodeList(episode_set=self.episode_set, num_episodes=self.num_episodes, ids=ids)

    def require_same(self, other: "EpisodeList") -> None:
        """Raise RlvlaError unless `other` is the same list: results of different lists must never be paired."""
        if self.sha256 != other.sha256:
            raise RlvlaError(
                f"the results are of two episode lists, {self.describe()} and {other.describe()}: "
                "evaluate both policies with the same set, n and seed"
            )

    def describe(self) -> str:
        """Set, number of episodes and hash of the list, e.g. `train x 128 (sha256 0a1b2c3d)`."""
        return f"{self.episode_set} x {len(self.ids)} (sha256 {self.sha256[:8]})"


def _uniform_below(limit: int, words: np.random.Philox) -> int:
    """A uniform integer in 0 .. limit - 1; words of the incomplete last block are thrown away, which avoids a bias."""
    blocks = (1 << 64) - (1 << 64) % limit
    while (word := int(words.random_raw())) >= blocks:
        pass
    return word % limit
