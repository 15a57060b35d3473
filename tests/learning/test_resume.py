"""Killed at any moment and resumed, a run writes the journal of a run that was left alone, bit for bit."""

import multiprocessing
import random
import time
from dataclasses import replace

import pytest
import torch
from small_world import DPO, GRPO, PPO, SFT, journal, run_sft, run_training

from rlvla_core.learning.algorithms import sft
from rlvla_core.learning.algorithms.dpo import DpoLearner
from rlvla_core.learning.algorithms.grpo import GrpoLearner
from rlvla_core.learning.distributed import Ranks, launch
from rlvla_core.policy.bundle import load_bundle
from rlvla_core.runs import RunDirectory

LONGER = replace(PPO, iterations=8, average_fraction=0.5)


def bundle_weights(path):
    return load_bundle(path / "policy").state_dict()


def assert_same(left, right):
    assert journal(left) == journal(right)
    for name, tensor in bundle_weights(left).items():
        assert torch.equal(tensor, bundle_weights(right)[name]), name


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "undisturbed"
    summary = run_training(Ranks(), path, LONGER)
    assert summary.iterations == 8 and summary.verified_success is not None
    assert [record["iteration"] for record in journal(path)] == list(range(1, 9))
    return path


def train_in_a_process(path):
    run_training(Ranks(), path, LONGER)


def test_ppo_killed_again_and_again_continues_the_same_curve(undisturbed, tmp_path):
    """SIGKILL from outside, at random moments of the training itself: three times, then the run may end."""
    path = tmp_path / "killed"
    context = multiprocessing.get_context("spawn")
    moments = random.Random(0)
    for _ in range(3):
        process = context.Process(target=train_in_a_process, args=(path,))
        lines = _lines(path)
        process.start()
        while process.is_alive() and _lines(path) == lines:  # until this process has written something
            time.sleep(0.002)
        time.sleep(moments.uniform(0.0, 0.5))
        process.kill()
        process.join()
    run_training(Ranks(), path, LONGER)
    assert len(RunDirectory.open_read_only(path).provenance["starts"]) == 4
    assert_same(path, undisturbed)


def _lines(path):
    file = path / "metrics.jsonl"
    return file.read_bytes() if file.exists() else b""


def test_checkpoints_that_are_further_apart_cost_repeated_work_not_another_curve(undisturbed, tmp_path):
    sparse = replace(LONGER, checkpoint_every=3)
    run_training(Ranks(), tmp_path / "run", replace(sparse, iterations=4, verify_episodes=0))
    assert RunDirectory.open_read_only(tmp_path / "run").checkpoints.steps() == [3, 4]
    run_training(Ranks(), tmp_path / "run", sparse)
    assert_same(tmp_path / "run", undisturbed)


def whole_and_in_parts(ranks, folder):
    config = replace(PPO, iterations=3, critic="privileged", verify_episodes=0, average_fraction=0.5)
    run_training(ranks, folder / "whole", config)
    run_training(ranks, folder / "parts", replace(config, iterations=1))
    run_training(ranks, folder / "parts", config)


def test_two_ranks_with_a_privileged_critic_resume_exactly_too(tmp_path):
    launch(whole_and_in_parts, (tmp_path,), ranks=2)
    assert_same(tmp_path / "whole", tmp_path / "parts")


class Killed(BaseException):
    pass


@pytest.mark.parametrize(("config", "learner"), [(GRPO, GrpoLearner), (DPO, DpoLearner)], ids=["grpo", "dpo"])
def test_grpo_and_dpo_resume_exactly(config, learner, tmp_path, monkeypatch):
    """Stopped within the fourth update, with a checkpoint of the second: the third is repeated."""
    config = replace(config, num_envs=64)  # so many that even the untrained policy succeeds somewhere in every rollout
    run_training(Ranks(), tmp_path / "whole", config)
    original = learner.update

    def dies(self, batch, iteration):
        if iteration == 4:
            raise Killed
        return original(self, batch, iteration)

    with monkeypatch.context() as patch:
        patch.setattr(learner, "update", dies)
        with pytest.raises(Killed):
            run_training(Ranks(), tmp_path / "parts", replace(config, checkpoint_every=2))
    assert [record["iteration"] for record in journal(tmp_path / "parts")] == [1, 2, 3]
    run_training(Ranks(), tmp_path / "parts", config)
    assert_same(tmp_path / "whole", tmp_path / "parts")
    records = journal(tmp_path / "whole")
    assert all(record["gradient_norm"] > 0 for record in records)  # every rollout had something to learn from
    if config is DPO:
        assert records[0]["reference_kl"] < records[-1]["reference_kl"]  # the reference stayed where the run began


def test_sft_resumes_exactly(tmp_path, monkeypatch):
    whole, summary = run_sft(Ranks(), tmp_path / "whole")
    assert summary.steps > 20

    original = sft._Warmup._save

    def saves_and_dies(self, step, seconds):
        original(self, step, seconds)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(sft._Warmup, "_save", saves_and_dies)
        with pytest.raises(Killed):
            run_sft(Ranks(), tmp_path / "parts", SFT)
    resumed, _ = run_sft(Ranks(), tmp_path / "parts")
    assert journal(tmp_path / "whole") == journal(tmp_path / "parts")
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name
