"""Design of a study: the policies that it trains and measures, and the stages that do it."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from rlvla.commands.collect import Collect
from rlvla.commands.evaluate import Evaluate
from rlvla.commands.study_tests import StudyTests, choose_tests
from rlvla.commands.train_dpo import TrainDpo
from rlvla.commands.train_grpo import TrainGrpo
from rlvla.commands.train_ppo import TrainPpo
from rlvla.commands.train_sft import TrainSft
from rlvla.evaluation import EvaluationSettings
from rlvla.recipe import (
    DEMONSTRATIONS,
    EVALUATION_SEED,
    WORLD,
    dpo_recipe,
    grpo_recipe,
    ppo_recipe,
    sft_recipe,
    warmup_recipe,
)
from rlvla.stages import Stage
from rlvla_core.errors import RlvlaError
from rlvla_core.evaluation.report import format_acting
from rlvla_sim.config import WorldConfig

DEMONSTRATIONS_PER_MINUTE = 900
"""Demonstrations that the scripted expert records per minute, on 2 cores."""
TEST_STEPS_PER_SECOND = 420
"""Environment steps per second of an evaluation, on 2 cores."""
FILMED = ("dynamic-texture-strong", "unseen-objects", "unseen-positions")
"""Tests of which the study makes videos: one for each axis."""


@dataclass(frozen=True, kw_only=True)
class StudyDesign:
    """Options of a study: its methods, their training times, and the tests."""

    directory: Path = Path("runs/study")
    """Folder of the study: demonstrations, runs, results, report."""
    budget: float = 0.0
    """Minutes for the whole study on 2 cores; the trainings get what demonstrations and tests leave. 0 = the training
    times are --rl-minutes and --sft-minutes."""
    rl_minutes: float = 130.0
    """Minutes of each reinforcement learning run; not used with --budget."""
    sft_minutes: float = 12.0
    """Minutes of each supervised run; with --budget, its upper limit."""
    sft_device: Literal["cpu", "cuda"] = "cpu"
    """Device of supervised runs: `cpu` or `cuda`; a GPU gives them more updates per minute."""
    methods: tuple[Literal["ppo", "grpo", "dpo"], ...] = ("ppo", "grpo", "dpo")
    """Reinforcement learning methods; each run starts from the warm-up of its seed."""
    sft: tuple[int, ...] = (1000,)
    """Numbers of demonstrations for supervised runs; each number is one run per seed, from the warm-up of its seed."""
    seeds: tuple[int, ...] = (0, 1)
    """Training seeds; every method is trained once with each. A later start may add more."""
    episodes: int = 128
    """Number of episodes of each test; at most 256."""
    temperatures: tuple[float, ...] = (0.0, 0.6)
    """Sampling temperatures of the action tokens in the tests; 0 = greedy."""
    tests: tuple[str, ...] = ()
    """Names of the tests to run; default: all sixteen."""
    robot: Literal["widowx250s", "panda"] = "widowx250s"
    """Arm of all demonstrations, trainings and tests."""
    assets: Literal["procedural", "paper"] = "procedural"
    """Which assets to use: `procedural` (generated, shipped) or `paper` (RL4VLA's, from the folder in
    $RLVLA_ASSETS)."""

    def __post_init__(self) -> None:
        """Raises RlvlaError for a study without seeds, with a method twice, or with an unknown test."""
        for name in ("seeds", "temperatures"):
            if not getattr(self, name):
                raise RlvlaError(f"--{name} is empty: give at least one")
        for name in ("seeds", "temperatures", "methods", "sft", "tests"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise RlvlaError(f"--{name} {' '.join(map(str, values))} has a value twice")
        choose_tests(self.tests)
        if min(self.sft, default=1) < 1:
            raise RlvlaError(f"--sft {min(self.sft)}: at least one demonstration is needed")


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A policy that the study is to train."""

    method: str
    """Training method, e.g. `ppo` or `sft-1000`."""
    seed: int
    """Training seed."""
    directory: Path
    """Run directory."""
    command: Any
    """Training command with its options."""
    minutes: float
    """Expected training time in minutes."""
    demonstrations: int
    """Number of demonstrations that it imitates, including those of its warm-up."""
    needs: tuple[str, ...]
    """Names of the stages whose output the training uses."""

    @property
    def name(self) -> str:
        """Method and seed, e.g. `ppo-0`; also the name of the training stage."""
        return f"{self.method}-{self.seed}"

    @property
    def bundle(self) -> Path:
        """Directory of the trained policy bundle."""
        return self.directory / "policy"


def study_world(design: StudyDesign) -> WorldConfig:
    """The simulated world of a study."""
    return replace(WORLD, robot=design.robot, assets=design.assets)


def minutes_of_tests(design: StudyDesign) -> float:
    """Estimated minutes to run all tests of one policy at one temperature."""
    steps = len(choose_tests(design.tests)) * design.episodes * WORLD.max_steps
    return steps / TEST_STEPS_PER_SECOND / 60


def training_minutes(design: StudyDesign) -> tuple[float, float]:
    """(minutes of a reinforcement learning run, minutes of a supervised run).

    Raises RlvlaError for a budget that is too small.
    """
    if not design.budget:
        return design.rl_minutes, design.sft_minutes
    seeds = len(design.seeds)
    rl, sft = seeds * len(design.methods), seeds * len(design.sft)
    fixed = sum(stage.minutes for stage in demonstrations(design)) + 1.5 * len(FILMED)
    fixed += seeds * warmup_recipe(0).minutes
    fixed += (seeds + rl + sft) * len(design.temperatures) * minutes_of_tests(design)
    left = design.budget - fixed
    if left < rl + sft:
        raise RlvlaError(
            f"--budget {design.budget:g}: demonstrations, warm-ups and tests alone take {math.ceil(fixed)} minutes; "
            f"give at least {math.ceil(fixed + rl + sft)}, or fewer seeds, methods, temperatures or --episodes"
        )
    of_sft = min(design.sft_minutes, left / max(1, rl + sft))
    return (left - sft * of_sft) / max(1, rl), of_sft


def demonstrations(design: StudyDesign) -> list[Stage]:
    """Stages that record demonstrations: one dataset for every number of demonstrations."""
    counts = dict.fromkeys((DEMONSTRATIONS, *design.sft))
    return [demonstration_stage(design.directory, count, study_world(design)) for count in counts]


def demonstration_stage(folder: Path, count: int, sim: WorldConfig) -> Stage:
    """Stage that records `count` demonstrations in `folder`; each count has a seed of its own."""
    path = folder / f"demonstrations-{count}"
    return Stage(
        name=path.name,
        purpose="record demonstrations of the scripted expert",
        command=Collect(directory=path, episodes=count, sim=sim, seed=1000 + count),
        output=path / "meta" / "info.json",
        minutes=count / DEMONSTRATIONS_PER_MINUTE,
        appears_complete=True,
        needs=(),
    )


def policies(design: StudyDesign) -> list[Planned]:
    """All policies of the study; within a seed, the warm-up comes first."""
    rl_minutes, sft_minutes = training_minutes(design)
    return [each for seed in design.seeds for each in _policies_of(design, seed, rl_minutes, sft_minutes)]


def _policies_of(design: StudyDesign, seed: int, rl_minutes: float, sft_minutes: float) -> list[Planned]:
    folder, sim = design.directory, study_world(design)

    def planned(
        method: str, command: type, minutes: float, demonstrations: int, needs: tuple[str, ...], **options: Any
    ) -> Planned:
        directory = folder / f"{method}-{seed}"
        return Planned(
            method=method,
            seed=seed,
            directory=directory,
            command=command(directory=directory, **options),
            minutes=minutes,
            demonstrations=demonstrations,
            needs=needs,
        )

    shown = folder / f"demonstrations-{DEMONSTRATIONS}"
    recipe = warmup_recipe(seed)
    warmup = planned("warm-up", TrainSft, recipe.minutes, DEMONSTRATIONS, (shown.name,), data=shown, sft=recipe)
    start = str(warmup.bundle)
    found = [warmup]
    for count in design.sft:
        data = folder / f"demonstrations-{count}"
        imitation = replace(sft_recipe(seed), minutes=sft_minutes)
        needs = (warmup.name, data.name)
        found.append(
            planned(
                f"sft-{count}",
                TrainSft,
                sft_minutes,
                DEMONSTRATIONS + count,
                needs,
                data=data,
                policy=start,
                sft=imitation,
                device=design.sft_device,
            )
        )
    trainers = {"ppo": (TrainPpo, ppo_recipe), "grpo": (TrainGrpo, grpo_recipe), "dpo": (TrainDpo, dpo_recipe)}
    for method in design.methods:
        command, make = trainers[method]
        algorithm = {method: make(seed, rl_minutes)}
        found.append(
            planned(method, command, rl_minutes, DEMONSTRATIONS, (warmup.name,), policy=start, sim=sim, **algorithm)
        )
    return found


def stages(design: StudyDesign) -> list[Stage]:
    """All stages of the study: demonstrations, then every training followed by its tests, then the videos."""
    found = demonstrations(design)
    every = policies(design)
    for policy in every:
        found.append(training_stage(policy))
        found += [tests_stage(design, policy, temperature) for temperature in design.temperatures]
    return found + film_stages(design, every)


def training_stage(policy: Planned) -> Stage:
    """Stage that trains one policy."""
    warm_up = f"short supervised training on {DEMONSTRATIONS} demonstrations"
    return Stage(
        name=policy.name,
        purpose=warm_up if policy.method == "warm-up" else f"{policy.method} from the warm-up",
        command=policy.command,
        output=policy.bundle / "config.json",
        minutes=policy.minutes,
        needs=policy.needs,
    )


def tests_stage(design: StudyDesign, policy: Planned, temperature: float) -> Stage:
    """Stage that runs all tests of one policy at one temperature."""
    command = StudyTests(
        bundle=policy.bundle,
        directory=design.directory,
        method=policy.method,
        training_seed=policy.seed,
        tests=design.tests,
        episodes=design.episodes,
        temperatures=(temperature,),
        settings=_evaluation_settings(design),
    )
    return Stage(
        name=f"tests-{policy.name}-T{temperature:g}",
        purpose=f"{len(choose_tests(design.tests))} tests of {policy.name}, {format_acting(temperature)}",
        command=command,
        output=command.folder,
        minutes=minutes_of_tests(design),
        needs=(policy.name,),
    )


def _evaluation_settings(design: StudyDesign) -> EvaluationSettings:
    """Evaluation settings of all tests and videos of a study."""
    return EvaluationSettings(max_steps=WORLD.max_steps, assets=design.assets, seed=EVALUATION_SEED)


def film_stages(design: StudyDesign, every: list[Planned]) -> list[Stage]:
    """Stages that film the first method beside the first supervised run (or the warm-up) in the same episodes."""
    of_seed = {policy.method: policy for policy in every if policy.seed == design.seeds[0]}
    other = of_seed.get(f"sft-{design.sft[0]}" if design.sft else "", of_seed["warm-up"])
    first = of_seed.get(design.methods[0] if design.methods else "", other)
    if first is other:
        return []
    found = []
    for test in (shift.name for shift in choose_tests(design.tests)):
        if test in FILMED:
            pair = (
                f"{first.name}-{other.name}"  # a later start with other methods films another pair; earlier videos stay
            )
            output = design.directory / "films" / test / pair
            command = Evaluate(
                bundle=first.bundle,
                against=other.bundle,
                episodes=4,
                episode_set=test,
                video=4,
                output=output,
                settings=_evaluation_settings(design),
            )
            name, purpose = f"film-{test}-{pair}", f"videos of {first.name} beside {other.name} in {test}"
            file, needs = output / "comparison.json", (first.name, other.name)
            found.append(Stage(name=name, purpose=purpose, command=command, output=file, minutes=1.0, needs=needs))
    return found
