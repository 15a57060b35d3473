"""A policy bundle: the one directory from which a policy is trained on, evaluated and deployed.

    config.json            sizes, decoding, image transform
    model.safetensors      weights of the graph, or base.json: where the public checkpoint lies
    adapter/               LoRA adapter in peft format, if there is one
    value_head.safetensors the critic
    tokenizer.json         text to token ids
    norm_stats.json        action statistics: tokens to metres and radians
    deploy.json            robot, camera, rate and action space it expects (absent in a base that has learned no task)
    provenance.json        where it comes from, and the SHA-256 of every file

A bundle appears whole or not at all: it is written beside its place and renamed. Reading one runs no code from it.
"""

import hashlib
import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from rlvla_core import __version__
from rlvla_core.errors import RlvlaError
from rlvla_core.policy.deploy import DeploySpec
from rlvla_core.policy.image_transform import ImageTransform
from rlvla_core.policy.lora import is_adapted, load_adapter, save_adapter
from rlvla_core.policy.model import VLAConfig, VLAModel
from rlvla_core.policy.models import family_of, load_config
from rlvla_core.policy.norm_stats import NormStats
from rlvla_core.policy.policy import VLAPolicy
from rlvla_core.policy.sight import check_sight
from rlvla_core.policy.tokenizer import PromptTokenizer
from rlvla_core.policy.value_head import load_value_head, save_value_head
from rlvla_core.policy.weight_files import INDEX, SINGLE, shard_files
from rlvla_core.storage.atomic import StagedDirectory, no_room_is_a_user_error, sha256_of
from rlvla_core.storage.json_files import read_json, write_json

CONFIG, BASE, ADAPTER, VALUE_HEAD = "config.json", "base.json", "adapter", "value_head.safetensors"
TOKENIZER, NORM_STATS, DEPLOY, PROVENANCE = "tokenizer.json", "norm_stats.json", "deploy.json", "provenance.json"
AGAIN = "save the policy again, or copy the whole bundle"
"""What a user can do about a damaged bundle."""
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
"""The data types of weights and images, by their names in JSON."""


def save_bundle(policy: VLAPolicy, directory: Path, *, deploy: DeploySpec | None, provenance: dict[str, Any]) -> None:
    """Write `policy` to `directory`, replacing a bundle that is there.

    deploy: robot, camera and rate of the environment that it was trained in; None for a base that has learned no task.
    provenance: JSON facts about its making (run, step, seed, data).
    Raises RlvlaError if `directory` holds something other than a bundle, or cannot be written.
    """
    directory = Path(directory)
    if directory.exists() and any(directory.iterdir()) and not (directory / PROVENANCE).is_file():
        raise RlvlaError(f"{directory} exists and is not a policy bundle: choose another directory")
    try:
        with no_room_is_a_user_error(directory), StagedDirectory(directory, replace=True) as staged:
            _write(policy, staged, deploy, provenance)
    except OSError as error:
        raise RlvlaError(f"cannot write the policy bundle {directory}: {error.strerror}") from error


def _write(policy: VLAPolicy, staged: StagedDirectory, deploy: DeploySpec | None, provenance: dict[str, Any]) -> None:
    directory = staged.path
    config = policy.config.to_json()
    dtype = str(policy.transform.dtype).removeprefix("torch.")
    config["rlvla"]["image_transform"] = {
        "resampler": policy.transform.resampler,
        "strategy": policy.transform.strategy,
        "dtype": dtype,
    }
    write_json(directory / CONFIG, config)
    adapted = is_adapted(policy.model)
    if adapted:
        save_adapter(policy.model, directory / ADAPTER)
    if adapted and policy.base_directory is not None:
        base = {"directory": str(policy.base_directory), "fingerprint": fingerprint(policy.base_directory)}
        write_json(directory / BASE, {**base, "dtype": str(policy.dtype).removeprefix("torch.")})
    else:
        save_file(base_tensors(policy), str(directory / SINGLE))
    save_value_head(policy.value_head, directory / VALUE_HEAD)
    (directory / TOKENIZER).write_text(policy.tokenizer.to_json() + "\n", encoding="utf-8")
    write_json(directory / NORM_STATS, policy.codec.norm_stats.to_json())
    if deploy is not None:
        write_json(directory / DEPLOY, deploy.to_json())
    facts = {
        "rlvla": __version__,
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "provenance": provenance,
        "files": {str(path.relative_to(directory)): sha256_of(path) for path in staged.files()},
    }
    write_json(directory / PROVENANCE, facts)


def base_tensors(policy: VLAPolicy) -> dict[str, torch.Tensor]:
    """The weights of the policy's graph on the CPU, by their names in a checkpoint, without those of any adapter."""
    return {
        name.replace(".base_layer.", "."): value.detach().cpu().contiguous()
        for name, value in policy.model.state_dict().items()
        if ".lora_" not in name
    }


def load_bundle(directory: Path, *, device: str | torch.device = "cpu") -> VLAPolicy:
    """The policy in a bundle, on `device`.

    Raises RlvlaError for a bundle that is missing, damaged, of another image transform, or blind (its actions do not
    depend on the image), and for one whose base checkpoint is missing or has changed.
    """
    directory = Path(directory)
    config = load_config(directory)
    if not (directory / NORM_STATS).is_file():
        raise RlvlaError(
            f"{directory / NORM_STATS} is missing: without action statistics tokens have no units; copy the file that "
            "`rlvla collect` wrote with the training data, or save the policy again"
        )
    _verify(directory)
    data = read_json(directory / NORM_STATS, AGAIN)
    try:
        stats = NormStats.from_json(data)
    except RlvlaError as error:
        raise RlvlaError(f"{directory / NORM_STATS}: {error}") from None
    tokenizer = PromptTokenizer.from_file(directory / TOKENIZER)
    model = _load_graph(directory, config, device)
    check_sight(model, tokenizer.empty_token_id)
    value_head = load_value_head(directory / VALUE_HEAD).to(device)
    policy = VLAPolicy(model, value_head, tokenizer, stats, _load_transform(directory, config))
    if (directory / BASE).is_file():
        policy.base_directory = Path(_read_base(directory)["directory"])
    if (directory / DEPLOY).is_file():
        recorded = load_deploy(directory).image_transform
        if recorded != policy.transform.hash():
            raise RlvlaError(
                f"{directory}: trained with image transform {recorded}, this version makes {policy.transform.hash()}: "
                "use the rlvla version in its provenance.json, or train again"
            )
    return policy


def load_deploy(directory: Path) -> DeploySpec:
    """What the bundle in `directory` expects of robot and camera: its deploy.json.

    Raises RlvlaError if the file is missing or damaged.
    """
    path = Path(directory) / DEPLOY
    data = read_json(path, "this policy has learned no task, warm it up first with `rlvla train sft`")
    return DeploySpec.from_json(data, str(path))


def _load_graph(directory: Path, config: VLAConfig, device: str | torch.device) -> VLAModel:
    family = family_of(config.model_type)
    if (directory / BASE).is_file():
        base = _read_base(directory)
        source = Path(base["directory"])
        if not source.is_dir():
            raise RlvlaError(f"{directory} adapts the checkpoint {source}, which is not there: put it back")
        if fingerprint(source) != base["fingerprint"]:
            raise RlvlaError(f"{source} has changed since {directory} was trained on it: put the original back")
        model = family.load(source, config, dtype=DTYPES[base["dtype"]], device=device)
    else:
        model = family.load(directory, config, dtype=None, device=device)
    if (directory / ADAPTER).is_dir():
        load_adapter(model, directory / ADAPTER)
    return model


def _read_base(directory: Path) -> dict[str, Any]:
    base = read_json(directory / BASE, AGAIN)
    texts = all(isinstance(base.get(name), str) for name in ("directory", "fingerprint"))
    if not texts or base.get("dtype") not in tuple(DTYPES):
        raise RlvlaError(
            f"{directory / BASE} is damaged: it needs the texts `directory` and `fingerprint`, and as `dtype` one of "
            f"{', '.join(DTYPES)}: {AGAIN}"
        )
    return base


def _read_files(directory: Path) -> dict[str, str]:
    """The SHA-256 of each file, as provenance.json lists them."""
    recorded = read_json(directory / PROVENANCE, AGAIN).get("files", {})
    if not isinstance(recorded, dict) or not all(isinstance(digest, str) for digest in recorded.values()):
        raise RlvlaError(f"{directory / PROVENANCE} is damaged: `files` must map names to SHA-256 texts: {AGAIN}")
    return recorded


def _load_transform(directory: Path, config: VLAConfig) -> ImageTransform:
    data = read_json(directory / CONFIG, AGAIN).get("rlvla", {}).get("image_transform", {})
    return ImageTransform(
        size=config.image_size,
        resampler=data.get("resampler", "tensor"),
        strategy=data.get("strategy", "resize-naive"),
        dtype=DTYPES[data.get("dtype", "float32")],
    )


def fingerprint(directory: Path) -> str:
    """SHA-256 that identifies a large checkpoint without reading its weights: of config, index, shard sizes, heads."""
    digest = hashlib.sha256()
    for path in (directory / CONFIG, directory / INDEX):
        if path.is_file():
            digest.update(path.read_bytes())
    for path in shard_files(directory):
        with path.open("rb") as file:
            digest.update(f"{path.name} {path.stat().st_size}".encode() + file.read(1 << 16))
    return digest.hexdigest()


def identity(directory: Path) -> str:
    """SHA-256 over the names and hashes of a bundle's files: the same for the same content in any directory."""
    recorded = _read_files(directory)
    return hashlib.sha256(json.dumps(recorded, sort_keys=True).encode()).hexdigest()


def _verify(directory: Path) -> None:
    """Compare every file with its recorded SHA-256. Raises RlvlaError for one that is missing or differs."""
    recorded = _read_files(directory)
    for name, digest in recorded.items():
        path = directory / name
        if not path.is_file():
            raise RlvlaError(f"{path} is missing: {AGAIN}")
        if sha256_of(path) != digest:
            raise RlvlaError(f"{path} is damaged (its SHA-256 differs from provenance.json): {AGAIN}")
