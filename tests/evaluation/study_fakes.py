"""A small study with known outcomes, for the tests of the report."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rlvla_core.evaluation import EpisodeList, EvaluationResult
from rlvla_core.evaluation.study import records
from rlvla_core.evaluation.study.folder import StudyResults, read_study, write_plan, write_record

WORLD = records.WorldKey(robot="widowx250s", assets="procedural", max_steps=40)
SEED = 4242
ROWS = (
    ("in-distribution", "in-distribution", "in distribution"),
    ("unseen-table", "vision", "unseen table"),
    ("texture-weak", "vision", "dynamic texture, weak"),
    ("unseen-objects", "semantics", "unseen objects"),
    ("unseen-position", "execution", "unseen position"),
    ("unseen-pose", "execution", "unseen robot pose"),
)
TESTS = tuple(
    records.TestInfo(name=name, number=i, axis=axis, title=title, change=f"{title} & <nothing> else")
    for i, (name, axis, title) in enumerate(ROWS, start=1)
)


def trained(method: str, seed: int, journal: Path | None = None) -> records.Trained:
    return records.Trained(
        method=method,
        training_seed=seed,
        env_steps=5120 if method == "ppo" else 0,
        demonstrations=140,
        minutes=2.5,
        journal=journal,
        bundle=f"runs/{method}-{seed}/policy",
    )


def plan(
    policies: Sequence[records.Trained],
    *,
    episodes: int = 20,
    temperatures: tuple[float, ...] = (0.0,),
    tests: tuple[records.TestInfo, ...] = TESTS,
) -> records.StudyPlan:
    return records.StudyPlan(
        tests=tests,
        policies=tuple(policies),
        world=WORLD,
        model="tiny",
        episodes=episodes,
        evaluation_seed=SEED,
        temperatures=temperatures,
        commit="0123abc",
        command="rlvla study run --seeds 0 1",
        machine="2 cores",
    )


def result(
    test: str, success: np.ndarray, *, temperature: float = 0.0, ids: Sequence[int] | None = None, **changes: Any
) -> EvaluationResult:
    """Success at the end as given; once: also every fourth episode; something is grasped in each."""
    n = len(success)
    # A list of its own for every test, the same for everybody.
    start = 1000 * [name for name, _, _ in ROWS].index(test)
    episodes = EpisodeList(episode_set=test, num_episodes=100_000, ids=tuple(ids or range(start, start + n)))
    fields: dict[str, Any] = {
        "episodes": episodes,
        "temperature": temperature,
        "seed": SEED,
        "success_at_end": success,
        "success_once": success | (np.arange(n) % 4 == 0),
        "grasped": np.ones(n, dtype=bool),
        "returns": success.astype(np.float64),
        "lengths": np.full(n, WORLD.max_steps),
    }
    return EvaluationResult(**{**fields, **changes})


def put(study: Path, method: str, seed: int, found: EvaluationResult, world: records.WorldKey = WORLD) -> Path:
    test = found.episodes.episode_set
    bundle = f"hash of {method}-{seed}"
    record = records.TestRecord(method=method, training_seed=seed, test=test, bundle=bundle, world=world, result=found)
    return write_record(study, record)


def first(count: int, n: int = 20) -> np.ndarray:
    """The first `count` of n episodes succeed."""
    return np.arange(n) < count


def make_study(
    folder: Path, study_plan: records.StudyPlan, success: Callable[[str, int, str], np.ndarray]
) -> StudyResults:
    """Every result of the plan; success(method, seed, test) -> bool [episodes]."""
    write_plan(folder, study_plan)
    for policy in study_plan.policies:
        for test in study_plan.tests:
            for temperature in study_plan.temperatures:
                flags = success(policy.method, policy.training_seed, test.name)
                found = result(test.name, flags, temperature=temperature)
                put(folder, policy.method, policy.training_seed, found)
    return read_study(folder)


def write_journal(path: Path, updates: int, *, supervised: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        for i in range(1, updates + 1):
            row: dict[str, Any] = {"iteration": i, "seconds": {"total": 30.0}}
            if supervised:
                row |= {"loss": 5.0 / i, "accuracy": 1 - 1 / i}
            else:
                row |= {"env_steps": 5120 * i, "success_at_end": i / (updates + 5), "success_once": i / (updates + 4)}
            file.write(json.dumps(row) + "\n")
