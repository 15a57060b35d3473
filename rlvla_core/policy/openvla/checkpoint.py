"""Load the weights of an OpenVLA checkpoint directory: safetensors shards under OpenVLA's tensor names.

The graph is built without storage, then each shard's tensors are put in place one by one, so that the peak memory is
the model itself. Every tensor is accounted for: none may be missing, and the only ones left over are the known dead
ones (see `tensors.py`).
"""

from pathlib import Path

import torch

from rlvla_core.errors import RlvlaError
from rlvla_core.policy.openvla.config import OpenVLAConfig
from rlvla_core.policy.openvla.llama import restore_rotary_buffers
from rlvla_core.policy.openvla.model import OpenVLA
from rlvla_core.policy.openvla.tensors import expected_tensors, meta_model
from rlvla_core.policy.weight_files import shard_files
from rlvla_core.storage.json_files import read_json
from rlvla_core.storage.tensor_files import read_tensors


def load_model(
    directory: Path,
    config: OpenVLAConfig | None = None,
    *,
    dtype: torch.dtype | None = torch.float32,
    device: str | torch.device = "cpu",
    with_dead_modules: bool = False,
) -> OpenVLA:
    """The model of `config` with the directory's weights on `device`.

    config: None reads the directory's config.json.
    dtype: precision to convert the weights to; None keeps the stored one.
    with_dead_modules: also build and load what the forward pass never uses.
    Raises RlvlaError that names the first missing, unknown or misshapen tensor.
    """
    if config is None:
        config = OpenVLAConfig.from_json(read_json(directory / "config.json", "name a directory that holds a policy"))
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
            if not tensor.is_floating_point():
                raise RlvlaError(
                    f"{path}: {name} has data type {tensor.dtype}, which is no floating point: copy it again"
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
