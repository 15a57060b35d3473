"""Write a policy bundle, load it again, and check that it acts as the policy that was trained."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from rlvla_core.data.dataset import FrameBatch
from rlvla_core.environment import EnvSpec, VecEnv
from rlvla_core.errors import RlvlaError
from rlvla_core.evaluation import EpisodeList, evaluate
from rlvla_core.learning.distributed import Ranks
from rlvla_core.policy.bundle import DeploySpec, load_bundle, save_bundle
from rlvla_core.policy.policy import VLAPolicy


def save_checked_bundle(
    policy: VLAPolicy,
    env: VecEnv,
    directory: Path,
    *,
    episodes: int,
    seed: int,
    ranks: Ranks,
    provenance: dict[str, Any],
) -> float | None:
    """Write the bundle (rank 0), then play `episodes` greedy episodes with the policy in memory and with the reloaded
    one, divided over the ranks. Returns the reloaded one's success rate at the end, or None for 0 episodes.

    Raises RlvlaError if one outcome, length or return differs. Only CPUs repeat sums exactly, so on a GPU the two runs
    may differ in as many episodes as chance allows, and only the rate is reported.
    """
    if ranks.is_main:
        save_bundle(policy, directory, deploy=DeploySpec.from_env(env.spec, policy), provenance=provenance)
    ranks.barrier()
    if episodes == 0:
        return None
    episode_list = EpisodeList.draw(env.spec, min(episodes, env.spec.num_episodes), seed=seed)
    mine = [batch for i, batch in enumerate(episode_list.batches(env.num_envs)) if i % ranks.size == ranks.rank]
    reloaded = load_bundle(directory, device=str(ranks.device))
    successes, count, different = 0, 0, 0
    for batch in mine:
        trained, loaded = (evaluate(each, env, batch) for each in (policy, reloaded))
        successes += int(loaded.success_at_end.sum())
        count += loaded.n
        same = (trained.success_at_end == loaded.success_at_end) & (trained.lengths == loaded.lengths)
        same &= np.isclose(trained.returns, loaded.returns, rtol=0.0, atol=1e-6)
        different += int((~same).sum())
    totals = ranks.sum(torch.tensor([successes, count, different], dtype=torch.float64)).tolist()
    if totals[2] and ranks.device.type == "cpu":
        raise RlvlaError(
            f"{totals[2]:.0f} of {totals[1]:.0f} greedy episodes end differently after saving and loading {directory}: "
            "the bundle is not the trained policy, do not use it"
        )
    return totals[0] / totals[1]


def save_same_tokens_bundle(
    policy: VLAPolicy, frames: FrameBatch, directory: Path, *, spec: EnvSpec, provenance: dict[str, Any]
) -> None:
    """Write the bundle, load it again, and compare greedy tokens and values on `frames`: a check without a simulator.

    Raises RlvlaError where tokens or values differ on a CPU; a GPU does not repeat sums exactly and is not held to it.
    """
    save_bundle(policy, directory, deploy=DeploySpec.from_env(spec, policy), provenance=provenance)
    reloaded = load_bundle(directory, device=str(policy.device))
    trained, loaded = (each.act(frames.images, frames.instructions, temperature=0.0) for each in (policy, reloaded))
    same = torch.equal(trained.tokens, loaded.tokens) and torch.equal(trained.values, loaded.values)
    if not same and policy.device.type == "cpu":
        raise RlvlaError(f"the bundle {directory}, loaded again, acts differently: do not use it")
