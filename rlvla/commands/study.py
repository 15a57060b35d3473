"""`rlvla study`: train with several methods from the same warm-ups, test every policy, write one report."""

import os
import platform
import sys
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from rich.console import Console

from rlvla.commands.doctor import first_broken
from rlvla.commands.study_report import StudyReport
from rlvla.commands.study_tests import choose_tests
from rlvla.recipe import EVALUATION_SEED, WORLD
from rlvla.stages import StageChain
from rlvla.study import Planned, StudyDesign, policies, stages
from rlvla_core.devices import check_device
from rlvla_core.errors import RlvlaError
from rlvla_core.evaluation.study import StudyPlan, TestInfo, Trained, WorldKey, with_earlier, write_plan
from rlvla_core.runs.run_directory import git_commit
from rlvla_sim.shifts import Shift


@dataclass(frozen=True, kw_only=True)
class Study(StudyDesign):
    """Train policies with several methods, run sixteen out-of-distribution tests on each, and write one report.

    All methods start from the same warm-ups on demonstrations. Reads only the shipped base policy; writes
    demonstrations, runs, results and report into --directory. Started again, it continues where it was interrupted;
    without --budget, a later start may add seeds, methods or numbers of demonstrations to the study. `rlvla study
    report` writes the report of an unfinished study.
    """

    plan_only: bool = False
    """Only print the stages with their expected times, and run nothing."""

    def run(self) -> int:
        """Print the plan, run it, write the report; returns the exit code. Raises RlvlaError for a user's mistake."""
        check_device(self.sft_device)  # the supervised runs come hours later
        console = Console(soft_wrap=True)
        hint = "use the settings of that start, or another --directory"
        chain = StageChain(stages=stages(self), records=self.directory / "stages", hint=hint)
        chain.check()
        whole = whole_plan(self)
        console.print(f"The study in {self.directory.resolve()}:", highlight=False)
        console.print("\n".join(chain.plan()), markup=False, highlight=False)
        if self.plan_only:
            return 0
        if finding := first_broken():
            raise RlvlaError(f"{finding.subject} does not work here: {finding.detail}; to repair it: {finding.hint}")
        write_plan(self.directory, whole)
        chain.run(console)
        return StudyReport(directory=self.directory).run()


def plan(design: StudyDesign) -> StudyPlan:
    """The content of study.json before anything is trained: tests, policies, world, and how the study is run."""
    commit = git_commit()
    return StudyPlan(
        tests=tuple(test_info(shift) for shift in choose_tests(design.tests)),
        policies=tuple(trained(design, policy) for policy in policies(design)),
        world=WorldKey(robot=design.robot, assets=design.assets, max_steps=WORLD.max_steps),
        model="tiny",
        episodes=design.episodes,
        evaluation_seed=EVALUATION_SEED,
        temperatures=design.temperatures,
        commit="" if commit is None else commit["commit"] + (" and changes" if commit["modified"] else ""),
        command=" ".join(["rlvla", *sys.argv[1:]]),
        machine=f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}",
        date=datetime.now(timezone.utc).date().isoformat(),
    )


def whole_plan(design: StudyDesign) -> StudyPlan:
    """The plan, extended by what earlier starts in its folder have measured; policies in the order of the report."""
    whole = with_earlier(design.directory, plan(design))
    return replace(whole, policies=tuple(sorted(whole.policies, key=place_in_table)))


def place_in_table(policy: Trained) -> tuple[int, int, int]:
    """Sort key for policies: by seed, and within a seed by method in the order of the report's columns."""
    kinds = ("warm-up", "sft", "ppo", "grpo", "dpo")
    return policy.training_seed, [policy.method.startswith(kind) for kind in kinds].index(True), policy.demonstrations


def test_info(shift: Shift) -> TestInfo:
    """The entry of a test in study.json."""
    title = shift.name.replace("-", " ")
    return TestInfo(name=shift.name, number=shift.number, axis=shift.axis, title=title, change=shift.summary)


def trained(design: StudyDesign, policy: Planned) -> Trained:
    """The entry of a policy in study.json; its steps and minutes are filled in from its journal later."""
    run = policy.directory.relative_to(design.directory)
    return Trained(
        method=policy.method,
        training_seed=policy.seed,
        env_steps=0,
        demonstrations=policy.demonstrations,
        minutes=0.0,
        journal=run / "metrics.jsonl",
        bundle=str(run / "policy"),
    )
