"""How far do a policy's failed episodes get?

    python benchmarks/failures.py runs/study/ppo-0/policy runs/study/sft-1000-0/policy [--episodes 256] [--max-steps 40]

Every policy meets the same episodes of the training grid. Prints, for each, how its episodes end, and the objects that
fail most; ends with one line of JSON.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from rlvla.commands.evaluate import world_config
from rlvla.recipe import EVALUATION_SEED, WORLD
from rlvla_core.environment import Observation, StepResult
from rlvla_core.errors import RlvlaError
from rlvla_core.evaluation import EpisodeList, evaluate
from rlvla_core.policy.bundle import load_bundle, load_deploy
from rlvla_sim.config import WorldConfig
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


def end_of(held: np.ndarray, height: np.ndarray, *, at_end: bool, once: bool) -> str:
    """Which of ENDS an episode has: held bool [T] and height of the object over its first place [T], metres, of its
    steps; whether it succeeded at the end, and at some step."""
    if at_end:
        return "success"
    if once:
        return "was on the receptacle, not at the end"
    if not held.any():
        return "never grasped"
    if held[-1]:
        return "held in the air" if height[-1] > RISEN else "held where it lay"
    return "lifted and lost" if height[held].max() > RISEN else "grasped, never lifted"


class WatchedEnv(CpuVecEnv):
    """Remembers of every batch of episodes what was held, how high the object was, and what it is called."""

    def __init__(self, config: WorldConfig, num_envs: int) -> None:
        super().__init__(config, num_envs)
        self.held: list[list[np.ndarray]] = []
        self.heights: list[list[np.ndarray]] = []
        self.names: list[str] = []

    def reset(self, episode_ids: torch.Tensor) -> Observation:
        observation = super().reset(episode_ids)
        self.held.append([])
        self.heights.append([object_heights(observation)])
        self.names += [world.object.name for world in self.worlds]
        return observation

    def step(self, actions: torch.Tensor, active: torch.Tensor | None = None) -> StepResult:
        result = super().step(actions, active)
        self.held[-1].append(result.info["grasped_now"].numpy())
        self.heights[-1].append(object_heights(result.observation))
        return result


def object_heights(observation: Observation) -> np.ndarray:
    """[N], base frame, metres."""
    assert observation.state is not None
    return observation.state[:, STATE_SLICES["object_position"].stop - 1].numpy()


def world_of(bundle: Path, max_steps: int) -> WorldConfig:
    """The recipe's world with the robot, the view and the picture size of a bundle."""
    return world_config(load_deploy(bundle), episode_set=WORLD.episode_set, max_steps=max_steps)


def episodes_of(batches: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """[worlds] of every step of every batch -> [episodes, steps]. The last batch was filled up to its worlds: cut."""
    return np.concatenate([np.stack(batch, axis=1) for batch in batches])


def play(bundle: Path, episodes: int, temperature: float, max_steps: int) -> list[tuple[str, str]]:
    """(end, name of the object) of every episode."""
    env = WatchedEnv(world_of(bundle, max_steps), min(WORLDS, episodes))
    chosen = EpisodeList.draw(env.spec, episodes, seed=EVALUATION_SEED)
    result = evaluate(load_bundle(bundle), env, chosen, temperature=temperature, seed=EVALUATION_SEED)
    held = episodes_of(env.held)
    height = episodes_of([[now - batch[0] for now in batch[1:]] for batch in env.heights])
    return [
        (end_of(held[i], height[i], at_end=result.success_at_end[i], once=result.success_once[i]), env.names[i])
        for i in range(episodes)
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bundles", type=Path, nargs="+", help="of policies")
    parser.add_argument("--episodes", type=int, default=256, help="of the training grid")
    parser.add_argument("--temperature", type=float, default=0.0, help="of the action tokens; 0 is greedy")
    parser.add_argument("--max-steps", type=int, default=WORLD.max_steps, help="time limit of an episode")
    given = parser.parse_args()
    results = {}
    try:
        for bundle in given.bundles:
            played = play(bundle, given.episodes, given.temperature, given.max_steps)
            results[str(bundle)] = shown(bundle, played)
    except RlvlaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    asked = {"episodes": given.episodes, "T": given.temperature, "max_steps": given.max_steps}
    print(json.dumps({"benchmark": "failures", **asked, "ends": results}))
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
