"""A bundle holds everything, appears whole, and says in one line what is wrong with it."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_models import write_checkpoint

from rlvla_core.environment import EnvSpec
from rlvla_core.errors import RlvlaError
from rlvla_core.geometry.camera import CameraSpec
from rlvla_core.policy.bundle import load_bundle, load_deploy, save_bundle
from rlvla_core.policy.deploy import DeploySpec, check_fits
from rlvla_core.policy.lora import LoraConfig, apply_lora
from rlvla_core.policy.norm_stats import NormStats
from rlvla_core.policy.policy import VLAPolicy
from rlvla_core.storage.atomic import sha256_of
from rlvla_core.storage.json_files import replace_json


def env_spec(**changes) -> EnvSpec:
    camera = CameraSpec(
        name="third",
        width=changes.pop("width", 64),
        height=64,
        fx=changes.pop("fx", 62.0),
        fy=83.0,
        cx=32.0,
        cy=32.0,
        position_in_base=(0.0, -0.16, 0.36),
        quaternion_in_base=(1.0, 0.0, 0.0, 0.0),
    )
    facts = {"robot": "widowx250s", "control_hz": 5.0, "max_steps": 80, "episode_set": "train", "num_episodes": 10}
    return EnvSpec(camera=camera, **{**facts, **changes})


def save(policy, directory, spec=None) -> None:
    deploy = DeploySpec.from_env(spec or env_spec(), policy)
    save_bundle(policy, directory, deploy=deploy, provenance={"run": "test", "step": 3})


def assert_same(a: VLAPolicy, b: VLAPolicy, images, instructions) -> None:
    first, second = (p.act(images, instructions, temperature=0.0) for p in (a, b))
    for name in ("actions", "tokens", "logprobs", "values"):
        assert torch.equal(getattr(first, name), getattr(second, name))


@pytest.mark.parametrize("lora", [False, True])
def test_a_reloaded_policy_acts_the_same(tmp_path, policy, images, instructions, lora) -> None:
    if lora:
        apply_lora(policy, LoraConfig(rank=2, alpha=4))
        with torch.no_grad():
            for parameter in policy.backbone_parameters():
                parameter.normal_(0.0, 0.1)
    save(policy, tmp_path / "bundle")
    save(policy, tmp_path / "bundle")  # replaces itself
    loaded = load_bundle(tmp_path / "bundle")
    assert_same(policy, loaded, images, instructions)
    assert loaded.config == policy.config
    assert loaded.codec.norm_stats == policy.codec.norm_stats
    assert sum(p.requires_grad for p in loaded.parameters()) == sum(p.requires_grad for p in policy.parameters())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle"]
    provenance = json.loads((tmp_path / "bundle" / "provenance.json").read_text())
    assert provenance["provenance"] == {"run": "test", "step": 3}


def test_an_adapter_on_a_public_checkpoint_refers_to_it(tmp_path, policy, images, instructions) -> None:
    base = tmp_path / "base"
    write_checkpoint(policy.model, base)
    (base / "tokenizer.json").write_text(policy.tokenizer.to_json())
    stats = {"mine": {"action": policy.codec.norm_stats.to_json()}}
    (base / "dataset_statistics.json").write_text(json.dumps(stats))
    adapted = VLAPolicy.from_checkpoint(base, dtype=torch.float32)
    apply_lora(adapted, LoraConfig(rank=2))
    save(adapted, tmp_path / "bundle")
    assert not (tmp_path / "bundle" / "model.safetensors").exists()
    assert_same(adapted, load_bundle(tmp_path / "bundle"), images, instructions)

    config = base / "config.json"
    config.write_text(config.read_text() + " ")
    with pytest.raises(RlvlaError, match="has changed since"):
        load_bundle(tmp_path / "bundle")
    config.unlink()
    base.rename(tmp_path / "moved")
    with pytest.raises(RlvlaError, match="is not there"):
        load_bundle(tmp_path / "bundle")


def test_a_checkpoint_with_unknown_statistics_lists_the_known(tmp_path, policy) -> None:
    write_checkpoint(policy.model, tmp_path)
    stats = {name: {"action": policy.codec.norm_stats.to_json()} for name in ("mine", "yours")}
    (tmp_path / "dataset_statistics.json").write_text(json.dumps(stats))
    with pytest.raises(RlvlaError, match="choose one of mine, yours"):
        VLAPolicy.from_checkpoint(tmp_path, unnorm_key="theirs")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("norm_stats.json", "norm_stats.json is missing.*rlvla collect"),
        ("config.json", "config.json is missing"),
        ("model.safetensors", "model.safetensors is missing"),
        ("value_head.safetensors", "value_head.safetensors is missing"),
        ("tokenizer.json", "tokenizer.json is missing"),
        ("provenance.json", "provenance.json is missing"),
    ],
)
def test_a_missing_file_is_named(tmp_path, policy, name, message) -> None:
    save(policy, tmp_path / "bundle")
    (tmp_path / "bundle" / name).unlink()
    with pytest.raises(RlvlaError, match=message) as error:
        load_bundle(tmp_path / "bundle")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["model.safetensors", "value_head.safetensors", "tokenizer.json", "norm_stats.json"])
def test_one_changed_byte_is_noticed(tmp_path, policy, name) -> None:
    save(policy, tmp_path / "bundle")
    path = tmp_path / "bundle" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(RlvlaError, match=f"{name} is damaged"):
        load_bundle(tmp_path / "bundle")


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("config.json", ("model_type",), ["openvla"]),
        ("config.json", ("text_config",), None),
        ("config.json", ("text_config", "hidden_size"), "wide"),
        ("config.json", ("tiny_vit", "featurizer"), None),
        ("config.json", ("n_action_bins",), []),
        ("config.json", ("norm_stats",), [1]),
        ("norm_stats.json", ("q99",), None),
        ("config.json", ("rlvla",), 3),
        ("provenance.json", ("files",), ["config.json"]),
        ("provenance.json", ("files",), {"config.json": 3}),
        ("base.json", ("directory",), None),
        ("base.json", ("dtype",), ["float32"]),
        ("deploy.json", ("camera",), None),
        ("deploy.json", ("camera", "width"), "64"),
        ("deploy.json", ("control_hz",), None),
        ("norm_stats.json", ("q99",), {"0": 1.0}),
        ("model.safetensors.index.json", ("weight_map",), {"a": 3}),
        ("model.safetensors.index.json", ("weight_map",), []),
    ],
)
def test_a_value_of_another_type_is_one_line_that_names_the_file(tmp_path, policy, name, path, value) -> None:
    save(policy, tmp_path / "bundle", spec=env_spec())
    file = tmp_path / "bundle" / name
    data = json.loads(file.read_text()) if file.is_file() else {"directory": "d", "fingerprint": "f", "dtype": "int3"}
    inner = data
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    replace_json(file, data)
    if name not in ("provenance.json", "base.json", "model.safetensors.index.json"):
        facts = json.loads((tmp_path / "bundle/provenance.json").read_text())
        facts["files"][name] = sha256_of(file)
        replace_json(tmp_path / "bundle/provenance.json", facts)
    with pytest.raises(RlvlaError, match=name.replace(".", r"\.")) as error:
        load_bundle(tmp_path / "bundle")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("model.safetensors", lambda tensor: tensor.view(torch.int32), "data type torch.int32, which is no floating"),
        ("value_head.safetensors", lambda tensor: tensor * float("nan"), "holds numbers that are not finite"),
        ("value_head.safetensors", lambda tensor: tensor.t().contiguous(), "is not a value head: .*size mismatch"),
        ("value_head.safetensors", lambda tensor: tensor[..., 0], "is not a value head: its weights are no matrices"),
    ],
)
def test_tensors_that_cannot_be_used_are_one_line(tmp_path, policy, name, change, message) -> None:
    save(policy, tmp_path / "bundle")
    file = tmp_path / "bundle" / name
    save_file({key: change(tensor).clone() for key, tensor in load_file(file).items()}, file)
    facts = json.loads((tmp_path / "bundle/provenance.json").read_text())
    facts["files"][name] = sha256_of(file)
    replace_json(tmp_path / "bundle/provenance.json", facts)
    with pytest.raises(RlvlaError, match=message) as error:
        load_bundle(tmp_path / "bundle")
    assert "\n" not in str(error.value)


def test_a_blind_or_broken_policy_does_not_load(tmp_path, policy) -> None:
    with torch.no_grad():
        policy.model.projector.fc3.weight.fill_(float("nan"))
    save(policy, tmp_path / "bundle")
    with pytest.raises(RlvlaError, match="the policy is blind"):
        load_bundle(tmp_path / "bundle")


def test_nothing_but_a_bundle_is_replaced(tmp_path, policy) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(RlvlaError, match="is not a policy bundle"):
        save(policy, tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_deploy_facts_survive_and_a_changed_transform_is_refused(tmp_path, policy) -> None:
    save(policy, tmp_path / "bundle")
    deploy = load_deploy(tmp_path / "bundle")
    assert deploy == DeploySpec.from_env(env_spec(), policy)
    other = DeploySpec.from_json({**deploy.to_json(), "image_transform": "0123456789abcdef"}, "test")
    save_bundle(policy, tmp_path / "bundle", deploy=other, provenance={})
    with pytest.raises(RlvlaError, match="trained with image transform 0123456789abcdef"):
        load_bundle(tmp_path / "bundle")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"robot": "panda"}, "robot widowx250s, here it is panda"),
        ({"control_hz": 10.0}, "control rate in Hz 5.0, here it is 10.0"),
        ({"width": 128}, "image size 64x64, here it is 128x64"),
        ({"fx": 90.0}, r"fx, fy, cx, cy 62\.00, .* here it is 90\.00"),
        ({"action_space": "joints"}, "action space"),
    ],
)
def test_a_world_of_another_kind_is_refused(policy, change, message) -> None:
    deploy = DeploySpec.from_env(env_spec(), policy)
    check_fits(deploy, env_spec())
    with pytest.raises(RlvlaError, match=message):
        check_fits(deploy, env_spec(**change))


def test_statistics_of_another_length_are_refused(policy) -> None:
    with pytest.raises(RlvlaError, match="have 3 dimensions"):
        VLAPolicy.from_preset("tiny", NormStats(q01=(0, 0, 0), q99=(1, 1, 1), mask=(True,) * 3))
