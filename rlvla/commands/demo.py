"""`rlvla demo`: the whole way, from demonstrations to a policy that reinforcement learning has improved."""

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
from rlvla.recipe import DEMONSTRATIONS, WORLD, ppo_recipe, warmup_recipe
from rlvla.stages import Chain, Stage
from rlvla_core.errors import RlvlaError
from rlvla_core.runs import RunDirectory
from rlvla_core.runs.plots import SFT_PANELS, plot_learning_curves
from rlvla_core.storage.atomic import replace_file

SHARES = {"demonstrations": 0.02, "warm-up": 0.11, "ppo": 0.70, "evaluation": 0.09}
"""Part of the minutes that each stage is meant to take; the rest goes into starting worlds and checking bundles."""
POLICY = "policy"
"""Name of the finished policy in the demo's folder: what the documentation calls runs/demo/policy."""


@dataclass(frozen=True, kw_only=True)
class Demo:
    """Collects demonstrations, warms a tiny policy up, improves it by PPO, and compares before and after.

    Everything lies in one folder. Started again after an interruption, it goes on where it was.
    """

    minutes: float = 18.0
    """Time for all stages together, on 2 cores; more minutes mean more demonstrations, learning and test episodes."""
    name: str = "demo"
    """Folder under `--runs`."""
    runs: Path = Path("runs")
    """Where runs are kept."""
    seed: int = 0
    """Of demonstrations, weights, learning and test episodes."""
    fresh: bool = False
    """Delete what an earlier demo of this name left, and start over."""

    def run(self) -> int:
        """Check the machine, print the plan, run the stages, end with the table and the files."""
        if self.minutes < 0.5:
            raise RlvlaError(f"--minutes {self.minutes:g}: give at least 0.5; 18 show something")
        console = Console(soft_wrap=True)
        folder = self.runs / self.name
        chain = self.chain(folder)
        if self.fresh:
            delete(folder, chain)
        chain.check()
        if finding := first_broken():
            raise RlvlaError(f"{finding.subject} does not work here: {finding.detail}; way out: {finding.hint}")
        console.print(f"The demo `{self.name}`, in {folder.resolve()}:", highlight=False)
        console.print("\n".join(chain.plan()), markup=False, highlight=False)
        chain.run(console)
        policy = publish(folder / "ppo" / "policy", folder / POLICY)
        curves = plot(folder)
        report = write_report(folder, chain)
        console.print()
        console.print(Markdown(report.read_text()))
        evaluation = folder / "evaluation"
        files = [report, *curves, evaluation / "paired.mp4", evaluation / "sheet.png", evaluation / "comparison.json"]
        for path in [*files, folder / "warm-up" / "policy", policy]:
            console.print(f"  {path.absolute()}", markup=False, highlight=False)
        return 0

    def chain(self, folder: Path) -> Chain:
        """The recipe: what each stage does, for this many minutes."""
        minutes = {name: share * self.minutes for name, share in SHARES.items()}
        demonstrations, warmup, ppo = (folder / name for name in ("demonstrations", "warm-up", "ppo"))
        num_envs = 4 * max(1, min(32, round(1.8 * self.minutes)))
        stages = [
            Stage(
                name="demonstrations",
                purpose="the scripted expert shows the task",
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
                purpose="the pretrained tiny policy imitates them",
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
                purpose="it improves by trying",
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
                purpose="both policies meet the same episodes",
                command=Evaluate(
                    bundle=ppo / "policy",
                    against=warmup / "policy",
                    episodes=max(8, round(14 * self.minutes)),
                    seed=self.seed + 1,
                    max_steps=WORLD.max_steps,
                    output=folder / "evaluation",
                ),
                output=folder / "evaluation" / "comparison.json",
                minutes=minutes["evaluation"],
            ),
        ]
        return Chain(stages=stages, records=folder / "stages")


def publish(bundle: Path, link: Path) -> Path:
    """Give the demo's result a name that does not tell how it was made: a link, replaced in one step."""
    temporary = link.with_name(f".{link.name}.tmp")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(bundle.relative_to(link.parent), target_is_directory=True)
    temporary.replace(link)
    return link


def delete(folder: Path, chain: Chain) -> None:
    """Remove an earlier demo; raises RlvlaError for a folder with anything that is not a demo's."""
    if not folder.exists():
        return
    own = {stage.name for stage in chain.stages} | {"demonstrations.parts", "stages", "plots", "report.md", POLICY}
    strange = sorted(entry.name for entry in folder.iterdir() if entry.name not in own and entry.name[0] != ".")
    if strange:
        raise RlvlaError(f"{folder} also holds `{strange[0]}`, which is not the demo's: delete the folder yourself")
    shutil.rmtree(folder)


def plot(folder: Path) -> list[Path]:
    """The learning curves of both trainings."""
    warmup, ppo = (RunDirectory.open_read_only(folder / name).journal.read() for name in ("warm-up", "ppo"))
    steps = (("iteration", "optimiser steps"), ("minutes", "wall minutes"))
    plots = folder / "plots"
    return [
        plot_learning_curves(warmup, plots / "warm-up.png", title="warm-up", panels=SFT_PANELS, x_keys=steps),
        plot_learning_curves(ppo, plots / "ppo.png", title="PPO"),
    ]


def write_report(folder: Path, chain: Chain) -> Path:
    """report.md: the comparison and what it took."""
    taken = ", ".join(f"{name} {minutes:.1f} min" for name, minutes in chain.minutes_taken().items())
    lines = [
        "# PPO against its warm-up, on the same episodes",
        "",
        (folder / "evaluation" / "comparison.md").read_text().rstrip(),
        "",
        f"Time: {taken}.",
        "",
    ]
    replace_file(folder / "report.md", "\n".join(lines).encode())
    return folder / "report.md"
