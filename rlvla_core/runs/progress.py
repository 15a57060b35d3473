"""Progress of a long job: a live bar with rate, time left and metrics in a terminal, plain lines elsewhere."""

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

_WINDOW = 20
"""Number of last updates that the rate is taken over, so that a slow start does not spoil the time left."""


class Progress:
    """A context manager that shows how far a loop is; its budget is a total in `unit`, minutes, or the first to end.

        with Progress("PPO", total=400_000, unit="steps", minutes=8) as progress:
            progress.update(steps_done, success="41/64", kl=0.012)

    A terminal shows one live bar. Anything else (a CI log, a file) gets a plain line at most every `plain_seconds`,
    and always the last state.
    """

    def __init__(
        self,
        title: str,
        *,
        total: float | None = None,
        unit: str = "steps",
        minutes: float | None = None,
        done: float = 0,
        elapsed_seconds: float = 0.0,
        console: Console | None = None,
        plain_seconds: float = 20.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """title: name of the job. total: budget in `unit`, or None. minutes: budget of time, or None.

        done, elapsed_seconds: what a resumed run has done and taken before; they count for the bar, not for the rate.
        console: where to draw (default: standard error). plain_seconds: least time between plain lines.
        clock: monotonic time in seconds.
        """
        self.title, self.unit, self.total, self.minutes = title, unit, total, minutes
        self.done = float(done)
        self.metrics: dict[str, Any] = {}
        self._console = console or Console(stderr=True, soft_wrap=True)
        self._plain_seconds = plain_seconds
        self._clock = clock
        self._start = clock() - elapsed_seconds
        self._history: deque[tuple[float, float]] = deque([(clock(), float(done))], maxlen=_WINDOW)
        self._last_plain: float | None = None
        self._printed: tuple[float, dict[str, Any]] | None = None
        self._live: Live | None = None

    def __enter__(self) -> "Progress":
        if self._console.is_terminal:
            self._live = Live(get_renderable=self._render, console=self._console, refresh_per_second=2)
            self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
        elif self._printed != (self.done, self.metrics):
            self._print_plain()

    def update(self, done: float, **metrics: Any) -> None:
        """Say that `done` units are finished in all, and show `metrics` in place of those of the same names."""
        now = self._clock()
        self.done = float(done)
        self.metrics = {**self.metrics, **metrics}
        self._history.append((now, self.done))
        if self._live is None and (self._last_plain is None or now - self._last_plain >= self._plain_seconds):
            self._last_plain = now
            self._print_plain()

    def note(self, line: str) -> None:
        """Print `line` above the bar."""
        self._console.print(line, markup=False, highlight=False)

    @property
    def elapsed_seconds(self) -> float:
        """Seconds since the start, those before a resume included."""
        return self._clock() - self._start

    @property
    def rate(self) -> float | None:
        """Units per second over the last updates; None before the first update."""
        (first_time, first_done), (last_time, last_done) = self._history[0], self._history[-1]
        return (last_done - first_done) / (last_time - first_time) if last_time > first_time else None

    @property
    def seconds_left(self) -> float | None:
        """Seconds to the end of the budget that ends first, at the present rate; None without a budget or a rate."""
        left = []
        if self.total is not None and self.rate:
            left.append((self.total - self.done) / self.rate)
        if self.minutes is not None:
            left.append(self.minutes * 60 - self.elapsed_seconds)
        return max(0.0, min(left)) if left else None

    @property
    def fraction(self) -> float | None:
        """Fraction of the job that is done, 0..1, by the budget that ends first; None without a budget."""
        parts = []
        if self.total:
            parts.append(self.done / self.total)
        if self.minutes:
            parts.append(self.elapsed_seconds / (self.minutes * 60))
        return min(1.0, max(parts)) if parts else None

    def status(self) -> str:
        """A line like `1,200/4,000 steps · 152 steps/s · 0:08 elapsed · 0:18 left`, without what is not known."""
        total = f"/{self.total:,.0f}" if self.total is not None else ""
        parts = [f"{self.done:,.0f}{total} {self.unit}"]
        if self.rate is not None:
            parts.append(f"{_three_digits(self.rate)} {self.unit}/s")
        parts.append(f"{format_seconds(self.elapsed_seconds)} elapsed")
        if self.seconds_left is not None:
            parts.append(f"{format_seconds(self.seconds_left)} left")
        return " · ".join(parts)

    def _metrics_text(self) -> str:
        return "  ".join(f"{name} {_show(value)}" for name, value in self.metrics.items())

    def _print_plain(self) -> None:
        self._printed = (self.done, self.metrics)
        fraction = f" {self.fraction:4.0%}" if self.fraction is not None else ""
        metrics = f" | {self._metrics_text()}" if self.metrics else ""
        self._console.print(f"{self.title}{fraction} | {self.status()}{metrics}", markup=False, highlight=False)

    def _render(self) -> Group:
        grid = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=1.0, completed=self.fraction or 0.0, width=28, pulse=self.fraction is None)
        grid.add_row(Text(self.title, style="bold"), bar, Text(self.status()))
        lines: list[Any] = [grid]
        if self.metrics:
            lines.append(Text(f"  {self._metrics_text()}", style="cyan"))
        return Group(*lines)


def format_seconds(seconds: float) -> str:
    """A duration as minutes and seconds (`3:07`) or hours, minutes and seconds (`1:02:03`)."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


def _show(value: Any) -> str:
    return _three_digits(value) if isinstance(value, float) else str(value)


def _three_digits(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
