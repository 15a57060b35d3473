"""Does PPO lift a warmed-up `tiny` by a wide margin, and does that carry over to starts that it never met?

    python benchmarks/win.py --runs runs/win [--seeds 0 1] [--ppo-minutes 130] [--sft 1000]

From the shipped base: 140 demonstrations, a short warm-up, PPO for so many minutes; then warm-up and PPO meet the same
256 episodes of the training grid, of unseen positions and of unseen start poses, greedy and at T = 0.6. Supervised
learning on `--sft` demonstrations (several numbers may be given) meets them too. Interrupted anywhere, the same call
goes on. Every comparison prints its table; the last line is one of JSON.

Stopping rule, fixed before any run: PPO stops after its minutes, whatever the curve does; nothing is selected by
looking at these episodes.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from rlvla.commands.evaluate import Evaluate
from rlvla.commands.train_ppo import TrainPpo
from rlvla.commands.train_sft import TrainSft
from rlvla.recipe import DEMONSTRATIONS, EVALUATION_SEED, WORLD, ppo_recipe, sft_recipe, warmup_recipe
from rlvla.stages import Chain, Stage
from rlvla.study import demonstration_stage
from rlvla_core.errors import RlvlaError

EPISODES = 256
SETS = ("train", "unseen-positions", "unseen-start-pose")
TEMPERATURES = (0.0, 0.6)


def comparisons(folder: Path, name: str, bundle: Path, against: Path) -> list[Stage]:
    """`bundle` against `against` on the same episodes of each set, at each temperature."""
    stages = []
    for episode_set in SETS:
        for temperature in TEMPERATURES:
            output = folder / f"{name}-{episode_set}-T{temperature:g}"
            command = Evaluate(
                bundle=bundle,
                against=against,
                episodes=EPISODES,
                episode_set=episode_set,  # type: ignore[arg-type]
                temperature=temperature,
                seed=EVALUATION_SEED,
                max_steps=WORLD.max_steps,
                video=4,
                output=output,
            )
            purpose = f"{name} on {episode_set}, T = {temperature:g}"
            file = output / "comparison.json"
            stages.append(Stage(name=output.name, purpose=purpose, command=command, output=file, minutes=1.5))
    return stages


def chain(folder: Path, seeds: list[int], ppo_minutes: float, sft: list[int]) -> Chain:
    """Every stage, in order."""
    stages = [demonstration_stage(folder, DEMONSTRATIONS, WORLD)]
    warmups = {}
    for seed in seeds:
        warmup, ppo = folder / f"warm-up-{seed}", folder / f"ppo-{seed}"
        warmups[seed] = warmup / "policy"
        stages += [
            Stage(
                name=warmup.name,
                purpose="a short imitation of 140 demonstrations",
                command=TrainSft(
                    data=folder / f"demonstrations-{DEMONSTRATIONS}", directory=warmup, sft=warmup_recipe(seed)
                ),
                output=warmup / "policy" / "config.json",
                minutes=warmup_recipe(seed).minutes,
            ),
            Stage(
                name=ppo.name,
                purpose="PPO from there",
                command=TrainPpo(
                    policy=str(warmup / "policy"), directory=ppo, sim=WORLD, ppo=ppo_recipe(seed, ppo_minutes)
                ),
                output=ppo / "policy" / "config.json",
                minutes=ppo_minutes,
            ),
            *comparisons(folder, f"ppo-{seed}", ppo / "policy", warmup / "policy"),
        ]
    for count in sft:
        run = folder / f"sft-{count}"
        command = TrainSft(data=folder / f"demonstrations-{count}", directory=run, sft=sft_recipe(seeds[0]))
        output = run / "policy" / "config.json"
        purpose = f"supervised learning on {count} demonstrations"
        stages += [
            demonstration_stage(folder, count, WORLD),
            Stage(name=run.name, purpose=purpose, command=command, output=output, minutes=command.sft.minutes),
            *comparisons(folder, run.name, run / "policy", warmups[seeds[0]]),
        ]
    return Chain(stages=stages, records=folder / "stages")


def results(folder: Path, names: list[str]) -> list[dict[str, Any]]:
    """One row a comparison."""
    rows = []
    for name in names:
        for episode_set in SETS:
            for temperature in TEMPERATURES:
                path = folder / f"{name}-{episode_set}-T{temperature:g}" / "comparison.json"
                rows.append(
                    {"policy": name, "set": episode_set, "T": temperature, "comparison": json.loads(path.read_text())}
                )
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=Path, default=Path("runs/win"), help="folder of this benchmark")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1], help="training seeds")
    parser.add_argument("--ppo-minutes", type=float, default=130.0, help="of each PPO run")
    parser.add_argument("--sft", type=int, nargs="*", default=[1000], help="demonstrations of the supervised rivals")
    given = parser.parse_args()
    console = Console(soft_wrap=True)
    stages = chain(given.runs, given.seeds, given.ppo_minutes, given.sft)
    try:
        console.print("\n".join(stages.plan()), markup=False, highlight=False)
        stages.run(console)
    except RlvlaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    names = [*(f"ppo-{seed}" for seed in given.seeds), *(f"sft-{count}" for count in given.sft)]
    print(json.dumps({"benchmark": "win", "minutes": stages.minutes_taken(), "results": results(given.runs, names)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
