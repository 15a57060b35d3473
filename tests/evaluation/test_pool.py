"""Several processes give the result of one, and their failures are readable."""

import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from rlvla_core.errors import RlvlaError
from rlvla_core.evaluation import EpisodeList, evaluate
from rlvla_core.evaluation.pool import EvaluationPool
from rlvla_core.toy import ToyConfig, make_toy_env


class Wanderer:
    def act(self, images: torch.Tensor, instructions: Any, *, temperature: float = 1.0, generator=None) -> Any:
        return SimpleNamespace(actions=0.1 * torch.randn(len(images), 7, generator=generator))


def build(num_envs: int) -> Any:
    return Wanderer(), make_toy_env(ToyConfig(task="reach", image_size=16, max_steps=8), num_envs)


def build_badly(num_envs: int) -> Any:
    raise RlvlaError("there is no such bundle: give another one")


def build_and_die(num_envs: int) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def test_two_processes_give_the_result_of_one() -> None:
    policy, env = build(5)
    episodes = EpisodeList.draw(env.spec, 23, seed=1)
    one = evaluate(policy, env, episodes, temperature=1.0, seed=7, record=7)
    done: list[int] = []
    common: dict[str, Any] = {"num_envs": 5, "temperature": 1.0, "seed": 7, "record": 7}
    with EvaluationPool(2) as pool:
        two = pool.evaluate(build, (5,), episodes, **common, progress=done.append)
    assert two.episodes == one.episodes
    np.testing.assert_array_equal(two.returns, one.returns)
    np.testing.assert_array_equal(two.success_once, one.success_once)
    assert set(two.recordings) == set(one.recordings) == set(episodes.ids[:7])
    for episode, clip in one.recordings.items():
        np.testing.assert_array_equal(two.recordings[episode].frames, clip.frames)
    assert done[-1] == 23 and done == sorted(done)


def test_a_worker_that_fails_or_dies_is_one_line_and_a_failure_does_not_end_the_pool() -> None:
    episodes = EpisodeList.draw(build(2)[1].spec, 4)
    with EvaluationPool(1) as pool:
        with pytest.raises(RlvlaError, match="no such bundle"):
            pool.evaluate(build_badly, (2,), episodes, num_envs=2)
        assert pool.evaluate(build, (2,), episodes, num_envs=2).n == 4
        with pytest.raises(RlvlaError, match="was killed"):
            pool.evaluate(build_and_die, (2,), episodes, num_envs=2)


def build_counted(num_envs: int, folder: str, name: str) -> Any:
    """Leaves a file for every time that it is called, and another one when its environments are closed."""
    policy, env = build(num_envs)
    path = Path(folder, f"{name}-{len([*Path(folder).iterdir()])}-{os.getpid()}")
    path.touch()
    env.close = lambda: path.with_suffix(".closed").touch()
    return policy, env


def test_a_worker_builds_again_only_for_other_arguments(tmp_path: Path) -> None:
    episodes = EpisodeList.draw(build(2)[1].spec, 6)
    with EvaluationPool(1) as pool:
        for name in ("a", "a", "b", "a"):
            pool.evaluate(build_counted, (2, str(tmp_path), name), episodes, num_envs=2)
    files = sorted(path.name for path in tmp_path.iterdir())
    assert [name[0] for name in files if not name.endswith("closed")] == ["a", "a", "b"]
    assert [name[0] for name in files if name.endswith("closed")] == ["a", "b"]
    workers = {name.removesuffix(".closed").split("-")[2] for name in files}
    assert len(workers) == 1 and str(os.getpid()) not in workers
