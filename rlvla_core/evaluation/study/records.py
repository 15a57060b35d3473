"""What a study consists of: its tests, the policies that were trained, and one result for each pair of them."""

import dataclasses
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlvla_core.errors import RlvlaError
from rlvla_core.evaluation.evaluate import EvaluationResult
from rlvla_core.storage.strict import build, convert

IN_DISTRIBUTION = "in-distribution"
AXES = (IN_DISTRIBUTION, "vision", "semantics", "execution")
"""In the order of the paper's table; all but the first are out of distribution."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TestInfo:
    """One row of the table."""

    name: str
    """Names files and columns: lower-case letters, digits and hyphens."""
    number: int
    """In the paper's list."""
    axis: str
    """One of AXES."""
    title: str
    """As the table shows it."""
    change: str
    """What differs from training, in a line."""

    def __post_init__(self) -> None:
        """Raises RlvlaError for an axis or a name that the study cannot use."""
        _check_name("a test", self.name)
        if self.axis not in AXES:
            raise RlvlaError(f"test {self.name} has the axis {self.axis!r}: use one of {', '.join(AXES)}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """One trained policy."""

    method: str
    """`warm-up`, `ppo`, `grpo`, `dpo`, `sft-1000`, ..."""
    training_seed: int
    env_steps: int
    """Steps of the world that the training took; 0 for supervised learning, and before the training."""
    demonstrations: int
    """Episodes that it imitated, those of the warm-up below it included."""
    minutes: float
    """Wall time of the training, without that of the warm-up below it."""
    journal: Path | None
    """The run's metrics.jsonl, relative to the study's folder or absolute."""
    bundle: str
    """Where the policy lies, for the reader."""

    def __post_init__(self) -> None:
        """Raises RlvlaError for a name or number that the study cannot use."""
        _check_name("a method", self.method)
        for name in ("training_seed", "env_steps", "demonstrations", "minutes"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise RlvlaError(f"{name} of {self.method} is {getattr(self, name)}: give 0 or more")

    @property
    def name(self) -> str:
        """`ppo-0`: the method and its training seed."""
        return f"{self.method}-{self.training_seed}"


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """What every evaluation of a study has in common; results of two worlds are never put together."""

    robot: str
    assets: str
    """`procedural` or `paper`."""
    max_steps: int
    """Time limit of an episode, control steps."""

    def describe(self) -> str:
        """`widowx250s, procedural assets, 40 steps`."""
        return f"{self.robot}, {self.assets} assets, {self.max_steps} steps"


@dataclass(frozen=True, kw_only=True, slots=True)
class TestRecord:
    """The result of one trained policy in one test at one temperature."""

    method: str
    training_seed: int
    test: str
    """Name of the test."""
    bundle: str
    """Identity of the policy bundle that was tested, a hash of its content: a second training makes another one."""
    world: World
    result: EvaluationResult

    def to_json(self) -> dict[str, Any]:
        """The keys that say whose result it is, then those of the result."""
        return {
            "method": self.method,
            "training_seed": self.training_seed,
            "test": self.test,
            "bundle": self.bundle,
            "world": dataclasses.asdict(self.world),
            **self.result.to_json(),
        }

    @classmethod
    def from_json(cls, value: Any) -> "TestRecord":
        """Inverse of `to_json`. Raises RlvlaError for missing keys and for summaries or ids changed by hand."""
        if not isinstance(value, dict):
            raise RlvlaError(f"a result is an object with keys, this is {value!r:.60}: evaluate the policy again")
        method, test, bundle = (convert(str, value.get(name), name) for name in ("method", "test", "bundle"))
        training_seed = convert(int, value.get("training_seed"), "training_seed")
        world = build(World, value.get("world"), "world")
        try:
            result = EvaluationResult.from_json(value)
        except ValueError as error:
            raise RlvlaError(f"this is not an evaluation result: {error} (evaluate the policy again)") from None
        for metric in result.metrics():
            told, counted = (value.get(metric) or {}).get("successes"), int(result.outcomes(metric).sum())
            if told != counted:
                raise RlvlaError(
                    f"the summary says {told} episodes of {metric}, the episodes say {counted}: the file was changed "
                    "by hand, evaluate the policy again"
                )
        return cls(method=method, training_seed=training_seed, test=test, bundle=bundle, world=world, result=result)


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyPlan:
    """What a study set out to measure; the content of study.json."""

    tests: tuple[TestInfo, ...]
    """In the order of the paper's table."""
    policies: tuple[Trained, ...]
    """A column a method, in the order of their first appearance."""
    world: World
    model: str
    """`tiny` or `openvla-7b`."""
    episodes: int
    """Of each test."""
    evaluation_seed: int
    """Draws the lists of episodes and starts the sampling noise."""
    temperatures: tuple[float, ...]
    """Of the action tokens; 0 is greedy."""
    commit: str
    """Of the code."""
    command: str
    """That made the study."""
    machine: str
    """What it ran on, in a line."""
    date: str = ""
    """When, as the study wants it shown."""

    def __post_init__(self) -> None:
        """Raises RlvlaError for an empty or ambiguous plan."""
        for what, names in (
            ("test", [test.name for test in self.tests]),
            ("policy", [policy.name for policy in self.policies]),
            ("temperature", [f"{temperature:g}" for temperature in self.temperatures]),
        ):
            if not names:
                raise RlvlaError(f"the study has no {what}: name at least one")
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise RlvlaError(f"the study has the {what} {twice[0]} twice: give each a name of its own")
        if bad := [value for value in self.temperatures if not (math.isfinite(value) and value >= 0)]:
            raise RlvlaError(f"temperature must be 0 (greedy) or more, got {bad[0]}")
        if self.episodes < 1:
            raise RlvlaError(f"the study has {self.episodes} episodes a test: use 1 or more")

    @property
    def methods(self) -> tuple[str, ...]:
        """Each once, in order."""
        return tuple(dict.fromkeys(policy.method for policy in self.policies))

    def seeds(self, method: str) -> tuple[int, ...]:
        """Training seeds of a method, in order."""
        return tuple(sorted(policy.training_seed for policy in self.policies if policy.method == method))

    def tests_of(self, axis: str) -> tuple[TestInfo, ...]:
        """Tests of an axis, in order."""
        return tuple(test for test in self.tests if test.axis == axis)

    @property
    def axes(self) -> tuple[str, ...]:
        """Out-of-distribution axes that have tests, in order."""
        return tuple(axis for axis in AXES if axis != IN_DISTRIBUTION and self.tests_of(axis))


def _check_name(what: str, name: str) -> None:
    if not re.fullmatch(r"[a-z0-9]+(?:[-_][a-z0-9]+)*", name):
        raise RlvlaError(f"{what} is called {name!r}: use lower-case letters, digits and hyphens, such as unseen-table")
