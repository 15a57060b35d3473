"""Positive control of PPO: a small problem with images that it must solve, from a policy that mostly fails.

    python benchmarks/positive_control.py [--task reach|push] [--starts 8] [--iterations 600] [--ranks 2] [--seed 0]

A policy of the real class with fresh weights, smaller than `tiny`, is warmed up for seconds on a demonstrator that is
too slow to arrive in time, and then improved by `PpoLearner` in `trainer.train`, which is what `rlvla train ppo` calls.
Success is counted at temperature 1, as PPO plays, before and after. Prints the curve and ends with one line of JSON.

`--starts` is the number of different starts. Eight can be learned by heart, which is enough to show that the machinery
of PPO works. A million (all episodes of the toy environment) also need a policy that sees, which a warm-up is for.
"""

import argparse
import json
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from rlvla_core import seeds
from rlvla_core.errors import RlvlaError
from rlvla_core.evaluation import EpisodeList, evaluate, wilson
from rlvla_core.learning.algorithms.localisation import ProjectedPoints
from rlvla_core.learning.algorithms.ppo import PpoConfig, PpoLearner
from rlvla_core.learning.algorithms.sft import SftConfig, train_sft
from rlvla_core.learning.distributed import Ranks, launch
from rlvla_core.learning.trainer import train
from rlvla_core.policy.openvla.config import OpenVLAConfig, TowerConfig
from rlvla_core.policy.openvla.presets import tiny
from rlvla_core.policy.policy import VLAPolicy
from rlvla_core.policy.tokenizer import tiny_tokenizer
from rlvla_core.runs import open_run
from rlvla_core.toy import ToyConfig, make_toy_env
from rlvla_core.toy.demonstrations import TOY_NORM_STATS, Demonstrations
from rlvla_core.toy.expert import ToyExpertConfig, demonstrate

IMAGE_SIZE = 32
"""Side of the square images, pixels."""
SAMPLES = 256
"""Least number of episodes in one measurement: every start is played several times, with other noise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Control:
    """A toy task, the demonstrator that is too slow for it, and how long PPO may take to do better."""

    max_steps: int
    teacher: ToyExpertConfig
    demonstrations: int
    sft_epochs: float
    ppo: PpoConfig


_REACH_PPO = PpoConfig(
    iterations=600,
    num_envs=64,
    minibatch=64,
    micro_batch=64,
    gamma=0.8,
    lam=0.8,
    lr=7e-4,
    lr_warmup_updates=5,
    anneal=True,
    critic="privileged",
    checkpoint_every=40,
    verify_episodes=8,
)
CONTROLS = {
    "reach": Control(
        max_steps=6,
        teacher=ToyExpertConfig(speed=0.004, noise=0.006),
        demonstrations=128,
        sft_epochs=30.0,
        ppo=_REACH_PPO,
    ),
    # Going round the puck and pushing takes three times as many steps: longer credit, more environments an update. What
    # has to be learned is to be quick, and the discount says so: with 0.95 one start of eight stayed unsolved.
    "push": Control(
        max_steps=24,
        teacher=ToyExpertConfig(speed=0.0075, noise=0.003),
        demonstrations=256,
        sft_epochs=30.0,
        ppo=replace(
            _REACH_PPO, iterations=330, num_envs=256, minibatch=512, micro_batch=256, gamma=0.9, lam=0.9, lr=1.2e-3
        ),
    ),
}
SFT = SftConfig(batch=32, lr=3e-3, lr_warmup_steps=10, label_sigma=16.0, localisation_weight=0.5)


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """The options of the command line."""

    task: Literal["reach", "push"]
    starts: int
    iterations: int
    """PPO iterations; 0 = as many as CONTROLS says."""
    seed: int


def small() -> OpenVLAConfig:
    """A model smaller than `tiny`: four patches a side, width 32, two layers.

    It reads the toy environment's images at their own size. Enlarging them to the 64 pixels of `tiny` took two thirds
    of the time that a rollout needs.
    """
    config = tiny()

    def narrow(tower: TowerConfig) -> TowerConfig:
        return replace(tower, width=16, heads=2, mlp_hidden=32, depth=2, image_size=IMAGE_SIZE, patch_size=8)

    return replace(
        config,
        dino=narrow(config.dino),
        siglip=narrow(config.siglip),
        text=replace(config.text, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2),
        projector_hidden=32,
    )


def measure(policy: VLAPolicy, toy: ToyConfig) -> dict[str, Any]:
    """Success rate at temperature 1 over at least SAMPLES episodes, with its 95 % interval; the same on every rank."""
    env = make_toy_env(toy, min(64, toy.num_episodes))
    episodes = EpisodeList.draw(env.spec, min(SAMPLES, toy.num_episodes), seed=12345)
    repeats = -(-SAMPLES // len(episodes))
    results = [evaluate(policy, env, episodes, temperature=1.0, seed=seed) for seed in range(repeats)]
    successes, n = sum(int(result.success_at_end.sum()) for result in results), repeats * len(episodes)
    low, high = wilson(successes, n)
    return {"rate": round(successes / n, 4), "n": n, "wilson95": [round(low, 4), round(high, 4)]}


def run_control(ranks: Ranks, options: Options, folder: Path) -> None:
    """Warm a policy up, measure it, improve it by PPO, measure it again; rank 0 prints."""
    began = time.perf_counter()
    control = CONTROLS[options.task]
    toy = ToyConfig(task=options.task, image_size=IMAGE_SIZE, max_steps=control.max_steps, num_episodes=options.starts)
    policy = VLAPolicy.from_config(small(), tiny_tokenizer(), TOY_NORM_STATS, options.seed)
    teaching = make_toy_env(toy, 64)
    noise = seeds.generator(options.seed, "demonstrations")
    ids = torch.arange(control.demonstrations) % options.starts
    episodes = demonstrate(teaching, ids, control.teacher, generator=noise)
    taught = sum(episode.success for episode in episodes) / len(episodes)
    with open_run(folder / "sft", {"seed": options.seed}, ranks, resume=False) as run:
        sft = replace(SFT, epochs=control.sft_epochs, seed=options.seed)
        train_sft(policy, Demonstrations(episodes), sft, run, ranks, labels=ProjectedPoints(teaching.spec))
    start = measure(policy, toy)
    if ranks.is_main:
        print(f"the demonstrator succeeds in {taught:.0%}, the warmed-up policy in {start['rate']:.0%}", flush=True)
    ppo = replace(control.ppo, iterations=options.iterations or control.ppo.iterations, seed=options.seed)
    env = make_toy_env(toy, ranks.per_rank(ppo.num_envs, "environments"))
    with open_run(folder / "ppo", {"seed": options.seed}, ranks, resume=False) as run:
        learner = PpoLearner(policy, ppo, ranks, state_dim=env.spec.state_dim)
        summary = train(learner, env, run, provenance={"benchmark": "positive_control"})
        end = measure(policy, toy)
        if ranks.is_main:
            metrics = {
                "benchmark": "positive_control",
                "task": toy.task,
                "starts": options.starts,
                "ranks": ranks.size,
                "demonstrator_success": round(taught, 4),
                "start": start,
                "end": end,
                "greedy_end": summary.verified_success,
                "minutes": round((time.perf_counter() - began) / 60, 2),
                "env_steps": summary.env_steps,
            }
            report(run.journal.read(), metrics)


def report(journal: list[dict[str, Any]], metrics: dict[str, Any]) -> None:
    """Print the success curve of `journal`, then `metrics` as one line of JSON."""
    every = max(1, len(journal) // 16)
    for first in range(0, len(journal), every):
        window = journal[first : first + every]
        rate = sum(record["success_at_end"] for record in window) / len(window)
        print(f"{window[-1]['env_steps']:>8} steps  {rate:>4.0%} {'#' * round(50 * rate)}")
    total = sum(record["seconds"]["total"] for record in journal)
    fractions = {
        part: round(sum(record["seconds"][part] for record in journal) / total, 3)
        for part in ("world", "policy", "update")
    }
    metrics |= {"steps_per_second": round(metrics["env_steps"] / total, 1), "share_of_time": fractions}
    print(json.dumps(metrics), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--task", choices=sorted(CONTROLS), default="reach", help="the toy task")
    parser.add_argument("--starts", type=int, default=8, help="number of different starts")
    parser.add_argument("--iterations", type=int, default=0, help="PPO iterations; 0: the task's own number")
    parser.add_argument("--ranks", type=int, default=0, help="processes; 0: one per core, at most 4")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    options = Options(task=given.task, starts=given.starts, iterations=given.iterations, seed=given.seed)
    try:
        with tempfile.TemporaryDirectory(prefix="rlvla-control-") as folder:
            launch(run_control, (options, Path(folder)), ranks=given.ranks)
    except RlvlaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
