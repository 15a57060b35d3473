"""Collecting with worker processes: one result, whatever happens on the way."""

import dataclasses
import functools
import hashlib
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from data_fakes import SPEC, open_expert, same

from rlvla_core.data import Dataset, IdleFilter, drop_idle
from rlvla_core.data.collection import CollectionCounts, collect
from rlvla_core.data.demonstrator import CollectionPlan, attempt
from rlvla_core.errors import RlvlaError

HERE = Path(__file__).parent
PLAN = CollectionPlan(episodes=20, seed=3, settings={"world": "fake"})
COLLECT = """
import functools, sys
from pathlib import Path
from data_fakes import open_expert
from rlvla_core.data.collection import collect
from rlvla_core.data.demonstrator import CollectionPlan
if __name__ == "__main__":
    plan = CollectionPlan(episodes=20, seed=3, settings={"world": "fake"})
    tell = lambda counts: print(counts.demonstrations, flush=True)
    collect(functools.partial(open_expert, "slow"), plan, Path(sys.argv[1]), processes=2, on_progress=tell)
"""


def contents(path):
    return {
        str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in path.rglob("*")
        if file.is_file()
    }


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """PLAN collected by one undisturbed process; with what was reported."""
    counts: list[CollectionCounts] = []
    path = collect(open_expert, PLAN, tmp_path_factory.mktemp("one") / "set", processes=1, on_progress=counts.append)
    return path, counts


def test_successes_only_and_counted(reference):
    path, counts = reference
    dataset = Dataset.open(path)
    assert dataset.num_episodes == 20
    assert all(dataset.episode(number).success for number in range(20))
    assert len({dataset.episode(number).episode_id for number in range(20)}) == 20
    assert [count.demonstrations for count in counts] == list(range(21))
    assert dataset.provenance["attempts"] == counts[-1].attempts > 20
    assert dataset.provenance["settings"] == {"world": "fake"}
    assert dataset.env_spec == SPEC
    assert [file.name for file in path.parent.iterdir()] == ["set"]


def test_the_number_of_processes_changes_nothing(reference, tmp_path):
    path = collect(open_expert, PLAN, tmp_path / "set", processes=2)
    assert contents(path) == contents(reference[0])


def test_killed_with_all_workers_and_resumed(reference, tmp_path):
    (tmp_path / "collect.py").write_text(textwrap.dedent(COLLECT))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])}
    command = [sys.executable, str(tmp_path / "collect.py"), str(tmp_path / "set")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True)
    assert process.stdout is not None
    while int(process.stdout.readline()) < 13:  # at least one shard of ten
        pass
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert not (tmp_path / "set").exists()
    with pytest.raises(RlvlaError, match="--resume"):
        collect(open_expert, PLAN, tmp_path / "set", processes=1)
    other = CollectionPlan(episodes=20, seed=4, settings={"world": "fake"})
    with pytest.raises(RlvlaError, match="seed = 3, not 4"):
        collect(open_expert, other, tmp_path / "set", processes=1, resume=True)
    path = collect(open_expert, PLAN, tmp_path / "set", processes=1, resume=True)
    assert contents(path) == contents(reference[0])
    assert not (tmp_path / "set.parts").exists()


def test_a_worker_that_dies_is_reported_and_its_neighbours_end(tmp_path):
    with pytest.raises(RlvlaError, match=r"SIGKILL.*--resume"):
        collect(functools.partial(open_expert, "killed"), PLAN, tmp_path / "set", processes=2)
    assert not (tmp_path / "set").exists()


def test_an_expert_that_never_succeeds_is_an_error_not_a_loop(tmp_path):
    plan = CollectionPlan(episodes=2, max_attempts=4, settings={})
    with pytest.raises(RlvlaError, match="failed 4 times"):
        collect(functools.partial(open_expert, "always fails"), plan, tmp_path / "set", processes=1)


def test_idle_steps_are_dropped(reference, tmp_path):
    thresholds = IdleFilter(position=0.03, rotation=0.03)
    plan = dataclasses.replace(PLAN, idle=thresholds)
    found = Dataset.open(collect(open_expert, plan, tmp_path / "set", processes=1))
    all_steps = Dataset.open(reference[0])
    assert found.num_frames < all_steps.num_frames
    for number in range(PLAN.episodes):
        assert same(found.episode(number), drop_idle(all_steps.episode(number), thresholds))
    assert found.provenance["idle"] == {"position": 0.03, "rotation": 0.03}


def test_an_existing_dataset_is_left_alone(reference):
    with pytest.raises(RlvlaError, match="exists already"):
        collect(open_expert, PLAN, reference[0], processes=1)


def test_attempts_use_every_episode_before_any_comes_again():
    plan = CollectionPlan(episodes=6, seed=1, max_attempts=3, settings={})
    tries = [attempt(plan, 10, index, number) for number in range(3) for index in range(6)]
    assert sorted(episode_id for episode_id, _ in tries[:10]) == list(range(10))
    assert len(set(tries)) == 18  # the second time with other noise
    other = CollectionPlan(episodes=6, seed=2, settings={})
    assert tries != [attempt(other, 10, index, number) for number in range(3) for index in range(6)]
