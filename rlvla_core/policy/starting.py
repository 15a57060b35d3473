"""The policy that a training starts from, by name."""

from pathlib import Path

import torch

from rlvla_core.errors import RlvlaError
from rlvla_core.policy.action_codec import ActionCodec
from rlvla_core.policy.bundle import DEPLOY, load_bundle
from rlvla_core.policy.lora import LoraConfig, apply_lora, is_adapted
from rlvla_core.policy.norm_stats import NormStats
from rlvla_core.policy.openvla.presets import TINY_BASE
from rlvla_core.policy.policy import VLAPolicy

FROM_NOTHING = "tiny-from-nothing"
"""Name of the tiny policy with random weights."""


def start_policy(
    source: str, *, norm_stats: NormStats | None, lora: LoraConfig | None, seed: int, device: str
) -> VLAPolicy:
    """The policy called `source`, on `device`, ready to be trained.

    source: a bundle directory, `tiny` (the base that is shipped) or `tiny-from-nothing` (its graph, random weights).
    norm_stats: action statistics of the training data. A bundle without deploy.json is a base, which has learned no
        task (`rlvla pretrain` writes such bundles): it needs these statistics, and gets a new value head.
    lora: size of the adapter that a policy without one gets; one that it has is trained on, as in the paper.
    seed: of all random weights.

    Raises RlvlaError for an unknown name, a directory that is no bundle, and a base without statistics.
    """
    if source == FROM_NOTHING:
        policy = VLAPolicy.from_preset("tiny", _required(norm_stats, source), seed=seed).to(device)
    else:
        directory = TINY_BASE if source == "tiny" else Path(source)
        if not directory.is_dir():
            raise RlvlaError(f"`{source}` is neither `tiny`, `{FROM_NOTHING}` nor a policy bundle directory")
        policy = load_bundle(directory, device=device)
        if not (directory / DEPLOY).is_file():
            policy.codec = ActionCodec(policy.config, _required(norm_stats, source))
            policy.value_head.initialise(torch.Generator().manual_seed(seed))
    if lora is not None and not is_adapted(policy.model):
        apply_lora(policy, lora, seed=seed)
    return policy


def _required(norm_stats: NormStats | None, source: str) -> NormStats:
    if norm_stats is None:
        raise RlvlaError(f"policy `{source}` has not learned any task yet: warm it up first with `rlvla train sft`")
    return norm_stats
