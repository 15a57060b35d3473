"""Writes the report of a study: an HTML page, the same page as Markdown, CSV files and figures."""

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from rlvla_core.errors import RlvlaError
from rlvla_core.evaluation.study.blocks import Block, FigureImage, Files, Fold, Heading, Video
from rlvla_core.evaluation.study.csv_files import csv_files
from rlvla_core.evaluation.study.findings import compute_findings
from rlvla_core.evaluation.study.folder import read_study
from rlvla_core.evaluation.study.page import page, title
from rlvla_core.evaluation.study.render_html import render_html
from rlvla_core.evaluation.study.render_markdown import render_markdown
from rlvla_core.storage.atomic import replace_file


def write_study_report(study: Path, output: Path, *, videos: Sequence[Video] = (), notes: str = "") -> list[Path]:
    """Write index.html, README.md, figures and CSV files about the study folder `study`; returns their paths, the page
    first.

    An unfinished study gives a report that lists what is missing. Equal studies give equal bytes. videos: files that
    are in `output` already. notes: paragraphs for the top of the page, separated by blank lines. Raises RlvlaError for
    a study that cannot be read or whose results must not be in one table, and for a video that is not there.
    """
    for video in videos:
        _check_video(output, video)
    findings = compute_findings(read_study(study))
    blocks = page(findings, videos, notes)
    tables = csv_files(findings)
    blocks += [Heading(text="Files"), Files(entries=[(name, what) for name, (_, what) in tables.items()])]
    output.mkdir(parents=True, exist_ok=True)
    contents = {
        "index.html": render_html(title(findings.study.plan), blocks).encode(),
        "README.md": render_markdown(blocks).encode(),
        **{image.name: image.png for image in _images(blocks)},
        **{name: text.encode() for name, (text, _) in tables.items()},
    }
    for name, content in contents.items():
        replace_file(output / name, content)
    return [output / name for name in contents]


def _images(blocks: Iterable[Block]) -> list[FigureImage]:
    found: list[FigureImage] = []
    for block in blocks:
        if isinstance(block, FigureImage):
            found.append(block)
        elif isinstance(block, Fold):
            found += _images(block.blocks)
    return found


def _check_video(output: Path, video: Video) -> None:
    path = PurePosixPath(video.path)
    if path.is_absolute() or ".." in path.parts or not (output / path).is_file():
        raise RlvlaError(f"the report has no video {video.path}: put it into {output} and give its path from there")
