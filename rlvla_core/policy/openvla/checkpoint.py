"""Load the weights of an OpenVLA checkpoint directory: config.json and safetensors shards.

The graph is built without storage, then each shard's tensors are put in place one by one, so that the peak memory is
the model itself. Every tensor is accounted for: none may be missing, and the only ones left over are the known dead
ones (see `tensors.py`).
"""

from pathlib import Path

import torch

from rlvla_core.errors import RlvlaError
from rlvla_core.policy.image_transform import ImageTransform
from rlvla_core.policy.openvla.config import OpenVLAConfig
from rlvla_core.policy.openvla.graph import OpenVLA
from rlvla_core.policy.openvla.llama import restore_rotary_buffers
from rlvla_core.policy.openvla.tensors import expected_tensors, meta_model
from rlvla_core.storage.json_files import read_json
from rlvla_core.storage.tensor_files import read_tensors

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
MIN_IMAGE_EFFECT = 1e-6
"""Smallest change of a logit between a black and a white image that counts as seeing."""


def load_config(directory: Path) -> OpenVLAConfig:
    """Read config.json. Raises RlvlaError if it is missing, damaged or of another model."""
    return OpenVLAConfig.from_json(read_json(directory / "config.json", "name a directory that holds a policy"))


def shard_files(directory: Path) -> list[Path]:
    """The weight files that the index names, or the single one."""
    if (directory / INDEX).is_file():
        weight_map = read_json(directory / INDEX, "copy the checkpoint again").get("weight_map", {})
        return [directory / name for name in sorted(set(weight_map.values()))]
    return [directory / SINGLE]


def load_model(
    directory: Path,
    config: OpenVLAConfig | None = None,
    *,
    dtype: torch.dtype | None = torch.float32,
    device: str | torch.device = "cpu",
    with_dead_modules: bool = False,
) -> OpenVLA:
    """The graph with the directory's weights on `device`.

    dtype: convert the weights; None keeps the stored precision.
    with_dead_modules: also build and load what the forward pass never uses.
    Raises RlvlaError that names the first missing, unknown or misshapen tensor.
    """
    config = config or load_config(directory)
    model = meta_model(config, with_dead_modules=with_dead_modules)
    expected = expected_tensors(config)
    wanted = expected.all if with_dead_modules else expected.live
    loaded: dict[str, torch.Tensor] = {}
    for path in shard_files(directory):
        for name, tensor in read_tensors(path, device=str(device)):
            if name not in expected.all:
                raise RlvlaError(f"{path} holds the unknown tensor {name}: it is not a checkpoint of this model")
            if tuple(tensor.shape) != expected.all[name]:
                raise RlvlaError(
                    f"{path}: {name} has shape {list(tensor.shape)}, config.json asks for {list(expected.all[name])}"
                )
            if name in wanted:
                loaded[name] = tensor if dtype is None else tensor.to(dtype)
    missing = sorted(wanted.keys() - loaded.keys())
    if missing:
        raise RlvlaError(f"{directory} lacks {len(missing)} tensors, the first is {missing[0]}: copy it again")
    model.load_state_dict(loaded, strict=True, assign=True)
    model.requires_grad_(True)
    restore_rotary_buffers(model.language_model)
    model.to(device)
    return model


@torch.no_grad()
def image_effect(model: OpenVLA, empty_token_id: int) -> float:
    """Largest change of an action logit between an all-black and an all-white image."""
    config = model.config
    weight = model.language_model.model.embed_tokens.weight
    images = torch.zeros(2, config.image_size, config.image_size, 3, dtype=torch.uint8, device=weight.device)
    images[1] = 255
    pixels = ImageTransform(size=config.image_size)(images).to(weight.dtype)
    ids = torch.tensor([[config.text.bos_token_id, empty_token_id]], device=weight.device)
    logits = []
    for image in pixels:  # one by one: rows of a batch may differ by rounding alone
        sequence = model.embed(image[None], ids, torch.ones_like(ids))
        hidden = model.hidden(sequence.embeddings, sequence.visible, sequence.positions, last=1)
        logits.append(model.action_logits(hidden[:, 0]))
    return float((logits[0] - logits[1]).abs().max())


def check_sight(model: OpenVLA, empty_token_id: int) -> None:
    """Raise RlvlaError unless a black and a white image give different action logits.

    A port whose image path is cut still talks fluently; this catches it at load time.
    """
    effect = image_effect(model, empty_token_id)
    if not effect > MIN_IMAGE_EFFECT:  # true for NaN as well
        raise RlvlaError(
            f"the policy is blind: a black and a white image change its logits by {effect:.1e}; "
            "its weights are damaged, so load another checkpoint"
        )
