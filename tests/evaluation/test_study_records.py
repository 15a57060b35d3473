"""The folder of a study: what is written comes back, and what must not stand in one table is refused in a line."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from study_fakes import TESTS, WORLD, first, make_study, plan, put, result, trained

from rlvla_core.errors import RlvlaError
from rlvla_core.evaluation.study import (
    StudyResults,
    read_plan,
    read_record,
    read_study,
    records,
    with_earlier,
    write_plan,
)

POLICIES = [trained("warm-up", 0), trained("ppo", 0, Path("runs/ppo-0/metrics.jsonl"))]


def small(folder: Path) -> StudyResults:
    return make_study(folder, plan(POLICIES, tests=TESTS[:2]), lambda method, seed, test: first(5))


def test_plan_and_results_come_back(tmp_path: Path) -> None:
    wanted = plan(POLICIES, tests=TESTS[:2], temperatures=(0.0, 0.6))
    study = make_study(tmp_path, wanted, lambda method, seed, test: first(7 if method == "ppo" else 3))
    assert read_plan(tmp_path) == wanted == study.plan
    assert (tmp_path / "results" / "ppo-0" / "unseen-table-T0.6.json").is_file()
    assert not study.missing and len(study.results) == 2 * 2 * 2
    again = study.result("ppo", 0, "unseen-table", 0.6)
    assert again is not None and again.success_at_end.sum() == 7 and again.temperature == 0.6
    assert study.outcomes("ppo", 0, "unseen-table", 0.6, "grasped_firmly") is None
    value = json.loads((tmp_path / "results" / "ppo-0" / "unseen-table-T0.6.json").read_text())
    assert (value["method"], value["training_seed"], value["test"]) == ("ppo", 0, "unseen-table")
    assert value["success_at_end"]["successes"] == 7
    record = read_record(tmp_path / "results" / "ppo-0" / "unseen-table-T0.6.json")
    assert (record.bundle, record.world) == ("hash of ppo-0", WORLD)


def test_what_is_not_there_yet_is_missing(tmp_path: Path) -> None:
    small(tmp_path)
    (tmp_path / "results" / "ppo-0" / "unseen-table-T0.json").unlink()
    study = read_study(tmp_path)
    assert [(p.name, t.name, temperature) for p, t, temperature in study.missing] == [("ppo-0", "unseen-table", 0.0)]
    assert study.result("ppo", 0, "unseen-table", 0.0) is None
    write_plan(tmp_path / "new", plan(POLICIES))
    assert len(read_study(tmp_path / "new").missing) == 2 * len(TESTS)


def test_a_later_plan_keeps_what_was_measured_before(tmp_path: Path) -> None:
    before = plan(POLICIES, tests=TESTS[1:3], temperatures=(0.6,))
    before = dataclasses.replace(before, commit="a1", command="first")
    assert with_earlier(tmp_path, before) == before
    make_study(tmp_path, before, lambda method, seed, test: first(5))
    unmeasured = trained("dpo", 0)
    begun = {"policies": (*POLICIES, unmeasured), "tests": TESTS[1:4], "temperatures": (0.6, 0.7)}
    write_plan(tmp_path, dataclasses.replace(before, **begun))
    now = plan([trained("warm-up", 0), trained("grpo", 0)], tests=TESTS[:2])
    whole = with_earlier(tmp_path, dataclasses.replace(now, commit="b2", command="second"))
    assert [policy.name for policy in whole.policies] == ["warm-up-0", "grpo-0", "ppo-0"]
    assert [test.name for test in whole.tests] == [test.name for test in TESTS[:3]]
    assert (whole.temperatures, whole.commit, whole.command) == ((0.0, 0.6), "a1, b2", "first && second")
    write_plan(tmp_path, whole)
    again = with_earlier(tmp_path, before)  # nothing of grpo, of the first test or of greedy was measured meanwhile
    assert again == dataclasses.replace(before, commit=whole.commit, command=whole.command)
    assert len(read_study(tmp_path).results) == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"episodes": 3}, "a study where episodes a test is 20, not 3: give another --directory"),
        ({"model": "openvla-7b"}, "the model is tiny, not openvla-7b"),
        ({"evaluation_seed": 5}, "the evaluation seed is"),
        ({"world": dataclasses.replace(WORLD, robot="panda")}, "the world is .*, not panda"),
    ],
)
def test_another_study_is_not_mixed_in(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    small(tmp_path)
    with pytest.raises(RlvlaError, match=message):
        with_earlier(tmp_path, dataclasses.replace(plan(POLICIES, tests=TESTS[:2]), **change))


def edit(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v["episodes"]["ids"].__setitem__(0, 99), "do not match their hash"),
        (lambda v: v["episodes"]["success_at_end"].__setitem__(0, 0), "summary says 5 .* the episodes say 4"),
        (lambda v: v["episodes"]["returns"].__setitem__(0, "much"), "not an evaluation result"),
        (lambda v: v.pop("seconds"), "not an evaluation result"),
        (lambda v: v.pop("test"), "`test` is None"),
        (lambda v: v.pop("bundle"), "`bundle` is None"),
        (lambda v: v.update(bundle="hash of a second training"), "another bundle than the other results of ppo-0"),
        (lambda v: v.pop("world"), "`world` is None"),
        (lambda v: v["world"].update(robot="panda"), "measured in panda, procedural .*, the study in widowx250s"),
        (lambda v: v["world"].update(assets="paper"), "measured in widowx250s, paper assets"),
        (lambda v: v["world"].update(max_steps=80), "80 steps, the study in .* 40 steps"),
        (lambda v: v["world"].update(gravity=1), r"unknown key `world\.gravity`"),
        (lambda v: v["episodes"]["lengths"].__setitem__(0, 41), "took 41 steps, the limit is 40"),
        (lambda v: v.update(seed=7), "evaluation seed 7, the study has 20 of seed 4242"),
        (lambda v: v.update(temperature=0.3), "no temperature 0.3"),
        (lambda v: v.update(test="unseen-planet"), "no test unseen-planet, it has in-distribution, unseen-table"),
        (lambda v: v.update(training_seed=5), "no policy ppo-5"),
        (lambda v: v.update(method="warm-up"), "belongs to results/warm-up-0/unseen-table-T0.json"),
        (lambda v: v.clear(), "`method` is None"),
    ],
)
def test_a_result_that_does_not_belong_is_refused(tmp_path: Path, change: Callable, message: str) -> None:
    small(tmp_path)
    path = tmp_path / "results" / "ppo-0" / "unseen-table-T0.json"
    edit(path, change)
    with pytest.raises(RlvlaError, match=message) as refused:
        read_study(tmp_path)
    assert str(refused.value).startswith(str(path)) and "\n" not in str(refused.value)


def test_two_lists_or_sizes_of_one_test_are_refused(tmp_path: Path) -> None:
    small(tmp_path)
    put(tmp_path, "ppo", 0, result("unseen-table", first(5), ids=range(500, 520)))
    with pytest.raises(RlvlaError, match="of two episode lists"):
        read_study(tmp_path)
    put(tmp_path, "ppo", 0, result("unseen-table", first(5, n=12)))
    with pytest.raises(RlvlaError, match="12 episodes of evaluation seed 4242, the study has 20"):
        read_study(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.update(format=2), "has format 2, not 1"),
        (lambda v: v.pop("machine"), r"key `study\.machine` is missing"),
        (lambda v: v.update(colour="red"), r"unknown key `study\.colour`"),
        (lambda v: v.update(episodes="many"), "study.episodes` is 'many': write a whole number"),
        (lambda v: v.update(temperatures=0.6), "temperatures` is 0.6: write a list"),
        (lambda v: v.update(temperatures=[0.6, 0.6]), "temperature 0.6 twice"),
        (lambda v: v.update(temperatures=[-1]), "temperature must be 0"),
        (lambda v: v.update(policies=[]), "has no policy"),
        (lambda v: v["policies"].append(v["policies"][0]), "policy warm-up-0 twice"),
        (lambda v: v["policies"][0].update(method="Warm Up"), "called 'Warm Up'"),
        (lambda v: v["policies"][0].update(minutes=-1), "minutes of warm-up is -1"),
        (lambda v: v["policies"][1].update(journal=3), r"policies\[1\].journal` is 3: write a word"),
        (lambda v: v["tests"][1].update(axis="weather"), "the axis 'weather': use one of in-distribution, vision"),
        (lambda v: v["tests"][1].update(name="in-distribution"), "test in-distribution twice"),
    ],
)
def test_a_broken_plan_is_refused(tmp_path: Path, change: Callable, message: str) -> None:
    small(tmp_path)
    edit(tmp_path / "study.json", change)
    with pytest.raises(RlvlaError, match=message) as refused:
        read_study(tmp_path)
    assert str(refused.value).startswith(str(tmp_path / "study.json")) and "\n" not in str(refused.value)


def test_files_that_are_no_json_are_named(tmp_path: Path) -> None:
    with pytest.raises(RlvlaError, match=r"study\.json is missing: name the folder of a study"):
        read_study(tmp_path)
    small(tmp_path)
    path = tmp_path / "results" / "ppo-0" / "unseen-table-T0.json"
    path.write_text(path.read_text()[:100])
    with pytest.raises(RlvlaError, match=r"unseen-table-T0\.json is not valid JSON"):
        read_study(tmp_path)


def test_the_writer_leaves_no_half_file_and_records_are_frozen(tmp_path: Path) -> None:
    small(tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".")]
    with pytest.raises(dataclasses.FrozenInstanceError):
        WORLD.robot = "panda"  # type: ignore[misc]
    record = records.TestRecord(
        method="ppo",
        training_seed=0,
        test="unseen-table",
        bundle="hash",
        world=WORLD,
        result=result("unseen-table", first(5)),
    )
    again = records.TestRecord.from_json(json.loads(json.dumps(record.to_json())))
    np.testing.assert_array_equal(again.result.success_once, record.result.success_once)
    assert again.to_json() == record.to_json()
