"""A run directory: one writer, one configuration, and clear words otherwise."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from rlvla_core.errors import RlvlaError
from rlvla_core.runs import RunDirectory

CONFIG: dict = {"ppo": {"lr": 1e-4, "minutes": 8.0, "betas": [0.9, 0.95]}, "world": {"robot": "panda"}, "seed": 0}


def changed(**ppo: object) -> dict:
    return {**CONFIG, "ppo": {**CONFIG["ppo"], **ppo}}


def test_a_new_run_has_its_files_and_no_trace_of_the_machine(tmp_path: Path) -> None:
    with RunDirectory.create(tmp_path / "runs" / "first", CONFIG) as run:
        names = {path.name for path in run.path.iterdir() if not path.name.startswith(".")}
        folders = {"checkpoints", "tensorboard", "plots", "policy"}
        assert names == {"config.json", "provenance.json", *folders}
        assert run.config == CONFIG
        (start,) = run.provenance["starts"]
        assert set(start) == {"command", "started", "git", "platform", "versions"}
        assert {"python", "torch", "safetensors"} <= set(start["versions"])
        assert os.uname().nodename not in json.dumps(start["git"]) + start["platform"]


def test_a_second_start_needs_resume(tmp_path: Path) -> None:
    RunDirectory.create(tmp_path / "run", CONFIG).close()
    with pytest.raises(RlvlaError, match="--resume, or choose another name"):
        RunDirectory.create(tmp_path / "run", CONFIG)
    with RunDirectory.create(tmp_path / "run", CONFIG, resume=True) as run:
        assert len(run.provenance["starts"]) == 2


def test_resume_with_another_configuration_names_the_first_key_and_both_values(tmp_path: Path) -> None:
    RunDirectory.create(tmp_path / "run", CONFIG).close()
    with pytest.raises(RlvlaError, match=r"`ppo\.lr` was 0\.0001 and is now 0\.0003"):
        RunDirectory.create(tmp_path / "run", changed(lr=3e-4, minutes=20.0), resume=True)
    with pytest.raises(RlvlaError, match=r"`ppo\.extra` was not set and is now true"):
        RunDirectory.create(tmp_path / "run", changed(extra=True), resume=True)
    with pytest.raises(RlvlaError, match=r"`ppo\.minutes` was 8\.0"):
        RunDirectory.create(tmp_path / "run", changed(minutes=20.0), resume=True)
    with RunDirectory.create(tmp_path / "run", changed(minutes=20.0), resume=True, may_change=("ppo.minutes",)) as run:
        assert run.config["ppo"]["minutes"] == 20.0
    with RunDirectory.create(tmp_path / "run", changed(lr=1.0), resume=True, may_change=("ppo",)) as run:
        assert run.config == changed(lr=1.0)


def test_what_cannot_be_resumed_or_overwritten(tmp_path: Path) -> None:
    with pytest.raises(RlvlaError, match="nothing to resume"):
        RunDirectory.create(tmp_path / "absent", CONFIG, resume=True)
    assert not (tmp_path / "absent").exists()
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("precious")
    for resume in (False, True):
        with pytest.raises(RlvlaError, match=r"not empty \(thesis\.tex\)"):
            RunDirectory.create(other, CONFIG, resume=resume)
    with pytest.raises(RlvlaError, match="is a file"):
        RunDirectory.create(other / "thesis.tex", CONFIG)
    with pytest.raises(RlvlaError, match="not a run directory"):
        RunDirectory.open_read_only(other)


def test_a_run_killed_before_its_configuration_was_written_starts_anew(tmp_path: Path) -> None:
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / ".config.json.tmp-1").write_text("{")
    with RunDirectory.create(tmp_path / "run", CONFIG, resume=True) as run:
        assert run.config == CONFIG


def test_a_run_with_an_option_that_is_gone_is_for_the_version_that_wrote_it(tmp_path: Path) -> None:
    RunDirectory.create(tmp_path / "run", {**CONFIG, "worlds": 8}).close()
    with pytest.raises(RlvlaError, match=r"`worlds` was 8 and is now not set; resume it with the version"):
        RunDirectory.create(tmp_path / "run", CONFIG, resume=True)


HOLDER = textwrap.dedent("""
    import sys, time
    from rlvla_core.runs import RunDirectory
    run = RunDirectory.create(sys.argv[1], {"seed": 0})
    print("held", flush=True)
    time.sleep(60)
""")


def test_two_processes_never_write_one_run_and_a_killed_one_frees_it(tmp_path: Path) -> None:
    path = tmp_path / "run"
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        with pytest.raises(RlvlaError, match=f"process {process.pid}"):
            RunDirectory.create(path, {"seed": 0}, resume=True)
        reader = RunDirectory.open_read_only(path)  # readers need no lock
        assert reader.config == {"seed": 0} and reader.journal.read() == []
        process.kill()
    with (
        RunDirectory.create(path, {"seed": 0}, resume=True),
        pytest.raises(RlvlaError, match="already open in this process"),
    ):
        RunDirectory.create(path, {"seed": 0}, resume=True)
    RunDirectory.create(path, {"seed": 0}, resume=True).close()
