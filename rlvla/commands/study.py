"""`rlvla study`: every method from the same warm-ups, sixteen tests of every policy, one report."""

import os
import platform
import sys
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from rich.console import Console

from rlvla.commands.doctor import first_broken
from rlvla.commands.study_report import StudyReport
from rlvla.commands.study_tests import choose
from rlvla.recipe import EVALUATION_SEED, WORLD
from rlvla.stages import Chain
from rlvla.study import Planned, StudyDesign, policies, stages
from rlvla_core.errors import RlvlaError
from rlvla_core.evaluation.study import StudyPlan, TestInfo, Trained, World, with_earlier, write_plan
from rlvla_core.runs.run_directory import git_commit
from rlvla_sim.shifts import Shift


@dataclass(frozen=True, kw_only=True)
class Study(StudyDesign):
    """Warm up, train every method from there, give each policy the sixteen tests, and write one report.

    Everything lies in one folder. Started again after an interruption, it goes on where it was; without a budget, more
    seeds, methods or numbers of demonstrations are added to what is there. What was measured stays in the report,
    which `rlvla study report` shows at any time.
    """

    plan_only: bool = False
    """Print the plan and its time, and stop."""

    def run(self) -> int:
        """Print the plan, run it, write the report. Raises RlvlaError for what the user can mend."""
        console = Console(soft_wrap=True)
        hint = "give the settings of before, or another --directory"
        chain = Chain(stages=stages(self), records=self.directory / "stages", hint=hint)
        chain.check()
        whole = whole_plan(self)
        console.print(f"The study in {self.directory.resolve()}:", highlight=False)
        console.print("\n".join(chain.plan()), markup=False, highlight=False)
        if self.plan_only:
            return 0
        if finding := first_broken():
            raise RlvlaError(f"{finding.subject} does not work here: {finding.detail}; way out: {finding.hint}")
        write_plan(self.directory, whole)
        chain.run(console)
        return StudyReport(directory=self.directory).run()


def plan(design: StudyDesign) -> StudyPlan:
    """What study.json says before anything is trained: the tests, the policies, the world, and how it was made."""
    commit = git_commit()
    return StudyPlan(
        tests=tuple(information(shift) for shift in choose(design.tests)),
        policies=tuple(trained(design, policy) for policy in policies(design)),
        world=World(robot=design.robot, assets=design.assets, max_steps=WORLD.max_steps),
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
    """The plan, and what earlier starts in its folder have measured; seeds and methods in the report's order."""
    whole = with_earlier(design.directory, plan(design))
    return replace(whole, policies=tuple(sorted(whole.policies, key=place_in_table)))


def place_in_table(policy: Trained) -> tuple[int, int, int]:
    """Sorts seeds, and within a seed the methods as the report's columns have them."""
    kinds = ("warm-up", "sft", "ppo", "grpo", "dpo")
    return policy.training_seed, [policy.method.startswith(kind) for kind in kinds].index(True), policy.demonstrations


def information(shift: Shift) -> TestInfo:
    """A test as the report shows it."""
    title = shift.name.replace("-", " ")
    return TestInfo(name=shift.name, number=shift.number, axis=shift.axis, title=title, change=shift.summary)


def trained(design: StudyDesign, policy: Planned) -> Trained:
    """A policy as the report shows it; steps and minutes are read off its journal once there is one."""
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
