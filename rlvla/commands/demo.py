"""`rlvla demo`: every step on a small scale, from demonstrations to a policy that PPO has improved."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.markdown import Markdown

from rlvla.commands.collect import Collect
from rlvla.commands.doctor import first_broken
from rlvla.commands.evaluate import Evaluate
from rlvla.commands.train_ppo import TrainPpo
from rlvla.commands.train_sft import TrainSft
from rlvla.evaluation import EvaluationSettings
from rlvla.recipe import DEMONSTRATIONS, WORLD, ppo_recipe, warmup_recipe
from rlvla.stages import Stage, StageChain
from rlvla_core.errors import RlvlaError
from rlvla_core.runs import RunDirectory
from rlvla_core.runs.plots import SFT_PANELS, plot_learning_curves
from rlvla_core.storage.atomic import replace_file

FRACTIONS = {"demonstrations": 0.02, "warm-up": 0.11, "ppo": 0.70, "evaluation": 0.09}
"""Fraction of the demo's minutes that each stage may take; the rest is for starting simulators and checking bundles."""
POLICY = "policy"
"""Name of the finished policy in the demo's folder, as the documentation calls it: runs/demo/policy."""


@dataclass(frozen=True, kw_only=True)
class Demo:
    """Run every step on a small scale: demonstrations, supervised warm-up, PPO, and a comparison of before and after.

    Reads only the shipped base policy. Writes everything into the folder RUNS/NAME: the dataset, both runs, report.md,
    learning curves, videos, and the finished policy as `policy`. Started again, it continues where it was interrupted.
    """

    minutes: float = 18.0
    """Minutes for all steps together on 2 cores; more minutes mean more demonstrations, training and test episodes."""
    name: str = "demo"
    """Name of the demo's folder inside --runs."""
    runs: Path = Path("runs")
    """Folder that contains the demo's folder."""
    seed: int = 0
    """Seed of demonstrations, training and test episodes."""
    fresh: bool = False
    """Delete the folder of an earlier demo with this name, and start over."""

    def run(self) -> int:
        """Check the machine, print the plan, run the stages, print report and files; returns the exit code."""
        if self.minutes < 0.5:
            raise RlvlaError(f"--minutes {self.minutes:g}: give at least 0.5; improvement is visible from 18")
        console = Console(soft_wrap=True)
        folder = self.runs / self.name
        chain = self.chain(folder)
        if self.fresh:
            delete(folder, chain)
        chain.check()
        if finding := first_broken():
            raise RlvlaError(f"{finding.subject} does not work here: {finding.detail}; to repair it: {finding.hint}")
        console.print(f"The demo `{self.name}`, in {folder.resolve()}:", highlight=False)
        console.print("\n".join(chain.plan()), markup=False, highlight=False)
        chain.run(console)
        policy = publish(folder / "ppo" / "policy", folder / POLICY)
        curves = plot_curves(folder)
        report = write_demo_report(folder, chain)
        console.print()
        console.print(Markdown(report.read_text(encoding="utf-8")))
        evaluation = folder / "evaluation"
        files = [report, *curves, evaluation / "paired.mp4", evaluation / "sheet.png", evaluation / "comparison.json"]
        for path in [*files, folder / "warm-up" / "policy", policy]:
            console.print(f"  {path.absolute()}", markup=False, highlight=False)
        return 0

    def chain(self, folder: Path) -> StageChain:
        """The stages of the demo in `folder`, sized for --minutes."""
        minutes = {name: fraction * self.minutes for name, fraction in FRACTIONS.items()}
        demonstrations, warmup, ppo = (folder / name for name in ("demonstrations", "warm-up", "ppo"))
        num_envs = 4 * max(1, min(32, round(1.8 * self.minutes)))
        stages = [
            Stage(
                name="demonstrations",
                purpose="record demonstrations of the scripted expert",
                command=Collect(
                    directory=demonstrations,
                    episodes=min(DEMONSTRATIONS, round(8 * self.minutes)),
                    sim=WORLD,
                    seed=self.seed,
                ),
                output=demonstrations / "meta" / "info.json",
                minutes=minutes["demonstrations"],
                appears_complete=True,
            ),
            Stage(
                name="warm-up",
                purpose="train the shipped base policy on them",
                command=TrainSft(
                    data=demonstrations,
                    directory=warmup,
                    sft=replace(warmup_recipe(self.seed), minutes=minutes["warm-up"]),
                ),
                output=warmup / "policy" / "config.json",
                minutes=minutes["warm-up"],
            ),
            Stage(
                name="ppo",
                purpose="fine-tune it by reinforcement learning",
                command=TrainPpo(
                    policy=str(warmup / "policy"),
                    directory=ppo,
                    sim=WORLD,
                    ppo=ppo_recipe(self.seed, minutes["ppo"], num_envs=num_envs),
                ),
                output=ppo / "policy" / "config.json",
                minutes=minutes["ppo"],
            ),
            Stage(
                name="evaluation",
                purpose="compare both policies on the same episodes",
                command=Evaluate(
                    bundle=ppo / "policy",
                    against=warmup / "policy",
                    episodes=max(8, round(14 * self.minutes)),
                    output=folder / "evaluation",
                    settings=EvaluationSettings(seed=self.seed + 1, max_steps=WORLD.max_steps),
                ),
                output=folder / "evaluation" / "comparison.json",
                minutes=minutes["evaluation"],
            ),
        ]
        return StageChain(stages=stages, records=folder / "stages")


def publish(bundle: Path, link: Path) -> Path:
    """Make `link` a symbolic link to `bundle`, replaced in one step; returns `link`."""
    temporary = link.with_name(f".{link.name}.tmp")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(bundle.relative_to(link.parent), target_is_directory=True)
    temporary.replace(link)
    return link


def delete(folder: Path, chain: StageChain) -> None:
    """Delete the folder of an earlier demo. Raises RlvlaError if it holds anything that is not from a demo."""
    if not folder.exists():
        return
    own = {stage.name for stage in chain.stages} | {"demonstrations.parts", "stages", "plots", "report.md", POLICY}
    strange = sorted(entry.name for entry in folder.iterdir() if entry.name not in own and entry.name[0] != ".")
    if strange:
        raise RlvlaError(f"{folder} also holds `{strange[0]}`, which is not the demo's: delete the folder yourself")
    shutil.rmtree(folder)


def plot_curves(folder: Path) -> list[Path]:
    """Draw the learning curves of warm-up and PPO; returns the paths of the images."""
    warmup, ppo = (RunDirectory.open_read_only(folder / name).journal.read() for name in ("warm-up", "ppo"))
    steps = (("iteration", "optimiser steps"), ("minutes", "wall minutes"))
    plots = folder / "plots"
    return [
        plot_learning_curves(warmup, plots / "warm-up.png", title="warm-up", panels=SFT_PANELS, x_keys=steps),
        plot_learning_curves(ppo, plots / "ppo.png", title="PPO"),
    ]


def write_demo_report(folder: Path, chain: StageChain) -> Path:
    """Write report.md with the comparison and the minutes of each stage; returns its path."""
    taken = ", ".join(f"{name} {minutes:.1f} min" for name, minutes in chain.minutes_taken().items())
    lines = [
        "# PPO against its warm-up, on the same episodes",
        "",
        (folder / "evaluation" / "comparison.md").read_text(encoding="utf-8").rstrip(),
        "",
        f"Time: {taken}.",
        "",
    ]
    replace_file(folder / "report.md", "\n".join(lines).encode())
    return folder / "report.md"
