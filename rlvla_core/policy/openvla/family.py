"""The functions of this folder that the rest of the code calls, as `models.py` lists them."""

import torch

from rlvla_core.policy.model import ModelFamily
from rlvla_core.policy.openvla.checkpoint import load_model
from rlvla_core.policy.openvla.config import OpenVLAConfig
from rlvla_core.policy.openvla.initialise import initialise
from rlvla_core.policy.openvla.model import OpenVLA
from rlvla_core.policy.openvla.presets import PRESETS


def _fresh(config: OpenVLAConfig, generator: torch.Generator) -> OpenVLA:
    model = OpenVLA(config)
    initialise(model, generator)
    return model


OPENVLA = ModelFamily(read_config=OpenVLAConfig.from_json, fresh=_fresh, load=load_model, presets=PRESETS)
