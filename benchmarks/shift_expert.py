"""Can the sixteen tests be solved? The scripted expert, which reads the simulator's state, plays their episodes.

    python benchmarks/shift_expert.py [--episodes 32] [--robot widowx250s] [--assets procedural] [--tests NAME ...]

Prints successes, the mean length and the failed episodes of every test, and ends with one line of JSON.
"""

import argparse
import json
import sys

import numpy as np

from rlvla_core.errors import RlvlaError
from rlvla_core.evaluation import wilson
from rlvla_sim import WorldConfig, make_env
from rlvla_sim.expert import ExpertConfig, collect_episodes
from rlvla_sim.ood_episodes import ood_episodes
from rlvla_sim.shifts import shifts
from rlvla_sim.vec_env import CpuVecEnv

NUM_ENVS = 16


def play(config: WorldConfig, episodes: int) -> tuple[list[int], list[int]]:
    """Lengths of the episodes that the expert solved, and ids of the others."""
    env = make_env(config, min(NUM_ENVS, episodes))
    assert isinstance(env, CpuVecEnv)
    lengths, failed = [], []
    for batch in ood_episodes(config.episode_set, episodes).batches(env.num_envs):
        if len(batch) < env.num_envs:
            env = make_env(config, len(batch))
            assert isinstance(env, CpuVecEnv)
        for played in collect_episodes(env, batch.tensor(), ExpertConfig(), seed=0):
            if played.success:
                lengths.append(len(played))
            else:
                failed.append(played.episode_id)
    return lengths, failed


def main() -> int:
    """Play and print all tests; returns 1 where the expert solves less than 90 % of a test."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--episodes", type=int, default=32)
    parser.add_argument("--robot", default="widowx250s")
    parser.add_argument("--assets", default="procedural")
    parser.add_argument("--tests", nargs="+", default=[shift.name for shift in shifts()])
    given = parser.parse_args()
    metrics = {}
    for name in given.tests:
        config = WorldConfig(
            robot=given.robot,
            assets=given.assets,
            episode_set=name,
            image_width=16,
            image_height=16,
            supersampling=1,
        )
        lengths, failed = play(config, given.episodes)
        low, high = wilson(len(lengths), given.episodes)
        metrics[name] = [len(lengths), given.episodes]
        steps = f"{np.mean(lengths):.1f} steps" if lengths else ""
        print(f"{name:24s} {len(lengths)}/{given.episodes} [{low:.2f}, {high:.2f}] {steps} {failed or ''}", flush=True)
    print(json.dumps({"bench": "shift_expert", **vars(given), "tests": metrics}))
    return int(any(good < 0.9 * n for good, n in metrics.values()))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RlvlaError as error:
        sys.exit(f"error: {error}")
