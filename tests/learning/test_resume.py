"""Killed at any moment and resumed, a run writes the journal of a run that was left alone, bit for bit."""

import multiprocessing
import random
import time
from dataclasses import replace

import pytest
import torch
from small_world import PPO, SFT, journal, run_ppo, run_sft

from rlvla_core.learning import sft
from rlvla_core.learning.distributed import Ranks, launch
from rlvla_core.policy.bundle import load_bundle
from rlvla_core.runs import RunDirectory

LONGER = replace(PPO, iterations=8)


def bundle_weights(path):
    return load_bundle(path / "policy").state_dict()


def assert_same(left, right):
    assert journal(left) == journal(right)
    for name, tensor in bundle_weights(left).items():
        assert torch.equal(tensor, bundle_weights(right)[name]), name


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "undisturbed"
    summary = run_ppo(Ranks(), path, LONGER)
    assert summary.iterations == 8 and summary.gate_success is not None
    assert [record["iteration"] for record in journal(path)] == list(range(1, 9))
    return path


def train_in_a_process(path):
    run_ppo(Ranks(), path, LONGER)


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
    run_ppo(Ranks(), path, LONGER)
    assert len(RunDirectory.open_read_only(path).provenance["starts"]) == 4
    assert_same(path, undisturbed)


def _lines(path):
    file = path / "metrics.jsonl"
    return file.read_bytes() if file.exists() else b""


def test_checkpoints_that_are_further_apart_cost_repeated_work_not_another_curve(undisturbed, tmp_path):
    sparse = replace(LONGER, checkpoint_every=3)
    run_ppo(Ranks(), tmp_path / "run", replace(sparse, iterations=4, gate_episodes=0))
    assert RunDirectory.open_read_only(tmp_path / "run").checkpoints.steps() == [3, 4]
    run_ppo(Ranks(), tmp_path / "run", sparse)
    assert_same(tmp_path / "run", undisturbed)


def whole_and_in_parts(ranks, folder):
    config = replace(PPO, iterations=3, critic="privileged", gate_episodes=0)
    run_ppo(ranks, folder / "whole", config)
    run_ppo(ranks, folder / "parts", replace(config, iterations=1))
    run_ppo(ranks, folder / "parts", config)


def test_two_ranks_with_a_privileged_critic_resume_exactly_too(tmp_path):
    launch(whole_and_in_parts, (tmp_path,), ranks=2)
    assert_same(tmp_path / "whole", tmp_path / "parts")


def test_sft_resumes_exactly(tmp_path, monkeypatch):
    whole, summary = run_sft(Ranks(), tmp_path / "whole")
    assert summary.steps > 20

    class Killed(BaseException):
        pass

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
