"""Which models there are: the one place outside a model's folder that names it. A second model is one more line."""

from pathlib import Path
from typing import Any

from rlvla_core.errors import RlvlaError
from rlvla_core.policy.model import ModelFamily, Preset, VLAConfig
from rlvla_core.policy.openvla.family import OPENVLA
from rlvla_core.storage.json_files import read_json

FAMILIES: dict[str, ModelFamily[Any]] = {"openvla": OPENVLA}
"""`model_type` of config.json -> functions of that model's folder."""


def family_of(model_type: object) -> ModelFamily[Any]:
    """The functions of the model called `model_type`. Raises RlvlaError that lists the known names."""
    if not isinstance(model_type, str) or model_type not in FAMILIES:
        raise RlvlaError(f"config.json: model_type {model_type!r} is unknown; supported: {', '.join(FAMILIES)}")
    return FAMILIES[model_type]


def load_config(directory: Path) -> VLAConfig:
    """Read a directory's config.json. Raises RlvlaError if it is missing, damaged or of an unknown model."""
    data = read_json(directory / "config.json", "name a directory that holds a policy")
    family = family_of(data.get("model_type"))
    try:
        return family.read_config(data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RlvlaError(
            f"{directory / 'config.json'} is damaged: a value is missing or of another type ({error!r}): "
            "copy the whole directory again"
        ) from error


def preset(name: str) -> Preset[Any]:
    """The preset called `name`, of whichever model. Raises RlvlaError that lists the known names."""
    known = {key: value for family in FAMILIES.values() for key, value in family.presets.items()}
    if name not in known:
        raise RlvlaError(f"unknown preset {name!r}: choose one of {', '.join(known)}")
    return known[name]
