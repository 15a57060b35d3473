"""StageChain: it skips stages that are done, continues those that were started, refuses other settings."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from rlvla.stages import Stage, StageChain
from rlvla_core.errors import RlvlaError

CALLS: list[tuple[str, bool]] = []
"""(directory, resume) of every start, in order."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """Leaves a run directory, then a result; dies in between when told to."""

    directory: Path
    setting: int = 1
    resume: bool = False

    def run(self) -> int:
        CALLS.append((self.directory.name, self.resume))
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "config.json").touch()
        if (self.directory.parent / "power cut").exists():
            raise KeyboardInterrupt
        if self.setting < 0:
            return 3
        (self.directory / "result").touch()
        return 0


@pytest.fixture(autouse=True)
def forget() -> None:
    CALLS.clear()


def chain(folder: Path, first: int = 1, second: int = 1) -> StageChain:
    works = [Work(directory=folder / "one", setting=first), Work(directory=folder / "two", setting=second)]
    stages = [
        Stage(name=work.directory.name, purpose="works", command=work, output=work.directory / "result", minutes=1.0)
        for work in works
    ]
    return StageChain(stages=stages, records=folder / "stages")


def run(chain: StageChain) -> list[tuple[str, bool]]:
    """What was started."""
    CALLS.clear()
    chain.run(Console(quiet=True))
    return list(CALLS)


def test_finished_stages_are_skipped(tmp_path: Path) -> None:
    assert run(chain(tmp_path)) == [("one", False), ("two", False)]
    assert run(chain(tmp_path)) == []
    assert set(chain(tmp_path).minutes_taken()) == {"one", "two"}
    assert sum("done already" in line for line in chain(tmp_path).plan()) == 2


def test_interrupted_stage_is_resumed_and_the_rest_follows(tmp_path: Path) -> None:
    (tmp_path / "power cut").touch()
    with pytest.raises(KeyboardInterrupt):
        run(chain(tmp_path))
    (tmp_path / "power cut").unlink()
    assert run(chain(tmp_path)) == [("one", True), ("two", False)]


def test_stage_whose_result_was_deleted_runs_again(tmp_path: Path) -> None:
    run(chain(tmp_path))
    (tmp_path / "two" / "result").unlink()
    assert run(chain(tmp_path)) == [("two", True)]


@pytest.mark.parametrize(("first", "second", "named"), [(2, 1, "one"), (1, 2, "two")])
def test_other_settings_are_refused_before_anything_runs(tmp_path: Path, first: int, second: int, named: str) -> None:
    run(chain(tmp_path))
    with pytest.raises(RlvlaError, match=f"holds {named} with other settings.*--fresh"):
        run(chain(tmp_path, first, second))
    assert CALLS == []


def test_death_between_a_complete_result_and_its_record_costs_nothing(tmp_path: Path) -> None:
    plain = chain(tmp_path)
    whole = dataclasses.replace(plain, stages=[dataclasses.replace(s, appears_complete=True) for s in plain.stages])
    (tmp_path / "power cut").touch()
    with pytest.raises(KeyboardInterrupt):
        run(whole)
    (tmp_path / "power cut").unlink()
    (tmp_path / "one" / "result").touch()
    assert run(whole) == [("two", False)]


def test_begun_stage_of_other_settings_is_refused(tmp_path: Path) -> None:
    (tmp_path / "power cut").touch()
    with pytest.raises(KeyboardInterrupt):
        run(chain(tmp_path))
    with pytest.raises(RlvlaError, match="other settings"):
        run(chain(tmp_path, first=2))


def test_a_stage_depends_on_the_settings_of_those_before_it(tmp_path: Path) -> None:
    plain, changed = chain(tmp_path), chain(tmp_path, first=2)
    assert plain.fingerprint(plain.stages[1]) != changed.fingerprint(changed.stages[1])
    other = dataclasses.replace(plain, stages=[plain.stages[0], chain(tmp_path, second=2).stages[1]])
    assert plain.fingerprint(plain.stages[0]) == other.fingerprint(other.stages[0])


def test_a_stage_that_names_its_needs_does_not_mind_the_others(tmp_path: Path) -> None:
    def three(first: int, second: int) -> StageChain:
        one, two = chain(tmp_path, first, second).stages
        work = Work(directory=tmp_path / "three")
        third = Stage(name="three", purpose="works", command=work, output=work.directory / "result", minutes=1.0)
        return StageChain(
            stages=[one, dataclasses.replace(two, needs=()), dataclasses.replace(third, needs=("two",))],
            records=tmp_path / "stages",
        )

    def prints(chain: StageChain) -> list[str]:
        return [chain.fingerprint(stage) for stage in chain.stages]

    plain, first, second = prints(three(1, 1)), prints(three(2, 1)), prints(three(1, 2))
    assert plain[0] != first[0] and plain[1:] == first[1:]
    assert plain[0] == second[0] and plain[1] != second[1] and plain[2] != second[2]


def test_failing_stage_stops_the_chain_and_leaves_no_record(tmp_path: Path) -> None:
    with pytest.raises(RlvlaError, match="stage one ended with 3"):
        run(chain(tmp_path, first=-1))
    assert CALLS == [("one", False)]
    assert chain(tmp_path).minutes_taken() == {}
