"""`rlvla evaluate BUNDLE`: success rates with n and interval, a video, and a paired comparison with another bundle."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from rlvla.evaluation import (
    EvaluationSettings,
    bundle_names,
    check_bundle_exists,
    evaluate_bundle,
    write_comparison,
    write_result,
)
from rlvla_core.errors import RlvlaError
from rlvla_core.evaluation.report import compare, summary_table


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Measure the success rate of a policy bundle in simulation, with its 95 % interval, and compare two bundles.

    Reads the bundle; the simulated world is the one that its deploy.json describes. With --against, a second bundle
    runs the same episodes and the two are compared pair by pair. Writes result.json, result.md and episodes.mp4 into
    the folder --output, and with --against also comparison.json, comparison.md, paired.mp4 and sheet.png.
    """

    bundle: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="BUNDLE")]
    """Directory of the policy bundle, e.g. runs/demo/policy."""
    against: Path | None = None
    """Directory of a second bundle to compare with, e.g. the warm-up that PPO started from."""
    episodes: int = 128
    """Number of episodes."""
    episode_set: str = "train"
    """Set that the episodes are drawn from: `train`, `test` (objects and tables that training never shows), `single`
    (one object and one table), or one of the sixteen out-of-distribution tests (`rlvla study tests --help` lists
    them), e.g. `unseen-tables`."""
    temperature: float = 0.0
    """Sampling temperature of the action tokens; 0 = greedy."""
    video: int = 6
    """Number of episodes shown in the videos; 0 = no videos."""
    output: Path | None = None
    """Folder for the results; default: `evaluation` next to the bundle (next to its target, if it is a symbolic
    link)."""
    settings: Annotated[EvaluationSettings, tyro.conf.arg(name="")] = field(default_factory=EvaluationSettings)
    """Time limit, assets, seed and processes; their names have no prefix at the command line."""

    def run(self) -> int:
        """Evaluate, print, write; returns the exit code.

        Raises RlvlaError for a bundle that is missing, broken or of another world, and for numbers that are too small.
        """
        self._check()
        bundles = [self.bundle] if self.against is None else [self.against, self.bundle]
        names = bundle_names(bundles)
        results = [
            evaluate_bundle(
                bundle,
                self.settings,
                name=name,
                episode_set=self.episode_set,
                episodes=self.episodes,
                temperature=self.temperature,
                record=self.video,
            )
            for bundle, name in zip(bundles, names, strict=True)
        ]
        output = self.output or self.bundle.resolve().parent / "evaluation"
        write_result(output, names[-1], results[-1])
        console = Console()
        if self.against is None:
            console.print(summary_table([(names[0], results[0])]))
        else:
            comparison = compare(results[0], results[1], names=(names[0], names[1]))
            console.print(comparison.to_table())
            write_comparison(output, comparison)
        console.print(f"written to {output}", markup=False, highlight=False, soft_wrap=True)
        return 0

    def _check(self) -> None:
        check_bundle_exists(self.bundle)
        if self.against is not None:
            check_bundle_exists(self.against)
            if self.against.resolve() == self.bundle.resolve():
                raise RlvlaError(f"--against {self.against} is the same bundle: give another one")
        for option, value, least in (("--episodes", self.episodes, 1), ("--video", self.video, 0)):
            if value < least:
                raise RlvlaError(f"{option} {value}: use {least} or more")
