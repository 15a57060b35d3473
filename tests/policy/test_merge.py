"""Several policies become one, their mean; bundles that do not belong together are refused."""

import json
from pathlib import Path

import pytest
import torch
from small_models import write_checkpoint
from test_bundle import env_spec, save

from rlvla.commands.merge import Merge
from rlvla_core.errors import RlvlaError
from rlvla_core.policy.bundle import load_bundle
from rlvla_core.policy.lora import LoraConfig, apply_lora
from rlvla_core.policy.merge import mean_of, own_tensors
from rlvla_core.policy.norm_stats import BRIDGE_ORIG
from rlvla_core.policy.policy import VLAPolicy


def moved(policy: VLAPolicy, seed: int) -> VLAPolicy:
    """The same policy after some learning."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.01 * torch.randn(parameter.shape, generator=generator))
    return policy


def test_the_mean_keeps_types() -> None:
    a = {"w": torch.tensor([1.0, 4.0]), "half": torch.tensor([1.0], dtype=torch.bfloat16), "count": torch.tensor(3)}
    b = {"w": torch.tensor([3.0, 0.0]), "half": torch.tensor([2.0], dtype=torch.bfloat16), "count": torch.tensor(5)}
    mean = mean_of([a, b])
    assert mean["w"].tolist() == [2.0, 2.0] and mean["half"].tolist() == [1.5] and mean["count"] == 3
    assert mean["half"].dtype == torch.bfloat16


def test_a_merged_bundle_is_the_mean_and_says_of_what(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [tmp_path / name for name in ("one", "two", "three")]
    for seed, path in enumerate(paths):
        save(moved(VLAPolicy.from_preset("tiny", BRIDGE_ORIG, seed=1), seed), path)
    assert Merge(bundles=tuple(paths), output=tmp_path / "mean").run() == 0
    assert "the average of 3 policies" in capsys.readouterr().out
    *learned, mean = (load_bundle(path).state_dict() for path in (*paths, tmp_path / "mean"))
    for name, tensor in mean.items():
        torch.testing.assert_close(tensor, sum(state[name] for state in learned) / 3)
    facts = json.loads((tmp_path / "mean" / "provenance.json").read_text())["provenance"]
    assert list(facts["bundles"]) == [str(path) for path in paths]
    assert (tmp_path / "mean" / "deploy.json").read_text() == (paths[0] / "deploy.json").read_text()


def test_adapters_on_one_checkpoint_are_merged_without_its_weights(tmp_path: Path, policy: VLAPolicy) -> None:
    base = tmp_path / "base"
    write_checkpoint(policy.model, base)
    (base / "tokenizer.json").write_text(policy.tokenizer.to_json())
    stats = {"mine": {"action": policy.codec.norm_stats.to_json()}}
    (base / "dataset_statistics.json").write_text(json.dumps(stats))
    for seed in (1, 2):
        adapted = VLAPolicy.from_checkpoint(base, dtype=torch.float32)
        apply_lora(adapted, LoraConfig(rank=2), seed=seed)
        assert all(".lora_" in name or name.startswith("value_head.") for name in own_tensors(adapted))
        save(adapted, tmp_path / str(seed))
    assert Merge(bundles=(tmp_path / "1", tmp_path / "2"), output=tmp_path / "mean").run() == 0
    assert not (tmp_path / "mean" / "model.safetensors").exists()
    one, two, mean = (load_bundle(tmp_path / name).state_dict() for name in ("1", "2", "mean"))
    name = next(name for name in mean if ".lora_A." in name)
    assert not torch.equal(one[name], two[name])
    torch.testing.assert_close(mean[name], (one[name] + two[name]) / 2)


def test_what_does_not_belong_together_is_refused(tmp_path: Path, policy: VLAPolicy) -> None:
    save(policy, tmp_path / "a")
    save(policy, tmp_path / "panda", env_spec(robot="panda"))
    apply_lora(policy, LoraConfig(rank=2))
    save(policy, tmp_path / "adapter")
    for bundles, message in (
        (("a",), "two or more bundles, got 1"),
        (("a", "panda"), "differ in their world"),
        (("a", "adapter"), "differ in their tensors"),
    ):
        with pytest.raises(RlvlaError, match=message):
            Merge(bundles=tuple(tmp_path / name for name in bundles), output=tmp_path / "out").run()
    assert not (tmp_path / "out").exists()
