"""Several processes give the result of one, and their failures are readable."""

import os
import signal
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from rlvla_core.errors import RlvlaError
from rlvla_core.evaluation import EpisodeList, evaluate
from rlvla_core.evaluation.pool import evaluate_in_processes
from rlvla_core.toy import ToyConfig, make_toy_env


class Wanderer:
    def act(self, images: torch.Tensor, instructions: Any, *, temperature: float = 1.0, generator=None) -> Any:
        return SimpleNamespace(actions=0.1 * torch.randn(len(images), 7, generator=generator))


def build(num_envs: int) -> Any:
    return Wanderer(), make_toy_env(ToyConfig(task="reach", picture_size=16, max_steps=8), num_envs)


def build_badly(num_envs: int) -> Any:
    raise RlvlaError("there is no such bundle: give another one")


def build_and_die(num_envs: int) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def test_two_processes_give_the_result_of_one() -> None:
    policy, env = build(5)
    episodes = EpisodeList.draw(env.spec, 23, seed=1)
    one = evaluate(policy, env, episodes, temperature=1.0, seed=7, record=7)
    done: list[int] = []
    two = evaluate_in_processes(
        build,
        (5,),
        episodes,
        num_envs=5,
        processes=2,
        temperature=1.0,
        seed=7,
        record=7,
        progress=done.append,
    )
    assert two.episodes == one.episodes
    np.testing.assert_array_equal(two.returns, one.returns)
    np.testing.assert_array_equal(two.success_once, one.success_once)
    assert set(two.recordings) == set(one.recordings) == set(episodes.ids[:7])
    for episode, clip in one.recordings.items():
        np.testing.assert_array_equal(two.recordings[episode].frames, clip.frames)
    assert done[-1] == 23 and done == sorted(done)


def test_a_worker_that_fails_or_dies_is_one_line() -> None:
    episodes = EpisodeList.draw(build(2)[1].spec, 4)
    with pytest.raises(RlvlaError, match="no such bundle"):
        evaluate_in_processes(build_badly, (2,), episodes, num_envs=2, processes=1)
    with pytest.raises(RlvlaError, match="was killed"):
        evaluate_in_processes(build_and_die, (2,), episodes, num_envs=2, processes=1)
