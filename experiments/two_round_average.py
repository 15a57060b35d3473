"""Train past 90 %: a warm-up on 1,000 demonstrations, PPO, then rounds of two PPO runs whose weights are averaged.

    python experiments/two_round_average.py [--runs runs/two_round_average] [--updates 88 55 39]

From the shipped base: 1,000 demonstrations and a warm-up of 12 minutes on them with labels of 12 bins. Then the PPO
recipe for the first number of `--updates`. Then a round for every further number: two PPO runs of so many updates from
the same policy with different seeds, and the average of their weights (`rlvla merge`), where the next round starts. The
last average and the warm-up play three episode lists of the training grid, unseen positions and unseen start poses,
greedy and at T = 0.6. An interrupted call can be repeated and goes on. Prints a Markdown table and one line of JSON.
Measured results: docs/results/past-90.md.

Stopping rule: the updates are fixed before the start, and nothing is selected by looking at these episodes.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from policy_comparison import EPISODES, comparison_stage, results
from rich.console import Console

from rlvla.commands.merge import Merge
from rlvla.commands.train_ppo import TrainPpo
from rlvla.commands.train_sft import TrainSft
from rlvla.recipe import EVALUATION_SEED, WORLD, ppo_recipe, warmup_recipe
from rlvla.stages import Stage, StageChain
from rlvla.study import demonstration_stage
from rlvla_core.errors import RlvlaError
from rlvla_core.evaluation.report import format_difference, format_p, format_rate

WARM_UP = "warm-up"
"""Name of the stage that trains the warm-up."""
SEEDS = (11, 21, 22, 23, 24, 25, 26, 27, 28)
"""Seeds of the PPO runs: the first run's, then two for each round."""
LISTS = (("train", EVALUATION_SEED), ("train", 999), ("train", 777))
SHIFTS = (("unseen-positions", EVALUATION_SEED), ("unseen-start-pose", EVALUATION_SEED))
TEMPERATURES = (0.0, 0.6)


def warmup_stages(folder: Path, demonstrations: int, minutes: float) -> list[Stage]:
    """Stages of the warm-up: demonstrations, and supervised learning with wide labels, jitter and weight decay."""
    data = demonstration_stage(folder, demonstrations, WORLD)
    recipe = replace(warmup_recipe(1), minutes=minutes, colour_jitter=0.3, weight_decay=0.1)
    command = TrainSft(data=folder / data.name, directory=folder / WARM_UP, sft=recipe)
    purpose = f"supervised learning, labels of {recipe.label_sigma:g} bins"
    return [data, trained(command, purpose, minutes, data.name)]


def ppo_stage(folder: Path, name: str, start: str, seed: int, updates: int, average_fraction: float) -> Stage:
    """A stage of `updates` PPO updates of the recipe, from the policy of stage `start`."""
    recipe = replace(ppo_recipe(seed, minutes=0.0), iterations=updates, average_fraction=average_fraction)
    command = TrainPpo(policy=str(folder / start / "policy"), directory=folder / name, sim=WORLD, ppo=recipe)
    return trained(command, f"{updates} updates of PPO from {start}", 0.55 * updates, start)


def trained(command: TrainSft | TrainPpo, purpose: str, minutes: float, start: str) -> Stage:
    """The stage that runs the training `command`, after stage `start`."""
    name, output = command.directory.name, command.directory / "policy" / "config.json"
    return Stage(name=name, purpose=purpose, command=command, output=output, minutes=minutes, needs=(start,))


def round_stages(folder: Path, number: int, start: str, updates: int) -> list[Stage]:
    """Stages of one round: two PPO runs from the policy of stage `start`, and their average, named `round-<number>`.

    Late in training most of an update is noise, which differs between two runs: averaging reduces it and keeps what
    both runs learned."""
    name = f"round-{number}"
    seeds = SEEDS[2 * number - 1 : 2 * number + 1]
    runs = [ppo_stage(folder, f"{name}-seed-{seed}", start, seed, updates, average_fraction=0.5) for seed in seeds]
    bundles = tuple(folder / run.name / "policy" for run in runs)
    mean = Stage(
        name=name,
        purpose="average of the two runs",
        command=Merge(bundles=bundles, output=folder / name / "policy"),
        output=folder / name / "policy" / "config.json",
        minutes=0.1,
        needs=tuple(run.name for run in runs),
    )
    return [*runs, mean]


def chain(folder: Path, updates: Sequence[int], demonstrations: int, sft_minutes: float, episodes: int) -> StageChain:
    """All stages in order."""
    stages = warmup_stages(folder, demonstrations, sft_minutes)
    stages.append(ppo_stage(folder, "ppo", WARM_UP, SEEDS[0], updates[0], average_fraction=0.25))
    for number, count in enumerate(updates[1:], start=1):
        stages += round_stages(folder, number, stages[-1].name, count)
    best = stages[-1].name
    stages += [
        comparison_stage(
            folder,
            best,
            WARM_UP,
            name=f"{best}-{episode_set}-{seed}-T{temperature:g}",
            episode_set=episode_set,
            temperature=temperature,
            seed=seed,
            episodes=episodes,
        )
        for episode_set, seed in (*LISTS, *SHIFTS)
        for temperature in TEMPERATURES
    ]
    return StageChain(stages=stages, records=folder / "stages", hint="choose another --runs")


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """Markdown table of the comparisons, and the success rate over all lists of the training grid."""
    head = ("episodes", "list", "T", "metric", "warm-up", "last average", "difference", "p")
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for row in rows:
        for metric in ("success_at_end", "success_once"):
            found = row["comparison"][metric]
            cells = (
                row["set"],
                row["seed"],
                row["T"],
                metric.replace("_", " "),
                format_rate(found["before"]["successes"], found["n"]),
                format_rate(found["after"]["successes"], found["n"]),
                format_difference(found["difference"], *found["difference95"]),
                format_p(found["mcnemar_p"]),
            )
            lines.append(f"| {' | '.join(map(str, cells))} |")
    for temperature in TEMPERATURES:
        for metric in ("success_at_end", "success_once"):
            found = [row["comparison"][metric] for row in rows if (row["set"], row["T"]) == ("train", temperature)]
            successes, n = sum(each["after"]["successes"] for each in found), sum(each["n"] for each in found)
            lines.append(f"\nAll lists, T = {temperature:g}, {metric.replace('_', ' ')}: {format_rate(successes, n)}")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--runs",
        type=Path,
        default=Path("runs/two_round_average"),
        help="folder for everything that this script writes",
    )
    parser.add_argument(
        "--updates", type=int, nargs="+", default=[88, 55, 39], help="PPO updates: first run, then each round"
    )
    parser.add_argument("--demonstrations", type=int, default=1000, help="number of demonstrations of the warm-up")
    parser.add_argument("--sft-minutes", type=float, default=12.0, help="minutes of the warm-up")
    parser.add_argument("--episodes", type=int, default=EPISODES, help="episodes of each comparison")
    given = parser.parse_args()
    console = Console(soft_wrap=True)
    try:
        if len(given.updates) > (most := 1 + len(SEEDS) // 2):
            raise RlvlaError(f"--updates has {len(given.updates)} numbers: give {most} at most")
        stages = chain(given.runs, given.updates, given.demonstrations, given.sft_minutes, given.episodes)
        console.print("\n".join(stages.plan()), markup=False, highlight=False)
        stages.run(console)
    except RlvlaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    rows = results(stages.stages)
    print(markdown(rows))
    print(json.dumps({"experiment": "two_round_average", "minutes": stages.minutes_taken(), "results": rows}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
