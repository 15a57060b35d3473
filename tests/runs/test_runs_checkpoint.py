"""Checkpoints: exact round trips, damage, kill -9 and a disk that is full for real."""

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import torch

from rlvla_core.errors import RlvlaError
from rlvla_core.runs.checkpoint import MANIFEST, STATE, TENSORS, CheckpointStore, damage_of
from rlvla_core.runs.optimizer_state import optimizer_from_tensors, optimizer_to_tensors


def some_tensors(seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    base = torch.randn(4, 6, generator=generator)
    return {
        "weight": base,
        "tied": base,
        "view": base[:, 1:3].T,
        "bf16": base.to(torch.bfloat16),
        "bytes": torch.arange(5, dtype=torch.uint8),
        "scalar": torch.tensor(3.5),
        "empty": torch.zeros(0, 3),
    }


def test_round_trip_is_exact_also_for_views_ties_and_bfloat16(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "checkpoints")
    tensors, state = some_tensors(0), {"iteration": 7, "nested": {"list": [1, 2.5, None, "x"]}}
    store.save(7, tensors, state)
    loaded = store.latest()
    assert loaded is not None and loaded.step == 7 and loaded.state == state
    assert loaded.tensors.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert loaded.tensors[name].dtype == tensor.dtype
        assert torch.equal(loaded.tensors[name], tensor), name


def test_only_the_newest_are_kept_and_an_abandoned_future_goes(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep=2)
    for step in (1, 2, 3, 10):
        store.save(step, some_tensors(step), {})
    assert store.steps() == [3, 10]
    store.save(4, some_tensors(4), {})
    assert store.steps() == [3, 4]
    store.save(4, some_tensors(40), {"again": True})
    assert store.steps() == [3, 4] and store.load(4).state == {"again": True}
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("name", [TENSORS, STATE, MANIFEST])
@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_a_damaged_checkpoint_is_passed_over_with_one_line(tmp_path: Path, name: str, damage: str) -> None:
    warnings: list[str] = []
    store = CheckpointStore(tmp_path, keep=3, warn=warnings.append)
    for step in (1, 2):
        store.save(step, some_tensors(step), {"step": step})
    victim = tmp_path / "step-00000002" / name
    content = bytearray(victim.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 0x55
        victim.write_bytes(content)
    elif damage == "cut":
        victim.write_bytes(content[: len(content) // 2])
    else:
        victim.unlink()
    latest = store.latest()
    assert latest is not None and latest.state == {"step": 1}
    assert len(warnings) == 1 and "step-00000002" in warnings[0] and "\n" not in warnings[0]
    with pytest.raises(RlvlaError, match="damaged"):
        store.load(2)


def test_missing_steps_and_bad_arguments_name_the_way_out(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "none")
    assert store.latest() is None and store.steps() == []
    store.save(3, some_tensors(3), {})
    with pytest.raises(RlvlaError, match=r"no checkpoint of step 4 .* there are 3"):
        store.load(4)
    with pytest.raises(RlvlaError, match="keep=0"):
        CheckpointStore(tmp_path, keep=0)


def test_a_state_that_is_not_json_leaves_nothing_behind(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    with pytest.raises(TypeError):
        store.save(1, some_tensors(1), {"object": object()})
    assert list(tmp_path.iterdir()) == []


# A writer that has no room. The limit on the file size is the kernel's own (EFBIG), so nothing of ours is replaced.
WITHOUT_ROOM = textwrap.dedent("""
    import resource, sys, torch
    from pathlib import Path
    from rlvla_core.errors import RlvlaError
    from rlvla_core.runs.checkpoint import CheckpointStore
    store = CheckpointStore(Path(sys.argv[1]), keep=1)
    store.save(1, {"w": torch.full((1000,), 1.0)}, {"step": 1})
    if sys.argv[2] == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
    state = {"text": "x" * 4_000_000} if sys.argv[3] == "state" else {}
    size = 10 if sys.argv[3] == "state" else 1_000_000
    try:
        store.save(2, {"w": torch.full((size,), 2.0)}, state)
    except RlvlaError as error:
        print(error)
        sys.exit(7)
""")


def check_no_room(directory: Path, kind: str, what: str, message: str) -> None:
    command = [sys.executable, "-c", WITHOUT_ROOM, str(directory), kind, what]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == 7, result.stderr
    assert message in result.stdout and "--resume" in result.stdout and result.stdout.count("\n") == 1
    assert [path.name for path in directory.iterdir()] == ["step-00000001"]
    latest = CheckpointStore(directory).latest()
    assert latest is not None and torch.equal(latest.tensors["w"], torch.full((1000,), 1.0))


@pytest.mark.parametrize("what", ["tensors", "state"])
def test_no_room_is_one_line_and_earlier_checkpoints_stay(tmp_path: Path, what: str) -> None:
    check_no_room(tmp_path / "checkpoints", "limit", what, "File too large")


def test_a_full_disk_is_one_line_and_earlier_checkpoints_stay(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("mounting a small file system needs root")
    try:
        check_no_room(disk / "checkpoints", "disk", "tensors", "No space left on device")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


ENDLESS_WRITER = textwrap.dedent("""
    import sys, torch
    from pathlib import Path
    from rlvla_core.runs.checkpoint import CheckpointStore
    store = CheckpointStore(Path(sys.argv[1]), keep=2)
    first = (store.steps() or [0])[-1] + 1
    for step in range(first, 100_000):
        store.save(step, {"w": torch.full((50_000,), float(step))}, {"step": step})
        print(step, flush=True)
""")


def test_kill_9_at_any_moment_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    delays = random.Random(0)
    confirmed = 0
    for _ in range(2):
        command = [sys.executable, "-c", ENDLESS_WRITER, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(3):
                confirmed = int(process.stdout.readline())
            time.sleep(delays.random() * 0.05)
            process.send_signal(signal.SIGKILL)
            for line in process.stdout:
                confirmed = int(line)
        latest = CheckpointStore(tmp_path).latest()
        assert latest is not None and latest.step >= confirmed  # what was confirmed is there
        assert latest.state == {"step": latest.step}
        assert torch.equal(latest.tensors["w"], torch.full((50_000,), float(latest.step)))


def make_problem(seed: int) -> tuple[torch.nn.Module, torch.optim.AdamW]:
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.GELU(), torch.nn.Linear(8, 1))
    groups = [
        {"params": model[0].parameters(), "lr": 3e-3, "weight_decay": 0.0},
        {"params": model[2].parameters(), "lr": 1e-4, "betas": (0.8, 0.95)},
    ]
    return model, torch.optim.AdamW(groups, lr=1e-3)


def train(model: torch.nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> list[float]:
    losses = []
    for _ in range(steps):
        loss = (model(torch.randn(16, 5))).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_a_resumed_optimiser_continues_bit_for_bit(tmp_path: Path) -> None:
    model, optimizer = make_problem(0)
    train(model, optimizer, 3)
    tensors, state = optimizer_to_tensors(optimizer)
    weights = {f"model.{name}": value for name, value in model.state_dict().items()}
    CheckpointStore(tmp_path).save(3, {**weights, **tensors}, {"optimizer": state})
    torch.manual_seed(1)
    expected = train(model, optimizer, 4)

    model, optimizer = make_problem(99)
    loaded = CheckpointStore(tmp_path).latest()
    assert loaded is not None
    model.load_state_dict({name: loaded.tensors[f"model.{name}"] for name in model.state_dict()})
    optimizer_from_tensors(optimizer, loaded.tensors, loaded.state["optimizer"])
    torch.manual_seed(1)
    assert train(model, optimizer, 4) == expected
    assert [group["lr"] for group in optimizer.param_groups] == [3e-3, 1e-4]
    assert optimizer.param_groups[1]["betas"] == (0.8, 0.95)


def test_an_optimiser_of_another_shape_or_kind_is_refused() -> None:
    _, optimizer = make_problem(0)
    tensors, state = optimizer_to_tensors(optimizer)
    other = torch.optim.AdamW(torch.nn.Linear(5, 8).parameters())
    with pytest.raises(RlvlaError, match=r"4 parameters in 2 groups.*2 parameters in 1 groups"):
        optimizer_from_tensors(other, tensors, state)
    with pytest.raises(RlvlaError, match=r"AdamW.*SGD"):
        optimizer_from_tensors(torch.optim.SGD(torch.nn.Linear(5, 8).parameters()), tensors, state)


def test_damage_of_a_whole_checkpoint_is_none(tmp_path: Path) -> None:
    assert damage_of(CheckpointStore(tmp_path).save(0, some_tensors(0), {})) is None
