"""`rlvla study tests` and `rlvla study report` on a real bundle in the simulator, with episodes of a few steps."""

import json
from pathlib import Path
from typing import Literal

import pytest

from rlvla.commands import study_tests
from rlvla.commands.study import Study, place_in_table, plan, whole_plan
from rlvla.commands.study_report import StudyReport, copy_films
from rlvla.commands.study_tests import StudyTests
from rlvla.evaluation import EvaluationSettings
from rlvla_core.errors import RlvlaError
from rlvla_core.evaluation.study import read_study, write_plan
from rlvla_core.policy.bundle import load_bundle, save_bundle
from rlvla_core.policy.deploy import DeploySpec
from rlvla_core.policy.openvla.presets import TINY_BASE
from rlvla_sim import WorldConfig
from rlvla_sim.vec_env import env_spec

TESTS = ("dynamic-noise-weak", "in-distribution", "multi-receptacle")
STEPS = 2


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    policy = load_bundle(TINY_BASE)
    folder = tmp_path_factory.mktemp("study") / "policy"
    save_bundle(policy, folder, deploy=DeploySpec.from_env(env_spec(WorldConfig()), policy), provenance={"test": True})
    return folder


def put_through(bundle: Path, folder: Path, **options) -> StudyTests:
    given = {"method": "ppo", "tests": TESTS, "episodes": 2}
    given["settings"] = EvaluationSettings(max_steps=STEPS, seed=4242, processes=1)
    return StudyTests(bundle=bundle, directory=folder, **given | options)


def test_results_are_kept_per_bundle_and_a_second_start_only_reads(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert put_through(bundle, tmp_path, temperatures=(0.0, 0.6)).run() == 0
    files = sorted(path.name for path in (tmp_path / "results" / "ppo-0").iterdir())
    assert files == sorted(f"{test}-T{temperature}.json" for test in TESTS for temperature in ("0", "0.6"))
    shown = capsys.readouterr().out
    assert all(test in shown for test in TESTS) and "0/2" in shown

    def not_again(*_: object, **__: object) -> None:
        raise AssertionError("evaluated a second time")

    with monkeypatch.context() as patch:
        patch.setattr(study_tests, "evaluate_list", not_again)
        assert put_through(bundle, tmp_path).run() == 0
        other_limit = EvaluationSettings(max_steps=STEPS + 1, seed=4242, processes=1)
        other_seed = EvaluationSettings(max_steps=STEPS, seed=1, processes=1)
        for other in ({"settings": other_limit}, {"settings": other_seed}, {"episodes": 3}):
            with pytest.raises(AssertionError, match="second time"):
                put_through(bundle, tmp_path, **other).run()
        changed = load_bundle(bundle)
        changed.model.projector.fc1.weight.data += 0.01
        save_bundle(
            changed,
            tmp_path / "policy",
            deploy=DeploySpec.from_env(env_spec(WorldConfig()), changed),
            provenance={"test": True},
        )
        with pytest.raises(AssertionError, match="second time"):
            put_through(tmp_path / "policy", tmp_path).run()


def test_a_begun_study_has_a_report_that_says_what_is_missing(bundle: Path, tmp_path: Path) -> None:
    design = Study(
        directory=tmp_path, seeds=(0,), methods=("ppo",), sft=(), tests=TESTS, episodes=2, temperatures=(0.0,)
    )
    write_plan(tmp_path, plan(design))
    settings = EvaluationSettings(max_steps=40, seed=4242, processes=1)
    put_through(bundle, tmp_path, settings=settings, tests=TESTS[:2]).run()
    run = tmp_path / "ppo-0"
    run.mkdir()
    records = [{"iteration": i, "env_steps": 80 * i, "success_at_end": 0.5, "seconds": {"total": 30.0}} for i in (1, 2)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    (run / "config.json").write_text("{}")
    assert StudyReport(directory=tmp_path).run() == 0
    page = (tmp_path / "report" / "README.md").read_text()
    assert "missing" in page and "multi receptacle" in page
    study = read_study(tmp_path)
    ppo = {policy.method: policy for policy in study.plan.policies}["ppo"]
    assert (ppo.env_steps, ppo.minutes, ppo.demonstrations) == (160, 1.0, 140)
    assert {test.name for _, test, _ in study.missing} == set(TESTS)  # all of the warm-up, one of PPO
    assert len(study.missing) == 4


def test_columns_have_one_order_whatever_was_started_first(tmp_path: Path) -> None:
    first = plan(Study(directory=tmp_path, seeds=(1,), methods=("dpo", "ppo"), sft=())).policies
    later = plan(Study(directory=tmp_path, seeds=(0, 1), methods=("grpo",), sft=(16000, 1000))).policies
    names = [policy.name for policy in sorted({*first, *later}, key=place_in_table)]
    assert names == [
        *("warm-up-0", "sft-1000-0", "sft-16000-0", "grpo-0"),
        *("warm-up-1", "sft-1000-1", "sft-16000-1", "ppo-1", "grpo-1", "dpo-1"),
    ]


def test_a_start_with_other_methods_keeps_what_was_measured(tmp_path: Path) -> None:
    def study(method: Literal["ppo", "grpo"], episodes: int = 128) -> Study:
        return Study(directory=tmp_path, seeds=(0,), methods=(method,), sft=(), episodes=episodes, plan_only=True)

    write_plan(tmp_path, plan(study("ppo")))
    (tmp_path / "results" / "ppo-0").mkdir(parents=True)
    (tmp_path / "results" / "ppo-0" / "in-distribution-T0.json").touch()
    assert [policy.name for policy in whole_plan(study("grpo")).policies] == ["warm-up-0", "ppo-0", "grpo-0"]
    assert study("grpo").run() == 0
    with pytest.raises(RlvlaError, match="episodes a test is 128, not 3"):
        study("grpo", episodes=3).run()


def test_films_of_two_candidates_stand_beside_each_other(tmp_path: Path) -> None:
    for pair in ("ppo-0-warm-up-0", "ppo-0-sft-1000-0"):
        folder = tmp_path / "films" / "unseen-objects" / pair
        folder.mkdir(parents=True)
        (folder / "paired.mp4").write_bytes(pair.encode())
        (folder / "comparison.json").write_text(json.dumps({"names": [pair.removeprefix("ppo-0-"), "ppo-0"]}))
    shown = copy_films(tmp_path / "films", tmp_path / "report")
    assert [video.title for video in shown] == ["unseen-objects"] * 2
    assert {(tmp_path / "report" / video.path).read_text() for video in shown} == {
        "ppo-0-warm-up-0",
        "ppo-0-sft-1000-0",
    }
    assert "sft-1000-0 on the left, ppo-0 on the right" in shown[0].caption


def test_mistakes_are_one_line(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    for command, line in (
        (put_through(bundle, tmp_path, tests=("unseen-planets",)), "unknown test `unseen-planets`"),
        (put_through(bundle, tmp_path, episodes=257), "257 episodes .* use 1 .. 256"),
        (put_through(tmp_path / "nothing", tmp_path), "there is no policy bundle at"),
        (StudyReport(directory=tmp_path), "study.json"),
        (StudyReport(directory=tmp_path, notes=tmp_path / "none.txt"), "none.txt: there is no such file"),
        (StudyReport(directory=tmp_path, notes=tmp_path / "latin.txt"), "latin.txt cannot be read as UTF-8 text"),
    ):
        with pytest.raises(RlvlaError, match=line):
            command.run()
