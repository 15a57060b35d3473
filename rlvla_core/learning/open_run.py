"""What every training command does before it trains: the run directory, and the policy to start from."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch

from rlvla_core.errors import RlvlaError
from rlvla_core.learning.distributed import Ranks
from rlvla_core.policy.action_codec import ActionCodec
from rlvla_core.policy.bundle import DEPLOY, load_bundle
from rlvla_core.policy.lora import LoraConfig, apply_lora, is_adapted
from rlvla_core.policy.norm_stats import NormStats
from rlvla_core.policy.openvla.presets import TINY_BASE
from rlvla_core.policy.policy import VLAPolicy
from rlvla_core.runs import RunDirectory

FROM_NOTHING = "tiny-from-nothing"
MAY_CHANGE = ("resume", "ranks")
"""Options of a command that do not describe the run. (Another number of ranks gives another curve, but a valid one.)"""


def open_run(
    path: Path,
    config: dict[str, Any],
    ranks: Ranks,
    *,
    resume: bool,
    may_change: Collection[str] = (),
    defaults: Mapping[str, Any] | None = None,
) -> RunDirectory:
    """Rank 0 creates or reopens the run and locks it; the others then read along.

    defaults: `config` with every option at its default. A run that was started before an option existed ran with what
    is its default now, and may be resumed with that.
    """
    run = None
    if ranks.is_main:
        allowed = [*MAY_CHANGE, *may_change]
        if resume and defaults is not None and (path / "config.json").is_file():
            recorded = json.loads((path / "config.json").read_text(encoding="utf-8"))
            allowed += options_added_since(recorded, config, defaults)
        run = RunDirectory.create(path, config, resume=resume, may_change=allowed)
    ranks.barrier()
    return run if run is not None else RunDirectory.open_read_only(path)


def options_added_since(
    recorded: Mapping[str, Any], config: Mapping[str, Any], defaults: Mapping[str, Any]
) -> list[str]:
    """Dotted keys of `config` that `recorded` does not have and that are at their default."""
    found = []
    for key, value in config.items():
        default = defaults.get(key)
        if key not in recorded:
            found += [key] if value == default else []
        elif all(isinstance(each, Mapping) for each in (recorded[key], value, default)):
            found += [f"{key}.{name}" for name in options_added_since(recorded[key], value, default or {})]
    return found


def start_policy(
    source: str, *, norm_stats: NormStats | None, lora: LoraConfig | None, seed: int, device: str
) -> VLAPolicy:
    """The policy called `source`: a bundle directory, `tiny` (the base that is shipped) or `tiny-from-nothing` (its
    graph with fresh weights).

    A bundle that belongs to no world is a base (`rlvla pretrain` writes such): it needs `norm_stats` and takes them
    over. With `lora`, a policy without an adapter gets one; a policy that has one trains it on, as the paper does.
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
