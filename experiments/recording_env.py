"""Play a policy and remember what its worlds did: what failures.py and turns.py share."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from rlvla.recipe import EVALUATION_SEED, WORLD
from rlvla.worlds import bundle_world
from rlvla_core.environment import Observation, StepResult
from rlvla_core.errors import RlvlaError
from rlvla_core.evaluation import EpisodeList, EvaluationResult, evaluate
from rlvla_core.policy.bundle import load_bundle, load_deploy
from rlvla_sim.config import WorldConfig
from rlvla_sim.vec_env import CpuVecEnv
from rlvla_sim.world import STATE_SLICES

WORLDS = 64
Env = TypeVar("Env", bound="WatchedEnv")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """How policies are played, all on the same episodes of the training grid."""

    episodes: int
    temperature: float
    """Of the action tokens; 0 is greedy."""
    max_steps: int


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


def episodes_of(batches: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """[worlds] of every step of every batch -> [episodes, steps]. The last batch was filled up to its worlds: cut."""
    return np.concatenate([np.stack(batch, axis=1) for batch in batches])


def play_in(make: Callable[[WorldConfig, int], Env], bundle: Path, asked: Asked) -> tuple[Env, EvaluationResult]:
    """Play a bundle in the recipe's world with its own robot, view and image size; the world that watched, and what
    became of the episodes."""
    world = bundle_world(load_deploy(bundle), episode_set=WORLD.episode_set, max_steps=asked.max_steps)
    env = make(world, min(WORLDS, asked.episodes))
    chosen = EpisodeList.draw(env.spec, asked.episodes, seed=EVALUATION_SEED)
    return env, evaluate(load_bundle(bundle), env, chosen, temperature=asked.temperature, seed=EVALUATION_SEED)


def run(doc: str, benchmark: str, measure: Callable[[Path, Asked], dict[str, Any]]) -> int:
    """The command line: `measure` every bundle, print one line of JSON at the end. Returns the exit status."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("bundles", type=Path, nargs="+", help="of policies")
    parser.add_argument("--episodes", type=int, default=256, help="of the training grid")
    parser.add_argument("--temperature", type=float, default=0.0, help="of the action tokens; 0 is greedy")
    parser.add_argument("--max-steps", type=int, default=WORLD.max_steps, help="time limit of an episode")
    given = parser.parse_args()
    asked = Asked(episodes=given.episodes, temperature=given.temperature, max_steps=given.max_steps)
    try:
        policies = {str(bundle): measure(bundle, asked) for bundle in given.bundles}
    except RlvlaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    asked_for = {"episodes": asked.episodes, "T": asked.temperature, "max_steps": asked.max_steps}
    print(json.dumps({"benchmark": benchmark, **asked_for, "policies": policies}))
    return 0
