"""`rlvla study tests BUNDLE`: the sixteen out-of-distribution tests of one policy, on their frozen episodes."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich import box
from rich.console import Console
from rich.table import Table

from rlvla.commands.evaluate import Evaluate, check_options, evaluate_list
from rlvla_core.errors import RlvlaError
from rlvla_core.evaluation.pool import EvaluationPool
from rlvla_core.evaluation.report import format_acting, format_rate
from rlvla_core.evaluation.study import TestRecord, World, read_record, record_path, write_record
from rlvla_core.learning.distributed import default_ranks
from rlvla_core.policy.bundle import identity, load_deploy
from rlvla_core.runs.progress import Progress
from rlvla_sim.ood_episodes import ood_episodes
from rlvla_sim.shifts import Shift, shifts


@dataclass(frozen=True, kw_only=True)
class StudyTests:
    """Put a policy bundle through the sixteen tests, each on its own frozen list of episodes.

    The worlds are built from the bundle's deploy.json. Writes one file a test and temperature; a later start goes on
    behind the last one, unless the bundle has changed in between.
    """

    bundle: Annotated[Path, tyro.conf.Positional]
    """Directory of the policy bundle, e.g. runs/demo/policy."""
    directory: Path = Path("runs/tests")
    """Folder of the study; the files go to DIRECTORY/results/METHOD-SEED."""
    method: str = "policy"
    """How the study calls what made the bundle, e.g. ppo."""
    training_seed: int = 0
    """Seed of that training."""
    tests: tuple[str, ...] = ()
    """Names of tests; none: all sixteen."""
    episodes: int = 128
    """How many of each test's frozen episodes; at most 256."""
    temperatures: tuple[float, ...] = (0.0,)
    """Of the action tokens; 0 is greedy, the paper samples at 0.6."""
    seed: int = 0
    """Of the sampling noise."""
    max_steps: int = 80
    """Time limit of an episode, control steps; the paper's is 80."""
    assets: Literal["procedural", "paper"] = "procedural"
    """Whose objects, tables and WidowX; `paper` reads the folder that RLVLA_ASSETS names."""
    processes: int = 0
    """Worker processes; 0: one a core, at most 4. The result does not depend on it."""
    num_envs: int = 32
    """Worlds in each process."""
    device: str = "cpu"
    """Where policy and worlds live: cpu, or cuda (one process)."""

    @property
    def folder(self) -> Path:
        """Where the results go."""
        return record_path(self.directory, self.method, self.training_seed, "any", 0.0).parent

    def run(self) -> int:
        """Run what is missing, print the table. Raises RlvlaError for an unknown test or a bundle that does not fit."""
        chosen = choose(self.tests)
        jobs = [(each, temperature) for each in chosen for temperature in self.temperatures]
        check_options(self._options(chosen[0], 0.0))
        records = []
        title = f"tests of {self.method}-{self.training_seed}"
        with Progress(title, total=len(jobs) * self.episodes, unit="episodes") as progress, self._pool() as pool:
            for number, (each, temperature) in enumerate(jobs):
                progress.update(number * self.episodes, test=each.name)
                records.append(self._record(each, temperature, pool, _behind(progress, number * self.episodes)))
            progress.update(len(jobs) * self.episodes)
        console = Console()
        console.print(table(chosen, records))
        console.print(f"written to {self.folder}", markup=False, highlight=False, soft_wrap=True)
        return 0

    def _record(
        self, test: Shift, temperature: float, pool: EvaluationPool | None, progress: Callable[[int], None]
    ) -> TestRecord:
        """The result of one test: the one that is there if it is of this bundle, world and list, else a new one."""
        episodes = ood_episodes(test.name, self.episodes)
        bundle = identity(self.bundle)
        world = World(robot=load_deploy(self.bundle).robot, assets=self.assets, max_steps=self.max_steps)
        path = record_path(self.directory, self.method, self.training_seed, test.name, temperature)
        if path.is_file():
            old = read_record(path)
            if (old.bundle, old.world, old.result.seed, old.result.episodes) == (bundle, world, self.seed, episodes):
                return old
        record = TestRecord(
            method=self.method,
            training_seed=self.training_seed,
            test=test.name,
            bundle=bundle,
            world=world,
            result=evaluate_list(self._options(test, temperature), episodes, pool, progress),
        )
        write_record(self.directory, record)
        return record

    def _options(self, test: Shift, temperature: float) -> Evaluate:
        return Evaluate(
            bundle=self.bundle,
            episodes=self.episodes,
            episode_set=test.name,
            max_steps=self.max_steps,
            assets=self.assets,
            seed=self.seed,
            temperature=temperature,
            video=0,
            num_envs=self.num_envs,
            device=self.device,
        )

    def _pool(self) -> contextlib.AbstractContextManager[EvaluationPool | None]:
        processes = self.processes or default_ranks("cpu")
        return EvaluationPool(processes) if self.device == "cpu" and processes > 1 else contextlib.nullcontext()


def _behind(progress: Progress, before: int) -> Callable[[int], None]:
    """Reports what is done of one part, on top of the parts before it."""
    return lambda done: progress.update(before + done)


def choose(names: Sequence[str]) -> list[Shift]:
    """The shifts of these names in the order of the paper's table; all for none. Raises RlvlaError for another name."""
    known = {shift.name: shift for shift in shifts()}
    if unknown := [name for name in names if name not in known]:
        raise RlvlaError(f"unknown test `{unknown[0]}`: use one of {', '.join(known)}")
    return [shift for shift in known.values() if not names or shift.name in names]


def table(tests: Sequence[Shift], records: Sequence[TestRecord]) -> Table:
    """Success at end of every test, grouped by axis, one column a temperature."""
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
