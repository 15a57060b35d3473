"""Acceptance: recorded numbers of the original classes, and that the comparison can fail."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from rlvla.commands.parity import Parity
from rlvla_core.errors import RlvlaError
from rlvla_core.policy.openvla_parity import Item, run_parity


@pytest.fixture(scope="module")
def items(parity_directory: Path) -> list[Item]:
    return list(run_parity(parity_directory))


def test_every_item_is_within_its_tolerance(items: list[Item]) -> None:
    assert [f"{item.group}: {item.name} {item.error:.1e}" for item in items if not item.passed] == []


def test_every_kind_of_item_is_compared(items: list[Item]) -> None:
    groups = {item.group for item in items}
    assert {"images", "tokens", "vision", "inference", "supervised", "rl", "gradients", "lora", "7B"} <= groups
    assert max(item.error for item in items if "logits" in item.name) < 5e-5
    names = " ".join(item.name for item in items)
    for part in ("PIL path", "bfloat16", "greedy tokens", "nomask", "entropy", "position ids", "982", "439"):
        assert part in names


def copy_of(directory: Path, target: Path) -> Path:
    """A writable copy."""
    shutil.copytree(directory, target, copy_function=shutil.copyfile)
    for path in [target, *target.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    return target


@pytest.mark.parametrize(
    ("mistake", "failing"),
    [
        ("eps", "inference: action logits"),
        ("layer_scale", "vision: DINO tower"),
        ("adapter", "lora: evaluation: logprob_sum"),
    ],
)
def test_mistakes_are_noticed(parity_directory, tmp_path, capsys, mistake, failing) -> None:
    directory = copy_of(parity_directory, tmp_path / "fixture")
    if mistake == "eps":
        path = directory / "checkpoint" / "config.json"
        config = json.loads(path.read_text())
        config["text_config"]["rms_norm_eps"] = 1e-5
        path.write_text(json.dumps(config))
    elif mistake == "layer_scale":
        for shard in (directory / "checkpoint").glob("*.safetensors"):
            tensors = load_file(shard)
            for name in tensors:
                if name.endswith("featurizer.blocks.0.ls1.scale_factor"):
                    tensors[name] = torch.ones_like(tensors[name])
            save_file(tensors, str(shard))
    else:
        path = directory / "adapter" / "adapter_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"lora_alpha": 4}))
    assert Parity(directory=directory).run() == 1
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert summary["passed"] is False
    assert failing in summary["failed"]


def test_the_command_prints_json_and_exits_with_zero(parity_directory, capsys) -> None:
    assert Parity(directory=parity_directory).run() == 0
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert summary["passed"] is True
    assert summary["failed"] == []


def test_a_directory_without_numbers_is_one_line(tmp_path) -> None:
    with pytest.raises(RlvlaError, match="is missing: name a parity fixture directory"):
        Parity(directory=tmp_path).run()
    np.savez(tmp_path / "parity.npz", x=np.zeros(1))
    with pytest.raises(RlvlaError, match=r"config\.json is missing"):
        Parity(directory=tmp_path).run()


@pytest.mark.skipif("RLVLA_LLAMA_TOKENIZER" not in os.environ, reason="set RLVLA_LLAMA_TOKENIZER to a tokenizer.json")
def test_prompt_ids_of_a_llama_tokenizer(parity_directory) -> None:
    found = list(run_parity(parity_directory, Path(os.environ["RLVLA_LLAMA_TOKENIZER"])))
    assert [item.error for item in found if "prompts" in item.name] == [0.0]
