"""Compare PPO with the warm-up that it started from, on training episodes and on unseen positions and start poses.

    python experiments/ppo_vs_warmup.py --runs runs/ppo_vs_warmup [--seeds 0 1] [--ppo-minutes 130] [--sft 1000]

From the shipped base: 140 demonstrations, a short warm-up on them, then PPO for `--ppo-minutes`. Warm-up and PPO policy
play the same 256 episodes of the training grid, of unseen positions and of unseen start poses, greedy and at T = 0.6.
Policies of supervised learning on `--sft` demonstrations (one or more numbers) play them too. An interrupted call can
be repeated and goes on; in the folder of a study with the same trainings it only compares. Every comparison prints its
table; the last line is JSON. Measured results: docs/results/ppo.md.

Stopping rule: PPO stops after the minutes that were fixed before the start, and nothing is selected by looking at these
episodes.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from policy_comparison import comparison_stage, results
from rich.console import Console

from rlvla.commands.train_sft import TrainSft
from rlvla.recipe import WORLD, sft_recipe
from rlvla.stages import Stage, StageChain
from rlvla.study import StudyDesign, demonstration_stage, demonstrations, policies, training_stage
from rlvla_core.errors import RlvlaError

SETS = ("train", "unseen-positions", "unseen-start-pose")
TEMPERATURES = (0.0, 0.6)


def comparisons(folder: Path, name: str, warmup: str, sets: Sequence[str]) -> list[Stage]:
    """Stages that compare the policies of stages `name` and `warmup`, one for each episode set and temperature."""
    return [
        comparison_stage(
            folder,
            name,
            warmup,
            name=f"{name}-{episode_set}-T{temperature:g}",
            episode_set=episode_set,
            temperature=temperature,
            video=4,
        )
        for episode_set in sets
        for temperature in TEMPERATURES
    ]


def chain(folder: Path, seeds: list[int], ppo_minutes: float, sft: list[int], sets: Sequence[str] = SETS) -> StageChain:
    """All stages in order; the trainings equal those of a study."""
    design = StudyDesign(directory=folder, seeds=tuple(seeds), methods=("ppo",), sft=(), rl_minutes=ppo_minutes)
    stages = demonstrations(design)
    for policy in policies(design):
        stages.append(training_stage(policy))
        if policy.method == "ppo":
            stages += comparisons(folder, policy.name, f"warm-up-{policy.seed}", sets)
    for count in sft:
        data, run = demonstration_stage(folder, count, WORLD), folder / f"sft-{count}"
        command = TrainSft(data=folder / data.name, directory=run, sft=sft_recipe(seeds[0]))
        training = Stage(
            name=run.name,
            purpose=f"supervised learning on {count} demonstrations",
            command=command,
            output=run / "policy" / "config.json",
            minutes=command.sft.minutes,
            needs=(data.name,),
        )
        stages += [data, training, *comparisons(folder, run.name, f"warm-up-{seeds[0]}", sets)]
    return StageChain(stages=stages, records=folder / "stages", hint="choose another --runs")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--runs", type=Path, default=Path("runs/ppo_vs_warmup"), help="folder for everything that this script writes"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1], help="training seeds")
    parser.add_argument("--ppo-minutes", type=float, default=130.0, help="minutes of each PPO run")
    parser.add_argument("--sft", type=int, nargs="*", default=[1000], help="demonstrations of each supervised policy")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS, help="episode sets to compare on")
    given = parser.parse_args()
    console = Console(soft_wrap=True)
    stages = chain(given.runs, given.seeds, given.ppo_minutes, given.sft, given.sets)
    try:
        console.print("\n".join(stages.plan()), markup=False, highlight=False)
        stages.run(console)
    except RlvlaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(
        json.dumps(
            {"experiment": "ppo_vs_warmup", "minutes": stages.minutes_taken(), "results": results(stages.stages)}
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
