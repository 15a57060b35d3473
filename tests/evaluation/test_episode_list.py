"""Episode lists: distinct, uniform, fixed, and never mixed up."""

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rlvla_core.environment import EnvSpec
from rlvla_core.errors import RlvlaError
from rlvla_core.evaluation.episode_list import EpisodeList


def spec(size: int, name: str = "train") -> EnvSpec:
    return cast(EnvSpec, SimpleNamespace(episode_set=name, num_episodes=size))


@given(size=st.integers(1, 10**9), n=st.integers(1, 40), seed=st.integers(0, 2**40))
def test_ids_are_distinct_and_in_the_episode_set_and_a_short_list_begins_a_long_one(
    size: int, n: int, seed: int
) -> None:
    n = min(n, size)
    episodes = EpisodeList.draw(spec(size), n, seed)
    assert len(set(episodes.ids)) == n and min(episodes.ids) >= 0 and max(episodes.ids) < size
    assert EpisodeList.draw(spec(size), n, seed) == episodes
    assert EpisodeList.draw(spec(size), max(1, n // 2), seed).ids == episodes.ids[: max(1, n // 2)]


def test_the_list_of_a_seed_never_changes() -> None:
    # Recorded once: results of different versions are only comparable while these hold.
    episodes = EpisodeList.draw(spec(25_600), 6, seed=0)
    assert episodes.ids == (937, 17636, 21920, 9674, 18234, 18913)
    assert episodes.sha256 == "1919c6c81324ee0ed3f22682faa41e6e7292dfddb98d7c921f08526f0ff3ab37"


def test_a_full_draw_is_a_permutation_and_draws_are_uniform() -> None:
    assert sorted(EpisodeList.draw(spec(500), 500, seed=3).ids) == list(range(500))
    counts = np.zeros(12)
    for seed in range(1500):
        counts[list(EpisodeList.draw(spec(12), 4, seed).ids)] += 1
    assert stats.chisquare(counts).pvalue > 1e-4
    firsts = np.bincount([EpisodeList.draw(spec(12), 4, seed).ids[0] for seed in range(1500)], minlength=12)
    assert stats.chisquare(firsts).pvalue > 1e-4


def test_batches_are_the_list_in_order() -> None:
    episodes = EpisodeList.draw(spec(100), 10, seed=1)
    batches = episodes.batches(4)
    assert [len(batch) for batch in batches] == [4, 4, 2]
    assert tuple(i for batch in batches for i in batch.ids) == episodes.ids


def test_different_lists_are_refused_as_pairs() -> None:
    one = EpisodeList.draw(spec(100), 10, seed=1)
    one.require_same(EpisodeList.draw(spec(100), 10, seed=1))
    others = [
        EpisodeList.draw(spec(100), 10, seed=2),
        EpisodeList.draw(spec(100), 9, seed=1),
        EpisodeList(episode_set="test", num_episodes=100, ids=one.ids),
        EpisodeList(episode_set="train", num_episodes=101, ids=one.ids),
        one.part(one.ids[::-1]),
    ]
    for other in others:
        with pytest.raises(RlvlaError, match="two episode lists"):
            one.require_same(other)


def test_impossible_lists_are_refused() -> None:
    with pytest.raises(RlvlaError, match="it has 5"):
        EpisodeList.draw(spec(5), 6)
    with pytest.raises(RlvlaError, match="episode id 5 is outside"):
        EpisodeList(episode_set="train", num_episodes=5, ids=(0, 5))
    with pytest.raises(RlvlaError, match="1 repeats"):
        EpisodeList(episode_set="train", num_episodes=5, ids=(0, 2, 2))
    with pytest.raises(RlvlaError, match="at least one"):
        EpisodeList(episode_set="train", num_episodes=5, ids=())
