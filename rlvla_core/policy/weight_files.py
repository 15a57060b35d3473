"""Where a checkpoint directory keeps its weights: one safetensors file, or shards with an index (transformers' way)."""

from pathlib import Path

from rlvla_core.errors import RlvlaError
from rlvla_core.storage.json_files import read_json

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
AGAIN = "copy the checkpoint again"
"""What a user can do about a damaged index."""


def shard_files(directory: Path) -> list[Path]:
    """Paths of the weight files that the index names, or of the single one. They need not exist."""
    if (directory / INDEX).is_file():
        weight_map = read_json(directory / INDEX, AGAIN).get("weight_map", {})
        if not isinstance(weight_map, dict) or not all(isinstance(name, str) for name in weight_map.values()):
            raise RlvlaError(f"{directory / INDEX} is damaged: `weight_map` must map tensors to files: {AGAIN}")
        return [directory / name for name in sorted(set(weight_map.values()))]
    return [directory / SINGLE]
