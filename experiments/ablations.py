"""Ablations of the PPO recipe: one option changed at a time, everything else as in `rlvla study`.

    python experiments/ablations.py [VARIANT ...] [--runs runs/ablations] [--seeds 0 1] [--updates 20]

For each training seed: a warm-up (supervised learning on 140 demonstrations), `--updates` PPO updates of the recipe,
and as many updates of every variant from the same warm-up. Then the recipe is compared with its warm-up, and each
variant with the recipe, on the same 256 episodes of the training grid, greedy. The number of updates is fixed, not the
minutes, so that variants are compared after equally many episodes; the table also shows the minutes. The rollouts of
`early-end` count success once and those of `low-temperature` are sampled at another temperature, so compare these two
variants only by their greedy success rate. An interrupted call can be repeated and goes on; a call with more variants
or seeds adds them. Prints a Markdown table and one line of JSON. Measured results: docs/results/ablations.md.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import mean
from typing import Any

from policy_comparison import comparison_stage
from rich.console import Console

from rlvla.commands.train_ppo import TrainPpo
from rlvla.commands.train_sft import TrainSft
from rlvla.recipe import DEMONSTRATIONS, WORLD, ppo_recipe, warmup_recipe
from rlvla.stages import Stage, StageChain
from rlvla.study import demonstration_stage
from rlvla_core.errors import RlvlaError
from rlvla_core.evaluation.report import format_difference, format_p, format_rate
from rlvla_core.runs import RunDirectory

RECIPE = "recipe"
"""Name of the variant that changes nothing; all others are compared with it."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One change to the PPO recipe."""

    change: str
    """Description of the change, printed in the table."""
    ppo: Mapping[str, Any] = field(default_factory=dict)
    """PPO options that differ from the recipe's."""
    sim: Mapping[str, Any] = field(default_factory=dict)
    """Options of the training world that differ from the recipe's; the comparison always uses the recipe's world."""
    label_sigma: float = warmup_recipe(0).label_sigma
    """Standard deviation of the warm-up's smoothed action labels, in bins."""


VARIANTS = {
    RECIPE: Variant(change="the recipe"),
    "shared-critic": Variant(change="critic on the backbone instead of simulator state", ppo={"critic": "shared"}),
    "early-end": Variant(change="episodes end at success", sim={"end_on_success": True}),
    "low-rate": Variant(change="lr 5e-5 instead of 1.5e-4", ppo={"lr": 5e-5}),
    "low-temperature": Variant(change="rollouts sampled at T = 0.6 instead of 1", ppo={"temperature": 0.6}),
    "short-lambda": Variant(change="lambda 0.8 instead of 0.95", ppo={"lam": 0.8}),
    "narrow-labels": Variant(change="warm-up with labels of sigma 4 instead of 12 bins", label_sigma=4.0),
}


def training_stages(folder: Path, variant: str, seed: int, updates: int) -> list[Stage]:
    """Stages that train `variant`: demonstrations, warm-up (shared by variants of equal seed and label width), PPO."""
    changed, data = VARIANTS[variant], demonstration_stage(folder, DEMONSTRATIONS, WORLD)
    recipe = replace(warmup_recipe(seed), label_sigma=changed.label_sigma)
    warmup = TrainSft(data=folder / data.name, directory=folder / warmup_name(variant, seed), sft=recipe)
    ppo = replace(ppo_recipe(seed, minutes=0.0), iterations=updates, **changed.ppo)
    start = str(warmup.directory / "policy")
    run = TrainPpo(policy=start, directory=folder / f"{variant}-{seed}", sim=replace(WORLD, **changed.sim), ppo=ppo)
    return [
        data,
        Stage(
            name=warmup.directory.name,
            purpose=f"a short imitation, labels of {changed.label_sigma:g} bins",
            command=warmup,
            output=warmup.directory / "policy" / "config.json",
            minutes=recipe.minutes,
            needs=(data.name,),
        ),
        Stage(
            name=run.directory.name,
            purpose=f"{updates} updates: {changed.change}",
            command=run,
            output=run.directory / "policy" / "config.json",
            minutes=0.5 * updates,
            needs=(warmup.directory.name,),
        ),
    ]


def warmup_name(variant: str, seed: int) -> str:
    """Name of the warm-up stage that `variant` starts from."""
    return f"warm-up-{VARIANTS[variant].label_sigma:g}-{seed}"


def reference(variant: str, seed: int) -> str:
    """Name of the stage that `variant` is compared with: the recipe, or for the recipe itself its warm-up."""
    return warmup_name(variant, seed) if variant == RECIPE else f"{RECIPE}-{seed}"


def compared_stage(folder: Path, variant: str, seed: int) -> Stage:
    """The stage that plays `variant` and its reference on the same episodes, greedy."""
    after, before = f"{variant}-{seed}", reference(variant, seed)
    return comparison_stage(folder, after, before, name=f"{after}-against-{before}")


def chain(folder: Path, variants: Sequence[str], seeds: Sequence[int], updates: int) -> StageChain:
    """All stages in order: the recipe first, then each variant with all its seeds."""
    stages: dict[str, Stage] = {}
    for variant in dict.fromkeys((RECIPE, *variants)):
        for seed in seeds:
            found = training_stages(folder, variant, seed, updates)
            for stage in (*found, compared_stage(folder, variant, seed)):
                stages.setdefault(stage.name, stage)
    return StageChain(stages=list(stages.values()), records=folder / "stages", hint="choose another --runs")


def result(folder: Path, variant: str, seed: int) -> dict[str, Any]:
    """One row of the table: rollout success in the second half of the run, cost, and the paired comparison."""
    updates = RunDirectory.open_read_only(folder / f"{variant}-{seed}").journal.read()
    late = updates[len(updates) // 2 :]
    comparison = folder / f"{variant}-{seed}-against-{reference(variant, seed)}" / "comparison.json"
    return {
        "variant": variant,
        "seed": seed,
        "updates": len(updates),
        "env_steps": updates[-1]["env_steps"],
        "minutes": round(sum(update["seconds"]["total"] for update in updates) / 60, 1),
        "first_rollout": updates[0]["success_at_end"],
        "late_rollouts": round(mean(update["success_at_end"] for update in late), 4),
        "late_episodes": sum(update["episodes"] for update in late),
        "kl": round(mean(update["kl"] for update in late), 4),
        "comparison": json.loads(comparison.read_text(encoding="utf-8")),
    }


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown table of `rows`, one row for each variant and seed."""
    head = ("variant", "seed", "steps, minutes", "rollouts, second half", "KL", "greedy", "against", "difference", "p")
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for row in rows:
        found = row["comparison"]["success_at_end"]
        late, episodes = row["late_rollouts"], row["late_episodes"]
        cells = (
            VARIANTS[row["variant"]].change,
            row["seed"],
            f"{row['env_steps']:,}, {row['minutes']}",
            format_rate(round(late * episodes), episodes),
            f"{row['kl']:.3f}",
            format_rate(found["after"]["successes"], found["n"]),
            format_rate(found["before"]["successes"], found["n"]),
            format_difference(found["difference"], *found["difference95"]),
            format_p(found["mcnemar_p"]),
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("variants", nargs="*", help=f"variants to run, from {', '.join(VARIANTS)}; default: all")
    parser.add_argument(
        "--runs", type=Path, default=Path("runs/ablations"), help="folder for everything that this script writes"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1], help="training seeds")
    parser.add_argument("--updates", type=int, default=20, help="PPO updates of each run, of 128 episodes each")
    given = parser.parse_args()
    console = Console(soft_wrap=True)
    try:
        if unknown := [name for name in given.variants if name not in VARIANTS]:
            raise RlvlaError(f"there is no variant {unknown[0]!r}: choose from {', '.join(VARIANTS)}")
        variants = given.variants or list(VARIANTS)
        stages = chain(given.runs, variants, given.seeds, given.updates)
        console.print("\n".join(stages.plan()), markup=False, highlight=False)
        stages.run(console)
    except RlvlaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    rows = [result(given.runs, name, seed) for name in dict.fromkeys((RECIPE, *variants)) for seed in given.seeds]
    print(markdown(rows))
    print(json.dumps({"experiment": "ablations", "results": rows}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
