"""Records of a study: its plan, its tests, the trained policies, and the result of each policy in each test."""

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
"""Axes of tests in the order of the paper's table; all but the first are out of distribution."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TestInfo:
    """A test of the study: a row of its tables."""

    name: str
    """Name in files and CSV columns: lower-case letters, digits and hyphens."""
    number: int
    """Number of the test in the paper's list."""
    axis: str
    """Axis of the test, one of AXES."""
    title: str
    """Name of the test in tables and figures."""
    change: str
    """What differs from the training episodes, in one line."""

    def __post_init__(self) -> None:
        """Raises RlvlaError for an axis or a name that the study cannot use."""
        _check_name("a test", self.name)
        if self.axis not in AXES:
            raise RlvlaError(f"test {self.name} has the axis {self.axis!r}: use one of {', '.join(AXES)}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """A trained policy of the study."""

    method: str
    """Training method: `warm-up`, `ppo`, `grpo`, `dpo`, `sft-1000`, ..."""
    training_seed: int
    """Seed of the training."""
    env_steps: int
    """Number of environment steps of the training; 0 for supervised learning, and before the training."""
    demonstrations: int
    """Number of demonstrations that the policy has imitated, including those of its warm-up."""
    minutes: float
    """Wall time of the training in minutes, without its warm-up."""
    journal: Path | None
    """Path of the run's metrics.jsonl, absolute or relative to the folder of the study; None if there is none."""
    bundle: str
    """Path of the policy bundle, for the reader of the report."""

    def __post_init__(self) -> None:
        """Raises RlvlaError for a name or number that the study cannot use."""
        _check_name("a method", self.method)
        for name in ("training_seed", "env_steps", "demonstrations", "minutes"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise RlvlaError(f"{name} of {self.method} is {getattr(self, name)}: give 0 or more")

    @property
    def name(self) -> str:
        """Method and training seed, e.g. `ppo-0`."""
        return f"{self.method}-{self.training_seed}"


@dataclass(frozen=True, kw_only=True, slots=True)
class WorldKey:
    """Properties of the simulated world that all results of a study must have in common to be comparable."""

    robot: str
    """Name of the arm, e.g. `widowx250s`."""
    assets: str
    """Objects and tables: `procedural` or `paper`."""
    max_steps: int
    """Time limit of an episode in control steps."""

    def describe(self) -> str:
        """The properties as text, e.g. `widowx250s, procedural assets, 40 steps`."""
        return f"{self.robot}, {self.assets} assets, {self.max_steps} steps"


@dataclass(frozen=True, kw_only=True, slots=True)
class TestRecord:
    """The result of one trained policy in one test at one temperature: the content of a result file."""

    method: str
    """Training method of the policy."""
    training_seed: int
    """Training seed of the policy."""
    test: str
    """Name of the test."""
    bundle: str
    """Hash of the content of the policy bundle that was tested."""
    world: WorldKey
    """World that the policy was tested in."""
    result: EvaluationResult
    """Outcomes of the episodes."""

    def to_json(self) -> dict[str, Any]:
        """The record as JSON values: policy, test and world, then the keys of the result."""
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
        """The record that `to_json` wrote. Raises RlvlaError for missing keys and for counts or ids changed by hand."""
        if not isinstance(value, dict):
            raise RlvlaError(f"a result is an object with keys, this is {value!r:.60}: evaluate the policy again")
        method, test, bundle = (convert(str, value.get(name), name) for name in ("method", "test", "bundle"))
        training_seed = convert(int, value.get("training_seed"), "training_seed")
        world = build(WorldKey, value.get("world"), "world")
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
    """What a study is to measure: the content of study.json."""

    tests: tuple[TestInfo, ...]
    """Tests in the order of the paper's table."""
    policies: tuple[Trained, ...]
    """Policies to measure; methods become columns in the order of their first appearance."""
    world: WorldKey
    """World of all tests."""
    model: str
    """Model of the policies: `tiny` or `openvla-7b`."""
    episodes: int
    """Number of episodes of each test."""
    evaluation_seed: int
    """Seed of the sampling noise in the tests."""
    temperatures: tuple[float, ...]
    """Sampling temperatures of the action tokens in the tests; 0 = greedy."""
    commit: str
    """Git commit of the code."""
    command: str
    """Command line of the study."""
    machine: str
    """Machine that the study ran on, in one line."""
    date: str = ""
    """Date of the study, as the report shows it."""

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
        """Names of the methods, each once, in the order of the policies."""
        return tuple(dict.fromkeys(policy.method for policy in self.policies))

    def seeds(self, method: str) -> tuple[int, ...]:
        """Training seeds of a method in rising order."""
        return tuple(sorted(policy.training_seed for policy in self.policies if policy.method == method))

    def tests_of(self, axis: str) -> tuple[TestInfo, ...]:
        """Tests of an axis in the order of the plan."""
        return tuple(test for test in self.tests if test.axis == axis)

    @property
    def axes(self) -> tuple[str, ...]:
        """Out-of-distribution axes that have tests, in the order of AXES."""
        return tuple(axis for axis in AXES if axis != IN_DISTRIBUTION and self.tests_of(axis))


def _check_name(what: str, name: str) -> None:
    if not re.fullmatch(r"[a-z0-9]+(?:[-_][a-z0-9]+)*", name):
        raise RlvlaError(f"{what} is called {name!r}: use lower-case letters, digits and hyphens, such as unseen-table")
