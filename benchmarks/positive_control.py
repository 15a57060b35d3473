"""Does the learner learn? A problem with pictures that it must solve, from a start that mostly fails.

    python benchmarks/positive_control.py [--task reach|push] [--ranks 2] [--seed 0]

A tiny policy with fresh weights is warmed up for about a minute on a demonstrator that is hesitant and clumsy on
purpose (it fails three times out of four), and then improved by `train_ppo`, the very function behind
`rlvla train ppo`. Success is measured greedily and at temperature 1, before and after, on episodes that neither phase
has seen. Prints the curve and ends with one line of JSON.
"""

import argparse
import json
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from rlvla_core.errors import RlvlaError
from rlvla_core.evaluation import EpisodeList, evaluate, wilson
from rlvla_core.learning import seeds
from rlvla_core.learning.distributed import Ranks, launch
from rlvla_core.learning.job import open_run
from rlvla_core.learning.ppo import PpoConfig
from rlvla_core.learning.sft import SftConfig, train_sft
from rlvla_core.learning.trainer import train_ppo
from rlvla_core.policy.policy import VLAPolicy
from rlvla_core.toy import ToyConfig, make_toy_env
from rlvla_core.toy.demonstrations import TOY_NORM_STATS, Demonstrations
from rlvla_core.toy.expert import ToyExpertConfig, demonstrate


@dataclass(frozen=True, kw_only=True, slots=True)
class Control:
    """One problem and the settings that solve it."""

    toy: ToyConfig
    demonstrator: ToyExpertConfig
    demonstrations: int
    sft: SftConfig
    ppo: PpoConfig
    evaluation_episodes: int = 256


_SFT = SftConfig(epochs=2.2, batch=32, label_sigma=10.0, lr_warmup_steps=40, localisation_weight=0.3)
_PPO = PpoConfig(iterations=80, worlds=256, minibatch=256, gamma=0.8, lam=0.8, lr=6e-4, critic="privileged")
CONTROLS = {
    "reach": Control(
        toy=ToyConfig(task="reach", max_steps=4),
        demonstrator=ToyExpertConfig(speed=0.008, noise=0.008),
        demonstrations=4096,
        sft=_SFT,
        ppo=_PPO,
    ),
    "push": Control(
        toy=ToyConfig(task="push", max_steps=16),
        demonstrator=ToyExpertConfig(speed=0.012, noise=0.005),
        demonstrations=2048,
        sft=_SFT,
        ppo=_PPO,
    ),
}


def measure(policy: VLAPolicy, control: Control, ranks: Ranks) -> dict[str, Any]:
    """Success of the greedy and of the sampling policy on unseen episodes, shared by the ranks."""
    env = make_toy_env(control.toy, 64)
    episodes = EpisodeList.draw(env.spec, control.evaluation_episodes, seed=12345)
    mine = episodes.batches(64)[ranks.rank :: ranks.size]
    counts = []
    for temperature in (0.0, 1.0):
        results = [evaluate(policy, env, batch, temperature=temperature) for batch in mine]
        counts.append(float(sum(result.success_at_end.sum() for result in results)))
    greedy, sampled = (int(count) for count in ranks.sum(torch.tensor(counts)).tolist())
    n = len(episodes)
    low, high = wilson(greedy, n)
    return {"rate": greedy / n, "n": n, "wilson95": [round(low, 4), round(high, 4)], "sampled": sampled / n}


def run_control(ranks: Ranks, control: Control, folder: Path, seed: int) -> None:
    """Warm up, measure, improve, measure; rank 0 prints."""
    began = time.perf_counter()
    policy = VLAPolicy.from_preset("tiny", TOY_NORM_STATS, seed=seed)
    teaching = make_toy_env(control.toy, 64)
    noise = seeds.generator(seed, "demonstrations")
    ids = torch.randint(0, teaching.spec.num_episodes, (control.demonstrations,), generator=noise)
    episodes = demonstrate(teaching, ids, control.demonstrator, generator=noise)
    taught = sum(episode.success for episode in episodes) / len(episodes)
    data = Demonstrations(episodes)
    with open_run(folder / "sft", {"seed": seed}, ranks, resume=False) as run:
        train_sft(policy, data, replace(control.sft, seed=seed), run, ranks, spec=teaching.spec)
    warm_seconds = time.perf_counter() - began
    start = measure(policy, control, ranks)
    if ranks.is_main:
        print(f"demonstrator {taught:.0%}; warm-up {warm_seconds:.0f} s, then {show(start)}", flush=True)
    ppo = replace(control.ppo, seed=seed)
    env = make_toy_env(control.toy, ranks.share(ppo.worlds, "worlds"))
    with open_run(folder / "ppo", {"seed": seed}, ranks, resume=False) as run:
        summary = train_ppo(policy, env, ppo, run, ranks, provenance={"benchmark": "positive_control"})
        end = measure(policy, control, ranks)
        if ranks.is_main:
            report(control, run.journal.read(), start, end, taught, summary.env_steps, time.perf_counter() - began)


def show(measured: dict[str, Any]) -> str:
    low, high = measured["wilson95"]
    return (
        f"greedy {measured['rate']:.1%} [{low:.1%}, {high:.1%}] and sampled {measured['sampled']:.1%} "
        f"of {measured['n']} unseen episodes"
    )


def report(
    control: Control,
    journal: list[dict[str, Any]],
    start: dict[str, Any],
    end: dict[str, Any],
    taught: float,
    env_steps: int,
    seconds: float,
) -> None:
    """The curve, then one line of JSON."""
    every = max(1, len(journal) // 15)
    for record in [*journal[:-1:every], journal[-1]]:
        bar = "#" * round(40 * record["success_at_end"])
        print(f"{record['env_steps']:>8} steps  {record['success_at_end']:>4.0%} {bar}")
    print(f"PPO: {show(start)} -> {show(end)}")
    spent = {part: sum(record["seconds"][part] for record in journal) for part in ("world", "policy", "update")}
    total = sum(record["seconds"]["total"] for record in journal)
    line = {
        "benchmark": "positive_control",
        "task": control.toy.task,
        "demonstrator_success": round(taught, 4),
        "start": start,
        "end": end,
        "minutes": round(seconds / 60, 2),
        "env_steps": env_steps,
        "steps_per_second": round(env_steps / total, 1),
        "share_of_time": {part: round(value / total, 3) for part, value in spent.items()},
    }
    print(json.dumps(line), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", choices=sorted(CONTROLS), default="reach")
    parser.add_argument("--ranks", type=int, default=0, help="processes; 0: one per core, at most 4")
    parser.add_argument("--keep", type=Path, help="keep the runs in this new directory")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--iterations", type=int, default=0, help="PPO iterations; 0: the problem's own number")
    options = parser.parse_args()
    control = CONTROLS[options.task]
    if options.iterations:
        control = replace(control, ppo=replace(control.ppo, iterations=options.iterations))
    try:
        with tempfile.TemporaryDirectory(prefix="rlvla-control-") as folder:
            launch(run_control, (control, options.keep or Path(folder), options.seed), ranks=options.ranks)
    except RlvlaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
