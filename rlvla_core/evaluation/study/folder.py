"""The folder of a study: study.json is the plan, results/ has one file for each measured result.

<study>/study.json
<study>/results/<method>-<training seed>/<test>-T<temperature>.json
"""

import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rlvla_core.errors import RlvlaError
from rlvla_core.evaluation.episode_list import EpisodeList
from rlvla_core.evaluation.evaluate import EvaluationResult
from rlvla_core.evaluation.study.records import StudyPlan, TestInfo, TestRecord, Trained
from rlvla_core.storage.json_files import read_json, replace_json
from rlvla_core.storage.strict import build

FORMAT = 1
"""Version of the format of study.json."""

Key = tuple[str, str, float]
"""(name of the policy, e.g. `ppo-0`; name of the test; sampling temperature) of a result."""


@dataclass(frozen=True, kw_only=True)
class StudyResults:
    """Plan of a study and the results so far: all of one world, and of one list of episodes for each test."""

    folder: Path
    """Folder of the study."""
    plan: StudyPlan
    """What the study is to measure."""
    results: Mapping[Key, EvaluationResult]
    """What has been measured."""

    def result(self, method: str, seed: int, test: str, temperature: float) -> EvaluationResult | None:
        """Result of a policy in a test; None if it has not been measured."""
        return self.results.get((f"{method}-{seed}", test, temperature))

    def outcomes(self, method: str, seed: int, test: str, temperature: float, metric: str) -> np.ndarray | None:
        """Outcomes of a policy in a test, bool [n]; None if they were not measured or lack this metric."""
        result = self.result(method, seed, test, temperature)
        return None if result is None or metric not in result.metrics() else result.outcomes(metric)

    @functools.cached_property
    def missing(self) -> tuple[tuple[Trained, TestInfo, float], ...]:
        """(policy, test, temperature) of every result that is planned and has not been measured."""
        return tuple(
            (policy, test, temperature)
            for policy in self.plan.policies
            for temperature in self.plan.temperatures
            for test in self.plan.tests
            if (policy.name, test.name, temperature) not in self.results
        )


def write_plan(study: Path, plan: StudyPlan) -> Path:
    """Write study.json, whole or not at all; returns its path."""
    value = dataclasses.asdict(plan)
    for policy in value["policies"]:
        policy["journal"] = None if policy["journal"] is None else policy["journal"].as_posix()
    study.mkdir(parents=True, exist_ok=True)
    replace_json(study / "study.json", {"format": FORMAT, **value})
    return study / "study.json"


def with_earlier(study: Path, plan: StudyPlan) -> StudyPlan:
    """`plan`, extended by the policies, tests and temperatures that earlier starts in the folder `study` have measured.

    What earlier starts planned and did not measure is dropped. Raises RlvlaError, naming what differs, where the
    results could not stand in one table.
    """
    if not (study / "study.json").is_file():
        return plan
    earlier = read_plan(study)
    for what, before, now in (
        ("the world", earlier.world.describe(), plan.world.describe()),
        ("the model", earlier.model, plan.model),
        ("episodes a test", earlier.episodes, plan.episodes),
        ("the evaluation seed", earlier.evaluation_seed, plan.evaluation_seed),
    ):
        if before != now:
            raise RlvlaError(f"{study} holds a study where {what} is {before}, not {now}: give another --directory")

    def measured(results: str) -> bool:
        return any((study / "results").glob(results))

    planned = {policy.name for policy in plan.policies}
    policies = (each for each in earlier.policies if each.name not in planned and measured(f"{each.name}/*.json"))
    tests = {test.name: test for test in earlier.tests if measured(f"*/{test.name}-T*.json")}
    tests |= {test.name: test for test in plan.tests}
    temperatures = {each for each in earlier.temperatures if measured(f"*/*-T{each:g}.json")}
    return dataclasses.replace(
        plan,
        tests=tuple(sorted(tests.values(), key=lambda test: test.number)),
        policies=(*plan.policies, *policies),
        temperatures=tuple(sorted(temperatures | set(plan.temperatures))),
        commit=_and(earlier.commit, plan.commit, ", "),
        command=_and(earlier.command, plan.command, " && "),
    )


def _and(earlier: str, now: str, separator: str) -> str:
    """The earlier entries and `now` joined by `separator`, each once."""
    return separator.join(dict.fromkeys(each for each in (*earlier.split(separator), now) if each))


def write_record(study: Path, record: TestRecord) -> Path:
    """Write one result to its file, whole or not at all; returns the path."""
    path = record_path(study, record.method, record.training_seed, record.test, record.result.temperature)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_json(path, record.to_json())
    return path


def record_path(study: Path, method: str, training_seed: int, test: str, temperature: float) -> Path:
    """Path of the file of a result."""
    return study / "results" / f"{method}-{training_seed}" / f"{test}-T{temperature:g}.json"


def read_record(path: Path) -> TestRecord:
    """Read the file of one result. Raises RlvlaError, naming the file, if it is missing, broken or changed by hand."""
    value = read_json(path, "evaluate the policy again")
    try:
        return TestRecord.from_json(value)
    except RlvlaError as error:
        raise RlvlaError(f"{path}: {error}") from None


def read_plan(study: Path) -> StudyPlan:
    """Read study.json. Raises RlvlaError, naming the file, if it is missing, broken or of another format."""
    path = study / "study.json"
    value = read_json(path, "name the folder of a study")
    if (found := value.get("format")) != FORMAT:
        raise RlvlaError(f"{path} has format {found!r}, not {FORMAT}: write the study again with this version")
    try:
        return build(StudyPlan, {name: entry for name, entry in value.items() if name != "format"}, "study")
    except RlvlaError as error:
        raise RlvlaError(f"{path}: {error}") from None


def read_study(study: Path) -> StudyResults:
    """Read plan and results of the folder `study`; what is not measured yet is listed in `StudyResults.missing`.

    Raises RlvlaError, naming the file, for results that are broken, changed by hand or not of the plan, and for results
    that must not be in one table: of different worlds, episode lists, evaluation seeds or numbers of episodes, or of
    two bundles of the same policy.
    """
    plan = read_plan(study)
    results: dict[Key, EvaluationResult] = {}
    lists: dict[str, EpisodeList] = {}
    bundles: dict[str, str] = {}
    for path in sorted((study / "results").glob("*/*.json")):
        record = read_record(path)
        policy = f"{record.method}-{record.training_seed}"
        try:
            _check_belongs(record, plan, path)
            if bundles.setdefault(policy, record.bundle) != record.bundle:
                raise RlvlaError(f"it is of another bundle than the other results of {policy}: evaluate it again")
            lists.setdefault(record.test, record.result.episodes).require_same(record.result.episodes)
        except RlvlaError as error:
            raise RlvlaError(f"{path}: {error}") from None
        results[policy, record.test, record.result.temperature] = record.result
    return StudyResults(folder=study, plan=plan, results=results)


def _check_belongs(record: TestRecord, plan: StudyPlan, path: Path) -> None:
    policy = f"{record.method}-{record.training_seed}"
    result = record.result
    for what, found, known in (
        ("policy", policy, [entry.name for entry in plan.policies]),
        ("test", record.test, [test.name for test in plan.tests]),
        ("temperature", result.temperature, plan.temperatures),
    ):
        if found not in known:
            raise RlvlaError(f"study.json has no {what} {found}, it has {', '.join(map(str, known))}: move it away")
    place = record_path(Path(), record.method, record.training_seed, record.test, result.temperature)
    if path.parts[-2:] != place.parts[-2:]:
        raise RlvlaError(f"the result inside belongs to {place}: the file was moved, put it back")
    if record.world != plan.world:
        raise RlvlaError(
            f"it was measured in {record.world.describe()}, the study in {plan.world.describe()}: evaluate it again"
        )
    if (longest := int(result.lengths.max())) > plan.world.max_steps:
        raise RlvlaError(f"an episode took {longest} steps, the limit is {plan.world.max_steps}: evaluate it again")
    if (result.n, result.seed) != (plan.episodes, plan.evaluation_seed):
        raise RlvlaError(
            f"it has {result.n} episodes of evaluation seed {result.seed}, the study has {plan.episodes} of seed "
            f"{plan.evaluation_seed}: evaluate it again"
        )
