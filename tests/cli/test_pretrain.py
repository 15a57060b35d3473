"""`rlvla pretrain` from the command line, and what its base is good for."""

import json
from pathlib import Path

import pytest
import torch

from rlvla.cli import main
from rlvla_core.errors import RlvlaError
from rlvla_core.policy.bundle import load_bundle
from rlvla_core.policy.norm_stats import BRIDGE_ORIG
from rlvla_core.policy.openvla.presets import TINY_BASE
from rlvla_core.policy.starting import FROM_NOTHING, start_policy
from rlvla_sim.pretraining import dataset
from rlvla_sim.pretraining.questions import ANSWER

POLICY = Path(__file__).resolve().parents[2] / "docs" / "results" / "policy-seed1"


def pretrain(folder: Path, *more: str) -> int:
    where = ["--directory", str(folder / "run"), "--data", str(folder / "scenes")]
    size = ["--robots", "widowx250s", "--scenes", "96", "--ranks", "1"]
    training = ["--sft.minutes", "0", "--sft.epochs", "2", "--sft.batch", "32", "--sft.holdout", "0.1"]
    return main(["pretrain", *where, *size, *training, *more])


def test_it_writes_a_base_and_goes_on_with_images_that_are_there(tmp_path, capsys):
    assert pretrain(tmp_path) == 0
    line = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert line["scenes"] == 96
    base = load_bundle(tmp_path / "run" / "policy")
    assert base.codec.norm_stats == ANSWER
    shard = dataset.shard_path(tmp_path / "scenes" / "widowx250s", 0)
    drawn = shard.stat().st_mtime_ns
    assert pretrain(tmp_path, "--resume") == 0
    assert shard.stat().st_mtime_ns == drawn
    assert pretrain(tmp_path, "--directory", str(tmp_path / "other"), "--sft.seed", "1") == 1
    assert "other settings" in capsys.readouterr().err


def test_a_base_goes_on_to_another_view_and_a_policy_of_a_task_does_not(tmp_path, capsys):
    assert (
        pretrain(tmp_path, "--policy", "tiny", "--sim.view", "workspace", "--sft.epochs", "1", "--sft.lr", "1e-5") == 0
    )
    shipped, base = load_bundle(TINY_BASE), load_bundle(tmp_path / "run" / "policy")
    moved = [(a - b).abs().max() for a, b in zip(shipped.model.parameters(), base.model.parameters(), strict=True)]
    assert 0 < max(moved) < 1e-3, "a step or two of 1e-5 from the shipped one"
    capsys.readouterr()
    elsewhere = ["--directory", str(tmp_path / "other"), "--policy", str(POLICY)]
    assert pretrain(tmp_path, "--sim.view", "workspace", *elsewhere) == 1
    assert "has learned a task: start from a base" in capsys.readouterr().err


def test_robots_and_numbers_must_match(tmp_path, capsys):
    assert main(["pretrain", "--directory", str(tmp_path / "x"), "--scenes", "10"]) == 1
    assert "2 --robots, but 1 numbers in --scenes" in capsys.readouterr().err
    assert main(["pretrain", "--directory", str(tmp_path / "x"), "--robots", "panda2", "--scenes", "10"]) == 1
    assert "panda2" in capsys.readouterr().err


def test_the_shipped_base_takes_over_the_statistics_of_the_data():
    policy = start_policy("tiny", norm_stats=BRIDGE_ORIG, lora=None, seed=0, device="cpu")
    assert policy.codec.norm_stats == BRIDGE_ORIG
    fresh = start_policy(FROM_NOTHING, norm_stats=BRIDGE_ORIG, lora=None, seed=0, device="cpu")
    same = [torch.equal(a, b) for a, b in zip(policy.model.parameters(), fresh.model.parameters(), strict=True)]
    assert not any(same)
    assert policy.config == fresh.config
    with pytest.raises(RlvlaError, match="has not learned any task"):
        start_policy("tiny", norm_stats=None, lora=None, seed=0, device="cpu")


def test_the_shipped_base_starts_from_the_same_value_head_on_every_device():
    devices = ["cpu", "cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    every = [start_policy("tiny", norm_stats=BRIDGE_ORIG, lora=None, seed=3, device=device) for device in devices]
    for policy in every[1:]:
        for one, other in zip(every[0].value_head.parameters(), policy.value_head.parameters(), strict=True):
            assert torch.equal(one, other.cpu())


def test_the_shipped_base_says_where_it_comes_from():
    facts = json.loads((TINY_BASE / "provenance.json").read_text())
    assert facts["provenance"]["command"] == "pretrain"
    assert facts["provenance"]["config"]["robots"] == ["widowx250s", "panda"]
    assert sum(path.stat().st_size for path in TINY_BASE.iterdir()) < 6e6
