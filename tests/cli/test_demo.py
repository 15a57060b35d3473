"""The recipe of `make demo`, and that starting over deletes nothing but a demo."""

from pathlib import Path

import pytest

from rlvla.cli import main
from rlvla.commands import demo
from rlvla.commands.demo import Demo
from rlvla.commands.doctor import Finding, Health


@pytest.mark.parametrize("minutes", [0.5, 3.0, 18.0, 120.0])
def test_recipe_fits_into_its_minutes_and_is_one_chain(minutes: float) -> None:
    collect, warmup, ppo, evaluation = (s.command for s in Demo(minutes=minutes).chain(Path("d")).stages)
    assert sum(stage.minutes for stage in Demo(minutes=minutes).chain(Path("d")).stages) <= minutes
    assert warmup.data == collect.directory
    assert Path(ppo.policy) == warmup.directory / "policy" == evaluation.against
    assert evaluation.bundle == ppo.directory / "policy"
    assert collect.sim == ppo.sim
    assert evaluation.settings.max_steps == ppo.sim.max_steps
    assert ppo.ppo.num_envs % 4 == 0, "divides evenly over 1, 2 or 4 ranks"
    assert collect.seed != evaluation.settings.seed


def test_starting_over_refuses_a_folder_with_other_things(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "demo" / "ppo").mkdir(parents=True)
    (tmp_path / "demo" / "thesis.tex").touch()
    assert main(["demo", "--runs", str(tmp_path), "--fresh"]) == 1
    assert "thesis.tex" in capsys.readouterr().err
    assert (tmp_path / "demo" / "thesis.tex").exists()
    assert (tmp_path / "demo" / "ppo").exists()


def test_starting_over_deletes_an_earlier_demo(tmp_path: Path) -> None:
    for name in ("demonstrations", "warm-up", "ppo", "evaluation", "stages", "plots"):
        (tmp_path / "demo" / name).mkdir(parents=True)
    demo.delete(tmp_path / "demo", Demo().chain(tmp_path / "demo"))
    assert not (tmp_path / "demo").exists()


def test_the_policy_is_where_the_documentation_says(tmp_path: Path) -> None:
    """`runs/demo/policy`; and it stays there when the demo is moved, or ends a second time."""
    bundle = tmp_path / "demo" / "ppo" / "policy"
    bundle.mkdir(parents=True)
    (bundle / "config.json").write_text("{}")
    for _ in range(2):
        demo.publish(bundle, tmp_path / "demo" / demo.POLICY)
    (tmp_path / "demo").rename(tmp_path / "moved")
    assert (tmp_path / "moved" / "policy" / "config.json").read_text() == "{}"
    demo.delete(tmp_path / "moved", Demo().chain(tmp_path / "moved"))
    assert not (tmp_path / "moved").exists()


def test_broken_machine_is_said_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = Finding(subject="Vulkan", health=Health.BROKEN, detail="no driver", hint="install one")
    monkeypatch.setattr(demo, "first_broken", lambda: broken)
    assert main(["demo", "--runs", str(tmp_path)]) == 1
    assert "no driver; to repair it: install one" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
