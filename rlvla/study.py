"""What a study trains and measures, and the chain of commands that does it."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from rlvla.commands.collect import Collect
from rlvla.commands.evaluate import Evaluate
from rlvla.commands.study_tests import StudyTests, choose
from rlvla.commands.train_dpo import TrainDpo
from rlvla.commands.train_grpo import TrainGrpo
from rlvla.commands.train_ppo import TrainPpo
from rlvla.commands.train_sft import TrainSft
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
"""The scripted expert's, on 2 cores."""
TEST_STEPS_PER_SECOND = 420
"""Environment steps of an evaluation, on 2 cores."""
FILMED = ("dynamic-texture-strong", "unseen-objects", "unseen-positions")
"""One test an axis, of which paired episodes are shown."""


@dataclass(frozen=True, kw_only=True)
class StudyDesign:
    """The methods, how long each may learn, and on what all are measured."""

    directory: Path = Path("runs/study")
    """Folder of the study: trainings, results, report."""
    budget: float = 0.0
    """Minutes for everything, on 2 cores: what tests leave is shared among the trainings. 0: as the two below say."""
    rl_minutes: float = 130.0
    """Of each reinforcement learning run, without a budget."""
    sft_minutes: float = 12.0
    """Of each supervised run, and of no more with a budget."""
    sft_device: Literal["cpu", "cuda"] = "cpu"
    """Where supervised runs learn. They play no episodes: a GPU gives them more updates a minute and nothing else."""
    methods: tuple[Literal["ppo", "grpo", "dpo"], ...] = ("ppo", "grpo", "dpo")
    """Reinforcement learning methods; each starts from the warm-up of its seed."""
    sft: tuple[int, ...] = (1000,)
    """Numbers of demonstrations for supervised learning, which starts from the warm-up, too."""
    seeds: tuple[int, ...] = (0, 1)
    """Training seeds. A later start with more of them, or more temperatures, adds to the study."""
    episodes: int = 128
    """Frozen episodes of each test."""
    temperatures: tuple[float, ...] = (0.0, 0.6)
    """Of the action tokens in the tests; 0 is greedy."""
    tests: tuple[str, ...] = ()
    """Names of tests; none: all sixteen."""
    robot: Literal["widowx250s", "panda"] = "widowx250s"
    """The arm."""
    assets: Literal["procedural", "paper"] = "procedural"
    """Whose objects and tables; `paper` reads the folder that RLVLA_ASSETS names."""

    def __post_init__(self) -> None:
        """Raises RlvlaError for a study without seeds, with a method twice, or with an unknown test."""
        for name in ("seeds", "temperatures"):
            if not getattr(self, name):
                raise RlvlaError(f"--{name} is empty: give at least one")
        for name in ("seeds", "temperatures", "methods", "sft", "tests"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise RlvlaError(f"--{name} {' '.join(map(str, values))} names one twice")
        choose(self.tests)
        if min(self.sft, default=1) < 1:
            raise RlvlaError(f"--sft {min(self.sft)}: at least one demonstration is needed")


@dataclass(frozen=True, kw_only=True)
class Planned:
    """One policy of the study."""

    method: str
    seed: int
    directory: Path
    """Run directory."""
    command: Any
    """What trains it."""
    minutes: float
    """Of the training."""
    demonstrations: int
    """That it has imitated, those of its warm-up included."""
    needs: tuple[str, ...]
    """Stages that it builds on."""

    @property
    def name(self) -> str:
        return f"{self.method}-{self.seed}"

    @property
    def bundle(self) -> Path:
        return self.directory / "policy"


def world(design: StudyDesign) -> WorldConfig:
    """Where the study takes place."""
    return replace(WORLD, robot=design.robot, assets=design.assets)


def minutes_of_tests(design: StudyDesign) -> float:
    """Of all tests of one policy at one temperature."""
    steps = len(choose(design.tests)) * design.episodes * WORLD.max_steps
    return steps / TEST_STEPS_PER_SECOND / 60


def training_minutes(design: StudyDesign) -> tuple[float, float]:
    """(of a reinforcement learning run, of a supervised run). Raises RlvlaError for a budget that is too small."""
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
    """The scripted expert, with noise: one set for every number of demonstrations."""
    counts = dict.fromkeys((DEMONSTRATIONS, *design.sft))
    return [demonstration_stage(design.directory, count, world(design)) for count in counts]


def demonstration_stage(folder: Path, count: int, sim: WorldConfig) -> Stage:
    """One set of demonstrations. Numbers have seeds of their own: no set contains another."""
    path = folder / f"demonstrations-{count}"
    return Stage(
        name=path.name,
        purpose="the scripted expert shows the task",
        command=Collect(directory=path, episodes=count, sim=sim, seed=1000 + count),
        output=path / "meta" / "info.json",
        minutes=count / DEMONSTRATIONS_PER_MINUTE,
        appears_complete=True,
        needs=(),
    )


def policies(design: StudyDesign) -> list[Planned]:
    """Every policy, warm-ups first within a seed."""
    rl_minutes, sft_minutes = training_minutes(design)
    return [each for seed in design.seeds for each in _policies_of(design, seed, rl_minutes, sft_minutes)]


def _policies_of(design: StudyDesign, seed: int, rl_minutes: float, sft_minutes: float) -> list[Planned]:
    folder, sim = design.directory, world(design)

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
    """The whole chain: demonstrations, then every policy followed by its tests, then the films."""
    found = demonstrations(design)
    every = policies(design)
    for policy in every:
        found.append(training_stage(policy))
        found += [tests_stage(design, policy, temperature) for temperature in design.temperatures]
    return found + films(design, every)


def training_stage(policy: Planned) -> Stage:
    """One training, of which the rest is measured."""
    from_base = f"a short imitation of {DEMONSTRATIONS} demonstrations"
    return Stage(
        name=policy.name,
        purpose=from_base if policy.method == "warm-up" else f"{policy.method} from the warm-up",
        command=policy.command,
        output=policy.bundle / "config.json",
        minutes=policy.minutes,
        needs=policy.needs,
    )


def tests_stage(design: StudyDesign, policy: Planned, temperature: float) -> Stage:
    """All tests of one policy at one temperature, so that another one can be measured later."""
    command = StudyTests(
        bundle=policy.bundle,
        directory=design.directory,
        method=policy.method,
        training_seed=policy.seed,
        tests=design.tests,
        episodes=design.episodes,
        temperatures=(temperature,),
        seed=EVALUATION_SEED,
        max_steps=WORLD.max_steps,
        assets=design.assets,
    )
    return Stage(
        name=f"tests-{policy.name}-T{temperature:g}",
        purpose=f"{len(choose(design.tests))} tests of {policy.name}, {format_acting(temperature)}",
        command=command,
        output=command.folder,
        minutes=minutes_of_tests(design),
        needs=(policy.name,),
    )


def films(design: StudyDesign, every: list[Planned]) -> list[Stage]:
    """Paired episodes of the first method and its supervised candidate (or its warm-up), one test an axis."""
    of_seed = {policy.method: policy for policy in every if policy.seed == design.seeds[0]}
    candidate = of_seed.get(f"sft-{design.sft[0]}" if design.sft else "", of_seed["warm-up"])
    hero = of_seed.get(design.methods[0] if design.methods else "", candidate)
    if hero is candidate:
        return []
    found = []
    for test in (shift.name for shift in choose(design.tests)):
        if test in FILMED:
            pair = f"{hero.name}-{candidate.name}"  # who plays may change when methods are added; what was filmed stays
            output = design.directory / "films" / test / pair
            command = Evaluate(
                bundle=hero.bundle,
                against=candidate.bundle,
                episodes=4,
                episode_set=test,
                seed=EVALUATION_SEED,
                max_steps=WORLD.max_steps,
                assets=design.assets,
                video=4,
                output=output,
            )
            name, purpose = f"film-{test}-{pair}", f"{hero.name} beside {candidate.name} on {test}"
            file, needs = output / "comparison.json", (hero.name, candidate.name)
            found.append(Stage(name=name, purpose=purpose, command=command, output=file, minutes=1.0, needs=needs))
    return found
