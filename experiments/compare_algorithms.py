"""Compare PPO, GRPO and DPO on the short positive control (a toy problem with images), all from one warm-up.

    python experiments/compare_algorithms.py [--names grpo dpo] [--seeds 0 1 2 3]

Prints success at temperature 1 before and after training, one line for each algorithm and seed; a line takes about 12
seconds on one core. Measured results: docs/results/ablations.md.
"""

import argparse
import copy
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "learning"))

from small_world import make_learner
from test_positive_control import COMMON, TOY, success, warmed_up

from rlvla_core.learning.algorithms.dpo import DpoConfig
from rlvla_core.learning.algorithms.grpo import GrpoConfig
from rlvla_core.learning.algorithms.ppo import PpoConfig
from rlvla_core.learning.distributed import Ranks
from rlvla_core.learning.trainer import train
from rlvla_core.runs import RunDirectory
from rlvla_core.toy import make_toy_env

LOOP = {**COMMON, "anneal": True, "iterations": 45, "checkpoint_every": 45}
PPO = PpoConfig(**LOOP, minibatch=64, gamma=0.8, lam=0.8)
GRPO = GrpoConfig(**LOOP, minibatch=64)
ALGORITHMS = {
    "ppo": PPO,
    "ppo-separate": replace(PPO, critic="separate"),
    "ppo-last": replace(PPO, critic_input="last"),
    "ppo-all": replace(PPO, critic_input="all"),
    "grpo": GRPO,
    "grpo-success": replace(GRPO, outcome="success"),
    "grpo-flat": replace(GRPO, variant="flat"),
    "dpo": DpoConfig(**LOOP, minibatch=8),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--names", nargs="+", choices=ALGORITHMS, default=list(ALGORITHMS), help="algorithms to train")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3], help="training seeds")
    given = parser.parse_args()
    torch.set_num_threads(1)
    env = make_toy_env(TOY, COMMON["num_envs"])
    with tempfile.TemporaryDirectory() as folder:
        start, _ = warmed_up(Path(folder), env, speed=0.012)
        print("start", *(f"{end:.1%}" for end in success(start, env)), flush=True)
        for name in given.names:
            for seed in given.seeds:
                policy, config = copy.deepcopy(start), replace(ALGORITHMS[name], seed=seed)
                with RunDirectory.create(Path(folder) / f"{name}-{seed}", {}) as run:
                    train(make_learner(config, Ranks(), policy), env, run, provenance={})
                print(name, seed, *(f"{end:.1%}" for end in success(policy, env)), flush=True)


if __name__ == "__main__":
    main()
