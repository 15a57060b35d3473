"""Play a policy and record what happened in its episodes; shared by failures.py and grasp_angles.py."""

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

NUM_ENVS = 64
"""Number of parallel environments."""
Env = TypeVar("Env", bound="RecordingEnv")


@dataclass(frozen=True, kw_only=True)
class PlayOptions:
    """How the policies are played; all play the same episodes of the training grid."""

    episodes: int
    """Number of episodes."""
    temperature: float
    """Sampling temperature of the action tokens; 0 = greedy."""
    max_steps: int
    """Time limit of an episode, in control steps."""


class RecordingEnv(CpuVecEnv):
    """Records for every batch of episodes whether the hand held the object, the object's height, and its name."""

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
    """Height [N] of the object in each environment, base frame, metres."""
    assert observation.state is not None
    return observation.state[:, STATE_SLICES["object_position"].stop - 1].numpy()


def episodes_of(batches: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """Join records: for every batch, for every step, an array [N] -> one array [episodes, steps].

    The last batch may hold more episodes than were asked for, because it is filled up to N: the caller cuts them."""
    return np.concatenate([np.stack(batch, axis=1) for batch in batches])


def play_in(
    make: Callable[[WorldConfig, int], Env], bundle: Path, options: PlayOptions
) -> tuple[Env, EvaluationResult]:
    """Play `bundle` in the recipe's world with the bundle's robot, view and image size; returns the environment with
    its records, and the result."""
    world = bundle_world(load_deploy(bundle), episode_set=WORLD.episode_set, max_steps=options.max_steps)
    env = make(world, min(NUM_ENVS, options.episodes))
    chosen = EpisodeList.draw(env.spec, options.episodes, seed=EVALUATION_SEED)
    return env, evaluate(load_bundle(bundle), env, chosen, temperature=options.temperature, seed=EVALUATION_SEED)


def run(doc: str, experiment: str, measure: Callable[[Path, PlayOptions], dict[str, Any]]) -> int:
    """Parse the command line, `measure` every bundle and print one line of JSON; returns the exit status."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("bundles", type=Path, nargs="+", help="policy bundles")
    parser.add_argument("--episodes", type=int, default=256, help="number of episodes of the training grid")
    parser.add_argument(
        "--temperature", type=float, default=0.0, help="sampling temperature of the action tokens; 0 = greedy"
    )
    parser.add_argument(
        "--max-steps", type=int, default=WORLD.max_steps, help="time limit of an episode, in control steps"
    )
    given = parser.parse_args()
    options = PlayOptions(episodes=given.episodes, temperature=given.temperature, max_steps=given.max_steps)
    try:
        policies = {str(bundle): measure(bundle, options) for bundle in given.bundles}
    except RlvlaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    settings = {"episodes": options.episodes, "T": options.temperature, "max_steps": options.max_steps}
    print(json.dumps({"experiment": experiment, **settings, "policies": policies}))
    return 0
