"""`rlvla study tests BUNDLE`: the sixteen out-of-distribution tests of one policy, on their fixed episodes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro
from rich import box
from rich.console import Console
from rich.table import Table

from rlvla.evaluation import EvaluationSettings, check_bundle_exists, evaluate_list
from rlvla_core.errors import RlvlaError
from rlvla_core.evaluation.pool import EvaluationPool
from rlvla_core.evaluation.report import format_acting, format_rate
from rlvla_core.evaluation.study import TestRecord, WorldKey, read_record, record_path, write_record
from rlvla_core.policy.bundle import identity, load_deploy
from rlvla_core.runs.progress import Progress
from rlvla_sim.ood_episodes import ood_episodes
from rlvla_sim.shifts import Shift, shifts


@dataclass(frozen=True, kw_only=True)
class StudyTests:
    """Measure the success rate of a policy bundle in the sixteen out-of-distribution tests of the RL4VLA paper.

    Reads the bundle; each test has its own fixed list of episodes, in the world that the bundle's deploy.json
    describes. Writes one JSON file per test and temperature and prints the table. Started again, it only runs what is
    missing, unless the bundle has changed in between.
    """

    bundle: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="BUNDLE")]
    """Directory of the policy bundle, e.g. runs/demo/policy."""
    directory: Path = Path("runs/tests")
    """Folder for the results, which go to DIRECTORY/results/METHOD-SEED; may be the folder of a study."""
    method: str = "policy"
    """Name of the training method in the file names and in the report of a study, e.g. `ppo`."""
    training_seed: int = 0
    """Seed that the policy was trained with, for the file names and the report of a study."""
    tests: tuple[str, ...] = ()
    """Names of the tests to run, e.g. `unseen-tables dynamic-noise-weak`; default: all sixteen."""
    episodes: int = 128
    """Number of episodes per test, from the start of its fixed list; at most 256."""
    temperatures: tuple[float, ...] = (0.0,)
    """Sampling temperatures of the action tokens, each measured on its own; 0 = greedy, the paper uses 0.6."""
    settings: Annotated[EvaluationSettings, tyro.conf.arg(name="")] = field(default_factory=EvaluationSettings)
    """Time limit, assets, seed and processes; their names have no prefix at the command line."""

    @property
    def folder(self) -> Path:
        """Where the results go."""
        return record_path(self.directory, self.method, self.training_seed, "any", 0.0).parent

    def run(self) -> int:
        """Run the tests whose results are missing and print the table; returns the exit code.

        Raises RlvlaError for an unknown test and for a bundle that is missing or does not fit.
        """
        chosen = choose_tests(self.tests)
        jobs = [(each, temperature) for each in chosen for temperature in self.temperatures]
        check_bundle_exists(self.bundle)
        if self.episodes < 1:
            raise RlvlaError(f"--episodes {self.episodes}: use 1 or more")
        records = []
        title = f"tests of {self.method}-{self.training_seed}"
        bar = Progress(title, total=len(jobs) * self.episodes, unit="episodes")
        with bar as progress, self.settings.worker_pool(self.episodes) as pool:
            for number, (each, temperature) in enumerate(jobs):
                progress.update(number * self.episodes, test=each.name)
                records.append(self._record(each, temperature, pool, _behind(progress, number * self.episodes)))
            progress.update(len(jobs) * self.episodes)
        console = Console()
        console.print(tests_table(chosen, records))
        console.print(f"written to {self.folder}", markup=False, highlight=False, soft_wrap=True)
        return 0

    def _record(
        self, test: Shift, temperature: float, pool: EvaluationPool | None, progress: Callable[[int], None]
    ) -> TestRecord:
        """The result of one test: the one that is there if it is of this bundle, world and list, else a new one."""
        episodes = ood_episodes(test.name, self.episodes)
        bundle, settings = identity(self.bundle), self.settings
        world = WorldKey(robot=load_deploy(self.bundle).robot, assets=settings.assets, max_steps=settings.max_steps)
        path = record_path(self.directory, self.method, self.training_seed, test.name, temperature)
        if path.is_file():
            old = read_record(path)
            if (old.bundle, old.world, old.result.seed, old.result.episodes) == (
                bundle,
                world,
                settings.seed,
                episodes,
            ):
                return old
        result = evaluate_list(
            self.bundle,
            settings.world(self.bundle, test.name),
            episodes,
            settings,
            temperature=temperature,
            pool=pool,
            progress=progress,
        )
        record = TestRecord(
            method=self.method,
            training_seed=self.training_seed,
            test=test.name,
            bundle=bundle,
            world=world,
            result=result,
        )
        write_record(self.directory, record)
        return record


def _behind(progress: Progress, before: int) -> Callable[[int], None]:
    """Reports the finished episodes of one test on top of the `before` episodes of the tests in front of it."""
    return lambda done: progress.update(before + done)


def choose_tests(names: Sequence[str]) -> list[Shift]:
    """The out-of-distribution tests of these names in the order of the paper's table; all of them for no names.

    Raises RlvlaError for an unknown name.
    """
    known = {shift.name: shift for shift in shifts()}
    if unknown := [name for name in names if name not in known]:
        raise RlvlaError(f"unknown test `{unknown[0]}`: use one of {', '.join(known)}")
    return [shift for shift in known.values() if not names or shift.name in names]


def tests_table(tests: Sequence[Shift], records: Sequence[TestRecord]) -> Table:
    """Terminal table of the rate of `success at end` in every test, one column per temperature."""
    temperatures = list(dict.fromkeys(record.result.temperature for record in records))
    found = Table(box=box.SIMPLE_HEAD, pad_edge=False, caption="success at end, Wilson 95 %", caption_justify="left")
    for heading in ("axis", "test", *map(format_acting, temperatures)):
        found.add_column(heading)
    by_key = {(record.test, record.result.temperature): record.result for record in records}
    for test in tests:
        results = [by_key[test.name, temperature] for temperature in temperatures]
        cells = [format_rate(int(result.success_at_end.sum()), result.n) for result in results]
        found.add_row(test.axis, test.name, *cells)
    return found
