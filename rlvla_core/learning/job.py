"""What every training command does before it trains: the run directory, and the policy to start from."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from rlvla_core.errors import RlvlaError
from rlvla_core.learning.distributed import Ranks
from rlvla_core.policy.action_codec import ActionCodec
from rlvla_core.policy.bundle import DEPLOY, load_bundle
from rlvla_core.policy.lora import LoraConfig, apply_lora, is_adapted
from rlvla_core.policy.norm_stats import NormStats
from rlvla_core.policy.policy import VLAPolicy
from rlvla_core.policy.presets import PRESETS
from rlvla_core.runs import RunDirectory

MAY_CHANGE = ("resume", "ranks")
"""Options of a command that do not describe the run. (Another number of ranks gives another curve, but a valid one.)"""


def open_run(
    path: Path, config: dict[str, Any], ranks: Ranks, *, resume: bool, may_change: Collection[str] = ()
) -> RunDirectory:
    """Rank 0 creates or reopens the run and locks it; the others then read along."""
    run = None
    if ranks.is_main:
        run = RunDirectory.create(path, config, resume=resume, may_change=(*MAY_CHANGE, *may_change))
    ranks.barrier()
    return run if run is not None else RunDirectory.open_read_only(path)


def start_policy(
    source: str, *, norm_stats: NormStats | None, lora: LoraConfig | None, seed: int, device: str
) -> VLAPolicy:
    """The policy called `source`: a preset with fresh weights (needs `norm_stats`), or a bundle directory.

    A bundle that belongs to no world (`rlvla pretrain` writes such) is a base: it takes over `norm_stats`.
    With `lora`, a policy without an adapter gets one; a policy that has one trains it on, as the paper does.
    Raises RlvlaError for an unknown name or a directory that is no bundle.
    """
    if Path(source).is_dir():
        policy = load_bundle(Path(source), device=device)
        if norm_stats is not None and not (Path(source) / DEPLOY).is_file():
            policy.codec = ActionCodec(policy.config, norm_stats)
    elif source in PRESETS:
        if norm_stats is None:
            raise RlvlaError(f"preset {source} has no weights to improve: warm it up first with `rlvla train sft`")
        policy = VLAPolicy.from_preset(source, norm_stats, seed=seed).to(device)
    else:
        raise RlvlaError(f"`{source}` is neither a preset ({', '.join(PRESETS)}) nor a policy bundle directory")
    if lora is not None and not is_adapted(policy.model):
        apply_lora(policy, lora, seed=seed)
    return policy
