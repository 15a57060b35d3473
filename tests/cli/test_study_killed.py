"""`kill -9` of `rlvla study`, as one: the same command goes on, and nothing that was finished is done again."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_study import ITERATIONS

from rlvla_core.evaluation.study import read_study

STUDY = Path(__file__).with_name("tiny_study.py")


def start(folder: Path, log: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, STUDY, "--directory", folder]
    with log.open("ab") as output:
        return subprocess.Popen(command, stdout=output, stderr=output)


def kill_once(process: subprocess.Popen[bytes], reached: Callable[[], bool], log: Path) -> None:
    """SIGKILL to the process that the user started, its ranks and workers not asked, as soon as `reached`."""
    while not reached():
        assert process.poll() is None, f"ended before it could be killed:\n{log.read_text()}"
        time.sleep(0.02)
    process.kill()
    process.wait()


def stamps(folder: Path, pattern: str) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.glob(pattern)}


@pytest.mark.timeout(600)
def test_a_study_killed_in_training_and_in_testing_goes_on(tmp_path: Path) -> None:
    folder, log = tmp_path / "study", tmp_path / "log"
    results = folder / "results"

    def iterations() -> list[int]:
        journal = folder / "ppo-0" / "metrics.jsonl"
        lines = journal.read_text().splitlines(keepends=True) if journal.is_file() else []
        return [json.loads(line)["iteration"] for line in lines if line.endswith("\n")]

    kill_once(start(folder, log), lambda: len(iterations()) >= 2, log)
    warmup = stamps(folder, "warm-up-0/policy/*") | stamps(folder, "results/warm-up-0/*")
    assert len(iterations()) < ITERATIONS
    kill_once(start(folder, log), lambda: any(results.glob("ppo-0/*.json")), log)
    first = stamps(folder, "results/ppo-0/*.json")
    assert start(folder, log).wait() == 0, log.read_text()

    assert warmup.items() <= (stamps(folder, "warm-up-0/policy/*") | stamps(folder, "results/warm-up-0/*")).items()
    assert first.items() <= stamps(folder, "results/ppo-0/*.json").items()
    assert iterations() == list(range(1, ITERATIONS + 1))
    study = read_study(folder)
    assert not study.missing
    assert (folder / "report" / "index.html").is_file()
    records = {path.stem: json.loads(path.read_text()) for path in (folder / "stages").glob("*.json")}
    assert records.keys() == {"demonstrations-4", "warm-up-0", "tests-warm-up-0-T0", "ppo-0", "tests-ppo-0-T0"}
    assert all(record["minutes"] is not None for record in records.values())
