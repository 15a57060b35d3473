"""Renders a report as one HTML page with all images embedded; only videos and CSV files lie beside it."""

import base64
import re
from collections.abc import Sequence
from html import escape
from urllib.parse import quote

from rlvla_core.evaluation.study.blocks import Block, FigureImage, Files, Fold, Heading, Items, Paragraph, Table, Video

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1d2329; background: #fff; max-width: 1100px; margin: 2rem auto;
  padding: 0 1rem; }
h1, h2, h3 { line-height: 1.25; margin: 2rem 0 .6rem; }
.scroll { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
caption { caption-side: bottom; text-align: left; color: #515b65; padding-top: .4rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .7rem .3rem 0; border-bottom: 1px solid #dde2e6; }
thead th { border-bottom: 2px solid #1d2329; }
tr.strong { font-weight: 600; background: #f3f5f7; }
small, figcaption { color: #515b65; font-weight: 400; }
figure { margin: 1.5rem 0; }
img, video { max-width: 100%; height: auto; }
details { margin: 1rem 0; } summary { cursor: pointer; font-weight: 600; }
code { background: #f3f5f7; padding: 0 .2em; }
""".strip()


def render_html(title: str, blocks: Sequence[Block]) -> str:
    """The HTML page of a report. Images are embedded; videos and files are linked relative to the page."""
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title>",
            f"<style>\n{_STYLE}\n</style>",
            "</head>",
            "<body>",
            *(_block(block) for block in blocks),
            "</body>",
            "</html>",
            "",
        ]
    )


def _block(block: Block) -> str:
    match block:
        case Heading():
            return f"<h{block.level}>{_text(block.text)}</h{block.level}>"
        case Paragraph():
            return f"<p>{_text(block.text)}</p>"
        case Items():
            return "<ul>\n" + "\n".join(f"<li>{_text(text)}</li>" for text in block.texts) + "\n</ul>"
        case Files():
            links = (
                f'<li><a href="{quote(name)}">{escape(name)}</a>: {_text(what)}</li>' for name, what in block.entries
            )
            return "<ul>\n" + "\n".join(links) + "\n</ul>"
        case FigureImage():
            data = base64.b64encode(block.png).decode()
            image = f'<img src="data:image/png;base64,{data}" alt="{escape(block.caption.replace("`", ""))}">'
            return f"<figure>\n{image}\n<figcaption>{_text(block.caption)}</figcaption>\n</figure>"
        case Video():
            video = f'<video controls preload="metadata" src="{quote(block.path)}"></video>'
            caption = f"<strong>{_text(block.title)}</strong> {_text(block.caption)}".rstrip()
            return f"<figure>\n{video}\n<figcaption>{caption}</figcaption>\n</figure>"
        case Fold():
            inside = "\n".join(_block(inner) for inner in block.blocks)
            return f"<details>\n<summary>{_text(block.title)}</summary>\n{inside}\n</details>"
        case Table():
            return _table(block)


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{_cell(cell)}</th>' for cell in table.header)
    lines = [f"<thead>\n<tr>{head}</tr>\n</thead>", "<tbody>"]
    for index, (first, *rest) in enumerate(table.rows):
        cells = f'<th scope="row">{_cell(first)}</th>' + "".join(f"<td>{_cell(cell)}</td>" for cell in rest)
        lines.append(f'<tr class="strong">{cells}</tr>' if index in table.strong else f"<tr>{cells}</tr>")
    caption = [f"<caption>{_text(table.caption)}</caption>"] if table.caption else []
    return "\n".join(['<div class="scroll">', "<table>", *caption, *lines, "</tbody>", "</table>", "</div>"])


def _cell(cell: str) -> str:
    first, *rest = cell.split("\n")
    return _text(first) + "".join(f"<br><small>{_text(line)}</small>" for line in rest)


def _text(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
