"""The parts of a report, before they become HTML or Markdown. All text is plain; `code` stands in backticks."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Heading:
    """A title; the page's own has level 1."""

    text: str
    level: int = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Paragraph:
    """Running text."""

    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Items:
    """A list of short texts."""

    texts: Sequence[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Cells as text, all rows as long as the header."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    """A line break inside a cell sets the second line apart as a small one."""
    strong: frozenset[int] = frozenset()
    """Rows in bold: means and groups."""
    caption: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class FigureImage:
    """A figure, kept as a file for Markdown and embedded in HTML."""

    name: str
    """Of the file, `forest-T0.6.png`."""
    png: bytes
    caption: str
    """Says in words what is to be seen; also the alternative text."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Video:
    """A video beside the page."""

    path: str
    """Relative to the report's folder, with forward slashes."""
    title: str
    caption: str = ""
    """Which episodes and which two methods."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Files:
    """Links to the files beside the page."""

    entries: Sequence[tuple[str, str]]
    """(name, what it holds)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fold:
    """Details that a click opens."""

    title: str
    blocks: Sequence["Block"]


Block = Heading | Paragraph | Items | Table | FigureImage | Video | Files | Fold
