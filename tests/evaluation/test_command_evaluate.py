"""`rlvla evaluate` on bundles of a toy world: files, numbers, refusals."""

import json
from pathlib import Path

import av
import pytest

from rlvla.commands.evaluate import Evaluate
from rlvla.evaluation import EvaluationSettings, bundle_names
from rlvla.worlds import bundle_world, make_env
from rlvla_core.errors import RlvlaError
from rlvla_core.evaluation import EvaluationResult, wilson
from rlvla_core.policy.bundle import save_bundle
from rlvla_core.policy.deploy import DeploySpec
from rlvla_core.policy.norm_stats import NormStats
from rlvla_core.policy.policy import VLAPolicy
from rlvla_core.toy import ToyConfig, make_toy_env
from rlvla_sim.config import WorldConfig
from rlvla_sim.robots import View
from rlvla_sim.vec_env import env_spec

STATS = NormStats(q01=(-0.1,) * 6 + (0.0,), q99=(0.1,) * 6 + (1.0,), mask=(True,) * 6 + (False,))


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("runs")
    spec = make_toy_env(ToyConfig(task="reach"), 1).spec
    paths = []
    for seed, name in enumerate(("warmup", "ppo")):
        policy = VLAPolicy.from_preset("tiny", STATS, seed=seed)
        path = root / name / "policy"
        save_bundle(policy, path, deploy=DeploySpec.from_env(spec, policy), provenance={})
        paths.append(path)
    return paths[0], paths[1]


def settings(num_envs: int = 32, processes: int = 1) -> EvaluationSettings:
    return EvaluationSettings(num_envs=num_envs, processes=processes)


def test_two_bundles_are_compared_and_everything_is_written(
    bundles: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    before, after = bundles
    assert Evaluate(bundle=after, against=before, episodes=6, video=2, settings=settings(num_envs=4)).run() == 0
    output = after.parent / "evaluation"
    names = {"result.json", "result.md", "comparison.json", "comparison.md", "episodes.mp4", "paired.mp4", "sheet.png"}
    assert {path.name for path in output.iterdir()} == names
    value = json.loads((output / "result.json").read_text())
    result = EvaluationResult.from_json(value)
    assert result.n == 6 and result.episodes.episode_set == "toy-reach"
    rate = value["success_at_end"]
    assert rate["wilson95"] == list(wilson(rate["successes"], 6))
    comparison = json.loads((output / "comparison.json").read_text())
    assert comparison["names"] == ["warmup/policy", "ppo/policy"] and comparison["list_sha256"] == value["list_sha256"]
    with av.open(str(output / "paired.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) > 10
    printed = capsys.readouterr().out
    assert "ppo/policy" in printed and "/6 = " in printed and "Only n=6" in printed


def test_the_result_does_not_depend_on_the_number_of_processes(bundles: tuple[Path, Path], tmp_path: Path) -> None:
    columns = []
    for processes in (1, 2):
        options = {"episodes": 5, "temperature": 1.0, "video": 0, "settings": settings(3, processes)}
        output = tmp_path / str(processes)
        Evaluate(bundle=bundles[0], output=output, **options).run()  # type: ignore[arg-type]
        columns.append(json.loads((output / "result.json").read_text())["episodes"])
    assert columns[0] == columns[1]


def test_bundles_are_called_by_the_shortest_tails_that_differ() -> None:
    paths = [Path("/runs/a/policy"), Path("/runs/b/policy")]
    assert bundle_names(paths) == ["a/policy", "b/policy"]
    assert bundle_names([Path("/x/a/run/policy"), Path("/x/b/run/policy")]) == ["a/run/policy", "b/run/policy"]


def test_bad_requests_are_one_line(bundles: tuple[Path, Path], tmp_path: Path) -> None:
    bundle = bundles[0]
    cases = [
        (Evaluate(bundle=tmp_path / "absent"), "no policy bundle at"),
        (Evaluate(bundle=bundle, against=bundle), "is the same bundle"),
        (Evaluate(bundle=bundle, episodes=0), "--episodes 0: use 1 or more"),
        (Evaluate(bundle=bundle, episode_set="test", settings=settings()), "leave out --episode-set test"),
        (Evaluate(bundle=bundle, temperature=-1.0, episodes=2), "temperature"),
    ]
    for command, message in cases:
        with pytest.raises(RlvlaError, match=message) as caught:
            command.run()
        assert "\n" not in str(caught.value)


def test_a_bundle_of_another_control_rate_is_refused(bundles: tuple[Path, Path], tmp_path: Path) -> None:
    spec = make_toy_env(ToyConfig(task="reach"), 1).spec
    policy = VLAPolicy.from_preset("tiny", STATS)
    deploy = DeploySpec(
        robot=spec.robot,
        camera=spec.camera,
        control_hz=10.0,
        action_space=spec.action_space,
        image_transform=policy.transform.hash(),
    )
    save_bundle(policy, tmp_path / "policy", deploy=deploy, provenance={})
    with pytest.raises(RlvlaError, match=r"control rate in Hz 10\.0, here it is 5\.0"):
        Evaluate(bundle=tmp_path / "policy", episodes=1, settings=settings()).run()


@pytest.mark.parametrize("view", ["whole", "workspace"])
def test_the_world_has_the_camera_of_the_bundle(view: View) -> None:
    policy = VLAPolicy.from_preset("tiny", STATS)
    deploy = DeploySpec.from_env(env_spec(WorldConfig(view=view, image_height=48)), policy)
    env = make_env(bundle_world(deploy), 1)
    assert env.spec.camera == deploy.camera
    env.close()
