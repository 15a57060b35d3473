"""Where a checkpoint directory keeps its weights: one safetensors file, or shards with an index (transformers' way)."""

from pathlib import Path

from rlvla_core.storage.json_files import read_json

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"


def shard_files(directory: Path) -> list[Path]:
    """Paths of the weight files that the index names, or of the single one. They need not exist."""
    if (directory / INDEX).is_file():
        weight_map = read_json(directory / INDEX, "copy the checkpoint again").get("weight_map", {})
        return [directory / name for name in sorted(set(weight_map.values()))]
    return [directory / SINGLE]
