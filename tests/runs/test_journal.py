"""The journal: what was confirmed is there, what was torn is not, and going back is one step."""

import json
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rlvla_core.errors import RlvlaError
from rlvla_core.runs.journal import Journal


def test_records_come_back_and_are_plain_json(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "metrics.jsonl")
    journal.append({"iteration": 1, "kl": torch.tensor(0.5), "n": np.int64(3), "seconds": {"world": np.float32(1.5)}})
    journal.append({"iteration": 2, "kl": float("nan"), "list": [torch.tensor([1, 2]), float("inf")]})
    expected = [
        {"iteration": 1, "kl": 0.5, "n": 3, "seconds": {"world": 1.5}},
        {"iteration": 2, "kl": None, "list": [[1, 2], None]},
    ]
    assert journal.read() == expected
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line, parse_constant=pytest.fail) for line in lines] == expected


@settings(max_examples=40, deadline=None)
@given(count=st.integers(1, 5), cut=st.integers(0, 200), text=st.text(max_size=5))
def test_any_cut_of_the_file_loses_only_the_torn_line(tmp_path_factory, count: int, cut: int, text: str) -> None:
    path = tmp_path_factory.mktemp("journal") / "metrics.jsonl"
    records = [{"iteration": i, "text": text} for i in range(count)]
    journal = Journal(path)
    for record in records:
        journal.append(record)
    journal.close()
    content = path.read_bytes()
    cut = min(cut, len(content))
    path.write_bytes(content[:cut])
    whole = content[:cut].count(b"\n")
    assert Journal(path).read() == records[:whole]
    again = Journal(path)
    again.append({"iteration": 99})
    assert again.read() == [*records[:whole], {"iteration": 99}]


def test_truncate_after_goes_back_to_an_iteration(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "metrics.jsonl")
    for iteration in (1, 2, 3):
        journal.append({"iteration": iteration})
        journal.append({"event": f"after {iteration}"})
    assert journal.truncate_after("iteration", 2) == 2
    assert journal.read() == [{"iteration": 1}, {"event": "after 1"}, {"iteration": 2}, {"event": "after 2"}]
    journal.append({"iteration": 3, "again": True})
    assert journal.read()[-1] == {"iteration": 3, "again": True}
    assert journal.truncate_after("iteration", 50) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_a_broken_line_in_the_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"a": 1}\nnot json\n{"a": 2}\n')
    with pytest.raises(RlvlaError, match="line 2"):
        Journal(path).read()


def test_readers_do_not_write(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    Journal(path).append({"iteration": 1})
    path.write_bytes(path.read_bytes() + b'{"torn')
    reader = Journal(path, read_only=True)
    assert reader.read() == [{"iteration": 1}]
    with pytest.raises(RuntimeError, match="rank 0"):
        reader.append({"iteration": 2})
    assert path.read_bytes().endswith(b'{"torn')


def test_the_tensorboard_mirror_has_the_same_numbers_also_after_going_back(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "metrics.jsonl", tensorboard=tmp_path / "tensorboard")
    for iteration in (1, 2, 3):
        journal.append({"iteration": iteration, "seconds": {"world": iteration / 2}, "name": "text"})
    journal.close()
    journal.truncate_after("iteration", 2)
    time.sleep(1.1)  # event files are named by the second
    journal.append({"iteration": 3, "seconds": {"world": 30.0}})
    journal.close()
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert events.Tags()["scalars"] == ["seconds/world"]
    assert [(e.step, e.value) for e in events.Scalars("seconds/world")] == [(1, 0.5), (2, 1.0), (3, 30.0)]


ENDLESS_WRITER = textwrap.dedent("""
    import sys
    from pathlib import Path
    from rlvla_core.runs.journal import Journal
    journal = Journal(Path(sys.argv[1]))
    first = len(journal.read())
    for i in range(first, 1_000_000):
        journal.append({"iteration": i, "padding": "x" * 5000})
        print(i, flush=True)
""")


def test_kill_9_in_mid_write_keeps_every_confirmed_record(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    delays = random.Random(1)
    for _ in range(2):
        with subprocess.Popen(
            [sys.executable, "-c", ENDLESS_WRITER, str(path)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            confirmed = int(process.stdout.readline())
            time.sleep(delays.random() * 0.05)
            process.send_signal(signal.SIGKILL)
            for line in process.stdout:
                confirmed = int(line)
        records = Journal(path).read()
        assert len(records) > confirmed
        assert [record["iteration"] for record in records] == list(range(len(records)))


def test_no_room_is_one_line_and_takes_the_half_line_back(tmp_path: Path) -> None:
    program = textwrap.dedent("""
        import resource, sys
        from pathlib import Path
        from rlvla_core.errors import RlvlaError
        from rlvla_core.runs.journal import Journal
        journal = Journal(Path(sys.argv[1]))
        journal.append({"iteration": 1})
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        try:
            journal.append({"iteration": 2, "padding": "x" * 500})
        except RlvlaError as error:
            print(error)
            sys.exit(7)
    """)
    path = tmp_path / "metrics.jsonl"
    result = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, timeout=60)
    assert result.returncode == 7 and "File too large" in result.stdout, result.stderr
    assert path.read_text() == '{"iteration": 1}\n'
