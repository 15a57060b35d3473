"""The content of a report before it becomes HTML or Markdown. Texts are plain, with `code` in backticks."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Heading:
    """A title."""

    text: str
    level: int = 2
    """1 for the title of the page, 2 and 3 for sections."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Paragraph:
    """A paragraph of text."""

    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Items:
    """A list of short texts."""

    texts: Sequence[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A table of texts; every row is as long as the header."""

    header: Sequence[str]
    """Titles of the columns."""
    rows: Sequence[Sequence[str]]
    """Rows of cells; lines after the first one of a cell are shown in small letters."""
    strong: frozenset[int] = frozenset()
    """Indices of the rows in bold, which hold means."""
    caption: str = ""
    """Explanation below the table."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FigureImage:
    """A plot as PNG: a file beside the Markdown page, embedded in the HTML page."""

    name: str
    """Name of the file, e.g. `forest-T0.6.png`."""
    png: bytes
    """Content of the file."""
    caption: str
    """What the figure shows, in words; also the alternative text of the image."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Video:
    """A video file that the page shows."""

    path: str
    """Path of the file relative to the report's folder, with forward slashes."""
    title: str
    """Bold text below the video."""
    caption: str = ""
    """Which episodes and which two methods the video shows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Files:
    """A list of links to files beside the page."""

    entries: Sequence[tuple[str, str]]
    """(name of the file, what it contains)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fold:
    """Content that a click opens."""

    title: str
    """Text that is visible before the click."""
    blocks: Sequence["Block"]


Block = Heading | Paragraph | Items | Table | FigureImage | Video | Files | Fold
