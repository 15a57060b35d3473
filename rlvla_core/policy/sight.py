"""Does a model see? A black and a white image must give different action logits.

A port whose image path is cut still writes fluent action tokens; this check finds it when weights are loaded.
"""

import torch

from rlvla_core.errors import RlvlaError
from rlvla_core.policy.image_transform import ImageTransform
from rlvla_core.policy.model import VLAModel

MIN_IMAGE_EFFECT = 1e-6
"""Smallest change of a logit between a black and a white image that counts as seeing."""


@torch.no_grad()
def image_effect(model: VLAModel, empty_token_id: int) -> float:
    """Largest change of an action logit between an all-black and an all-white image, with an empty prompt."""
    config = model.config
    device = next(model.parameters()).device
    images = torch.zeros(2, config.image_size, config.image_size, 3, dtype=torch.uint8, device=device)
    images[1] = 255
    pixels = ImageTransform(size=config.image_size)(images).to(model.dtype)
    ids = torch.tensor([[config.bos_token_id, empty_token_id]], device=device)
    logits = []
    for image in pixels:  # one by one: rows of a batch may differ by rounding alone
        hidden = model.first_hidden(model.embed(image[None], ids, torch.ones_like(ids)))
        logits.append(model.action_logits(hidden[:, 0]))
    return float((logits[0] - logits[1]).abs().max())


def check_sight(model: VLAModel, empty_token_id: int) -> None:
    """Raise RlvlaError unless a black and a white image give different action logits."""
    effect = image_effect(model, empty_token_id)
    if not effect > MIN_IMAGE_EFFECT:  # true for NaN as well
        raise RlvlaError(
            f"the policy is blind: a black and a white image change its logits by {effect:.1e}; "
            "its weights are damaged, so load another checkpoint"
        )
