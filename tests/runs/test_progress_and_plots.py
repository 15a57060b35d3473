"""Progress lines say the true rate and time left; plots hold every curve that the journal has."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from rich.console import Console

from rlvla_core.errors import RlvlaError
from rlvla_core.runs.plots import plot_learning_curves, running_mean, with_minutes
from rlvla_core.runs.progress import Progress, format_seconds


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_rate_and_time_left_follow_the_clock() -> None:
    clock = Clock()
    progress = Progress("PPO", total=4000, minutes=1.0, clock=clock, console=Console(file=io.StringIO()))
    clock.now += 10
    progress.update(1000)
    assert progress.rate == pytest.approx(100)
    assert progress.seconds_left == pytest.approx(30)  # 3000 steps at 100/s, before the minute ends
    clock.now += 40
    progress.update(1500)
    assert progress.seconds_left == pytest.approx(10)  # now the minute ends first
    assert progress.fraction == pytest.approx(50 / 60)


def test_a_resumed_run_counts_its_past_for_the_bar_but_not_for_the_rate() -> None:
    clock = Clock()
    progress = Progress(
        "PPO", total=4000, done=2000, elapsed_seconds=500, clock=clock, console=Console(file=io.StringIO())
    )
    clock.now += 10
    progress.update(2500)
    assert progress.rate == pytest.approx(50)
    assert progress.elapsed_seconds == pytest.approx(510)
    assert progress.fraction == pytest.approx(0.625)


def test_without_a_terminal_lines_are_plain_sparse_and_the_last_is_there() -> None:
    clock, output = Clock(), io.StringIO()
    console = Console(file=output, soft_wrap=True)
    with Progress("PPO", total=100, clock=clock, console=console, plain_seconds=20) as progress:
        for step in range(1, 101):
            clock.now += 1
            progress.update(step, kl=0.0123456, success="41/64")
    lines = output.getvalue().splitlines()
    assert len(lines) == 6  # 1 s, 21 s, 41 s, 61 s, 81 s and the end
    assert "\x1b" not in output.getvalue()
    assert lines[-1] == "PPO 100% | 100/100 steps · 1 steps/s · 1:40 elapsed · 0:00 left | kl 0.0123  success 41/64"


def test_a_terminal_shows_figures_and_time_left() -> None:
    clock, output = Clock(), io.StringIO()
    console = Console(file=output, force_terminal=True, width=140)
    with Progress("PPO", total=100, clock=clock, console=console) as progress:
        clock.now += 5
        progress.update(50, kl=0.01)
        progress.note("checkpoint saved")
    text = output.getvalue()
    assert "50/100 steps" in text and "0:05 left" in text and "kl 0.01" in text and "checkpoint saved" in text


def test_durations_are_written_as_a_clock() -> None:
    assert [format_seconds(s) for s in (0.4, 59.6, 3661, 7)] == ["0:00", "1:00", "1:01:01", "0:07"]


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=30), st.integers(0, 8))
def test_running_mean_equals_the_loop(values: list[float], half: int) -> None:
    expected = [np.mean(values[max(0, i - half) : i + half + 1]) for i in range(len(values))]
    np.testing.assert_allclose(running_mean(np.array(values), 2 * half + 1), expected, atol=1e-8)


def test_a_plot_is_drawn_from_partial_records(tmp_path: Path) -> None:
    records: list[dict] = [
        {"iteration": i, "env_steps": 100 * i, "success_at_end": i / 30, "kl": 0.01}
        | {"seconds": {"world": 1.0, "policy": 2.0, "update": 3.0, "total": 6.5}}
        for i in range(30)
    ]
    records[3]["kl"] = None
    records.append({"event": "resumed"})
    path = plot_learning_curves(records, tmp_path / "plots" / "curves.png", title="test")
    with Image.open(path) as image:
        assert image.width > 1000 and image.height > 500
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    assert len(np.unique(pixels, axis=0)) > 50  # curves in several colours, not an empty canvas


def test_minutes_add_up_over_the_records_that_have_a_time() -> None:
    records = [{"seconds/total": 30.0}, {"loss": 1.0}, {"seconds/total": 90.0}]
    assert [record.get("minutes") for record in with_minutes(records)] == [0.5, None, 2.0]


def test_nothing_to_plot_is_said(tmp_path: Path) -> None:
    with pytest.raises(RlvlaError, match="nothing to plot"):
        plot_learning_curves([{"iteration": 1}], tmp_path / "x.png", title="empty")
