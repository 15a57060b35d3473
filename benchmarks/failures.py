"""How far do a policy's failed episodes get?

    python benchmarks/failures.py runs/study/ppo-0/policy runs/study/sft-1000-0/policy [--episodes 256]

Every policy meets the same episodes of the training grid. Prints, for each, how its episodes end, and the objects that
fail most; ends with one line of JSON.
"""

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import torch

from rlvla.recipe import EVALUATION_SEED, WORLD
from rlvla_core.errors import RlvlaError
from rlvla_core.evaluation.episode_list import EpisodeList
from rlvla_core.policy.bundle import load_bundle
from rlvla_core.policy.policy import VLAPolicy
from rlvla_sim.vec_env import CpuVecEnv
from rlvla_sim.world import STATE_SLICES

WORLDS = 64
RISEN = 0.02
"""Metres above its first place: an object that was lifted."""
ENDS = (
    "success",
    "was on the receptacle, not at the end",
    "never grasped",
    "grasped, never lifted",
    "held where it lay",
    "lifted and lost",
    "held in the air",
)
"""From the first to the last: an episode has one of them."""


def end_of(held: np.ndarray, height: np.ndarray, success: np.ndarray) -> str:
    """Which of ENDS an episode has, of its steps: held bool [T], height of the object over its first place [T], metres,
    success bool [T]."""
    if success[-1]:
        return "success"
    if success.any():
        return "was on the receptacle, not at the end"
    if not held.any():
        return "never grasped"
    if held[-1]:
        return "held in the air" if height[-1] > RISEN else "held where it lay"
    return "lifted and lost" if height[held].max() > RISEN else "grasped, never lifted"


def play(policy: VLAPolicy, env: CpuVecEnv, ids: torch.Tensor, temperature: float) -> list[tuple[str, str]]:
    """(end, name of the object) of the episodes `ids`, one an environment."""
    observation = env.reset(ids)
    names = [world.object.name for world in env.worlds]
    noise = torch.Generator().manual_seed(int(ids[0]))
    first = heights(observation.state)
    held, height, success = [], [], []
    for _ in range(env.spec.max_steps):
        actions = policy.act(
            observation.images, observation.instructions, temperature=temperature, generator=noise
        ).actions
        result = env.step(actions)
        observation = result.observation
        held.append(result.info["grasped_now"].numpy())
        height.append(heights(observation.state) - first)
        success.append(result.success.numpy())
    columns = [np.stack(steps, axis=1) for steps in (held, height, success)]
    return [(end_of(*(column[row] for column in columns)), name) for row, name in enumerate(names)]


def heights(state: torch.Tensor | None) -> np.ndarray:
    """Of the objects [N], base frame, metres."""
    assert state is not None
    return state[:, STATE_SLICES["object_position"].stop - 1].numpy()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bundles", type=Path, nargs="+", help="of policies for the WidowX")
    parser.add_argument("--episodes", type=int, default=256, help=f"of the training grid, a multiple of {WORLDS}")
    parser.add_argument("--temperature", type=float, default=0.0, help="of the action tokens; 0 is greedy")
    given = parser.parse_args()
    if given.episodes < WORLDS or given.episodes % WORLDS:
        parser.error(f"--episodes {given.episodes}: use a multiple of {WORLDS}")
    env = CpuVecEnv(WORLD, WORLDS)
    episodes = EpisodeList.draw(env.spec, given.episodes, seed=EVALUATION_SEED)
    results = {}
    try:
        for bundle in given.bundles:
            policy = load_bundle(bundle).eval()
            played = [
                end
                for batch in episodes.batches(WORLDS)
                for end in play(policy, env, batch.tensor(), given.temperature)
            ]
            results[str(bundle)] = shown(bundle, played)
    except RlvlaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps({"benchmark": "failures", "episodes": given.episodes, "T": given.temperature, "ends": results}))
    return 0


def shown(bundle: Path, played: list[tuple[str, str]]) -> dict[str, int]:
    """Print the table of one policy; returns its counts."""
    ends = Counter(end for end, _ in played)
    print(f"{bundle}, {len(played)} episodes")
    for end in ENDS:
        print(f"  {ends[end]:>4} {ends[end] / len(played):6.1%}  {end}")
    met, lost = Counter(name for _, name in played), Counter(name for end, name in played if end != "success")
    worst = sorted(lost, key=lambda name: lost[name] / met[name], reverse=True)[:4]
    print("  fails most with " + ", ".join(f"{name} ({lost[name]} of {met[name]})" for name in worst), flush=True)
    return {end: ends[end] for end in ENDS}


if __name__ == "__main__":
    sys.exit(main())
