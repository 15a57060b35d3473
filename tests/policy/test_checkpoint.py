"""Loading checkpoint directories of unusual sizes, and refusing broken ones."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_models import odd_config, random_batch, random_model, write_checkpoint

from rlvla_core.errors import RlvlaError
from rlvla_core.policy.lora import LoraConfig, inject_lora, load_adapter, save_adapter
from rlvla_core.policy.models import load_config
from rlvla_core.policy.openvla.checkpoint import load_model
from rlvla_core.policy.openvla.config import OpenVLAConfig
from rlvla_core.policy.openvla.presets import openvla_7b, tiny
from rlvla_core.policy.sight import check_sight


@pytest.mark.parametrize("config", [tiny(), openvla_7b(), odd_config()])
def test_a_configuration_survives_json(config: OpenVLAConfig) -> None:
    assert OpenVLAConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_the_public_7b_file_resolves_to_known_sizes() -> None:
    public = {
        "model_type": "openvla",
        "vision_backbone_id": "dinosiglip-vit-so-224px",
        "n_action_bins": 256,
        "pad_token_id": 32000,
        "pad_to_multiple_of": 64,
        "text_config": {"model_type": "llama", "vocab_size": 32064, "pad_token_id": 32000, "torch_dtype": "bfloat16"},
    }
    config = OpenVLAConfig.from_json(public)
    assert (config.dino.depth, config.siglip.width, config.patches) == (24, 1152, 256)
    assert config.text == openvla_7b().text
    assert config.text.rms_norm_eps == 1e-6


@pytest.mark.parametrize("depths", [(5, 4, 3), (3, 6, 1)])
def test_any_sizes_load_and_compute_the_same(tmp_path, depths) -> None:
    model = random_model(odd_config(dino_depth=depths[0], siglip_depth=depths[1], layers=depths[2]), seed=2)
    write_checkpoint(model, tmp_path)
    loaded = load_model(tmp_path)
    batch = random_batch(model.config)
    with torch.no_grad():
        ours, theirs = (m.embed(*batch) for m in (loaded, model))
        for a, b in ((loaded, ours), (model, theirs)):
            b.embeddings = a.hidden(b.embeddings, b.visible, b.positions, last=2)
    assert torch.equal(ours.embeddings, theirs.embeddings)
    assert len(list(loaded.parameters())) < len(list(model.parameters()))
    assert len(list(load_model(tmp_path, with_dead_modules=True).parameters())) == len(list(model.parameters()))


def edit_first_shard(directory, change) -> None:
    shard = directory / "model-00001-of-00002.safetensors"
    tensors = load_file(shard)
    change(tensors)
    save_file(tensors, str(shard))


def test_missing_unknown_and_misshapen_tensors_are_named(tmp_path) -> None:
    write_checkpoint(random_model(odd_config()), tmp_path)
    name = "language_model.model.layers.0.mlp.gate_proj.weight"
    shard = tmp_path / "model-00001-of-00002.safetensors"
    if name not in load_file(shard):
        name = sorted(n for n in load_file(shard) if n.startswith("language_model.model.layers"))[0]
    original = shard.read_bytes()
    edit_first_shard(tmp_path, lambda tensors: tensors.pop(name))
    with pytest.raises(RlvlaError, match=f"lacks 1 tensors, the first is {name}"):
        load_model(tmp_path)
    shard.write_bytes(original)
    edit_first_shard(tmp_path, lambda tensors: tensors.update(surprise=torch.zeros(1)))
    with pytest.raises(RlvlaError, match="unknown tensor surprise"):
        load_model(tmp_path)
    shard.write_bytes(original)
    edit_first_shard(tmp_path, lambda tensors: tensors.update({name: torch.zeros(1, 2)}))
    with pytest.raises(RlvlaError, match=r"has shape \[1, 2\]"):
        load_model(tmp_path)
    shard.write_bytes(original[: len(original) // 2])
    with pytest.raises(RlvlaError, match="is damaged"):
        load_model(tmp_path)
    shard.unlink()
    with pytest.raises(RlvlaError, match="is missing"):
        load_model(tmp_path)


def test_a_blind_model_is_refused(tmp_path) -> None:
    model = random_model(odd_config())
    check_sight(model, 17)
    with torch.no_grad():
        model.projector.fc3.weight.zero_()
    with pytest.raises(RlvlaError, match="the policy is blind"):
        check_sight(model, 17)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text_config": {"rope_scaling": {"factor": 2}}}, "rope_scaling"),
        ({"text_config": {"hidden_act": "gelu"}}, "hidden_act"),
        ({"tiny_vit": None, "vision_backbone_id": "clip"}, "'clip' is unknown"),
        ({"image_resize_strategy": "stretch"}, "resize-naive or letterbox"),
        ({"model_type": "octo"}, "model_type 'octo' is unknown; supported: openvla"),
        ({"model_type": None}, "model_type None is unknown"),
        ({"model_type": ["openvla"]}, "model_type .* is unknown"),
    ],
)
def test_foreign_configurations_are_refused(tmp_path, change, message) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**odd_config().to_json(), **change}))
    with pytest.raises(RlvlaError, match=message):
        load_config(tmp_path)


def test_an_adapter_survives_its_files_and_missing_parts_are_named(tmp_path) -> None:
    model = random_model(odd_config(), with_dead_modules=False)
    write_checkpoint(random_model(odd_config()), tmp_path / "base")
    plain = load_model(tmp_path / "base")
    model.load_state_dict(plain.state_dict())
    inject_lora(model, LoraConfig(rank=3, alpha=6))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.normal_(0.0, 0.2)
    save_adapter(model, tmp_path / "adapter")
    load_adapter(plain, tmp_path / "adapter")
    batch = random_batch(model.config)
    with torch.no_grad():
        a, b = model.embed(*batch), plain.embed(*batch)
    assert torch.equal(a.embeddings, b.embeddings)

    file = tmp_path / "adapter" / "adapter_model.safetensors"
    tensors = load_file(file)
    removed = sorted(tensors)[0]
    tensors.pop(removed)
    save_file(tensors, str(file))
    with pytest.raises(RlvlaError, match="lacks 1 adapter tensors"):
        load_adapter(load_model(tmp_path / "base"), tmp_path / "adapter")


def test_an_adapter_that_covers_dead_modules_loads_into_the_running_graph(tmp_path) -> None:
    """Public adapters hold entries for the towers' unused last blocks."""
    full = random_model(odd_config())
    inject_lora(full, LoraConfig(rank=3, alpha=6))
    save_adapter(full, tmp_path / "adapter")
    live = random_model(odd_config(), with_dead_modules=False)
    load_adapter(live, tmp_path / "adapter")
    stored, used = len(load_file(tmp_path / "adapter" / "adapter_model.safetensors")), 0
    used = sum(1 for name, _ in live.named_parameters() if ".lora_" in name)
    # One dead block per tower with 4 modules, and the pooling head's 5, two matrices each.
    assert stored - used == 2 * (4 + 4 + 5)
