"""A dataset appears complete or not at all."""

import os
import resource
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from data_fakes import make_episode, same

from rlvla_core.data import Dataset, DatasetWriter
from rlvla_core.errors import RlvlaError

HERE = Path(__file__).parent
WRITE_FOREVER = """
import itertools, sys
from data_fakes import make_episode
from rlvla_core.data import DatasetWriter
writer = DatasetWriter(sys.argv[1], fps=5, robot="r")
for seed in itertools.count():
    writer.add(make_episode(seed % 50))
    print(seed, flush=True)
"""


def write(path, seeds):
    with DatasetWriter(path, fps=5, robot="r") as writer:
        for seed in seeds:
            writer.add(make_episode(seed))
    return path


def test_an_existing_directory_is_left_alone(tmp_path):
    (tmp_path / "set").mkdir()
    with pytest.raises(RlvlaError, match="set exists already"):
        DatasetWriter(tmp_path / "set", fps=5, robot="r")
    assert list(tmp_path.iterdir()) == [tmp_path / "set"]


def test_an_exception_writes_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), DatasetWriter(tmp_path / "set", fps=5, robot="r") as writer:
        writer.add(make_episode(0))
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_no_episodes_is_an_error(tmp_path):
    with pytest.raises(RlvlaError, match="no episode"):
        write(tmp_path / "set", [])
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_comes_to_exist_meanwhile_wins(tmp_path):
    writer = DatasetWriter(tmp_path / "set", fps=5, robot="r")
    writer.add(make_episode(0))
    write(tmp_path / "set", [1])
    with pytest.raises(RlvlaError, match="exists already"):
        writer.close()
    writer.discard()
    assert same(Dataset.open(tmp_path / "set").episode(0), make_episode(1))
    assert list(tmp_path.iterdir()) == [tmp_path / "set"]


def test_a_killed_writer_leaves_no_dataset_and_the_next_one_cleans_up(tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])}
    command = [sys.executable, "-c", textwrap.dedent(WRITE_FOREVER), str(tmp_path / "set")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    while int(process.stdout.readline()) < 300:  # more than one batch of episode rows
        pass
    other = write(tmp_path / "other", [2])  # a neighbour is not disturbed, and does not disturb
    (partial,) = tmp_path.glob(".set.partial-*")
    with pytest.raises(RlvlaError, match="no episode"):
        write(tmp_path / "set", [])
    assert partial.exists()  # its writer lives
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert not (tmp_path / "set").exists()
    write(tmp_path / "set", [0, 1])
    assert Dataset.open(tmp_path / "set").num_episodes == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "set"]
    assert Dataset.open(other).num_episodes == 1


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path):
    """The kernel's limit on file size stands for the full disk: both fail a write half way."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        with (
            pytest.raises(RlvlaError, match=r"cannot write .*free some space"),
            DatasetWriter(tmp_path / "set", fps=5, robot="r") as writer,
        ):
            for seed in range(40):
                writer.add(make_episode(seed, size=(64, 64)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert list(tmp_path.iterdir()) == []


def test_memory_does_not_grow_with_the_dataset(tmp_path):
    """24 more episodes of 1.6 MB of noise each take far less than 38 MB more of memory."""
    code = """
    import resource, sys
    from data_fakes import make_episode
    from rlvla_core.data import DatasetWriter
    episode = make_episode(0, steps=8, size=(256, 256))
    with DatasetWriter(sys.argv[1], fps=5, robot="r") as writer:
        for _ in range(4): writer.add(episode)
        low = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in range(24): writer.add(episode)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - low)
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])}
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "set")]
    grown = int(subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout)
    assert grown < 19_000  # KiB


def test_random_batches_are_fast(tmp_path):
    """The aim is 20,000 frames/s in batches of 64 images of 64 x 64; a quarter of it even on a busy machine."""
    import torch

    with DatasetWriter(tmp_path / "set", fps=5, robot="r") as writer:
        for seed in range(10):
            writer.add(make_episode(seed, steps=50, size=(64, 64)))
    dataset = Dataset.open(tmp_path / "set")
    generator = torch.Generator().manual_seed(0)
    start = time.perf_counter()
    for _ in range(100):
        dataset.frames(torch.randint(dataset.num_frames, (64,), generator=generator))
    assert 6400 / (time.perf_counter() - start) > 5_000
