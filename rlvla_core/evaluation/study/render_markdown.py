"""Renders a report as Markdown, with images as files beside it."""

from collections.abc import Sequence
from urllib.parse import quote

from rlvla_core.evaluation.study.blocks import Block, FigureImage, Files, Fold, Heading, Items, Paragraph, Table, Video


def render_markdown(blocks: Sequence[Block]) -> str:
    """The Markdown document of a report; ends with a line break."""
    return "\n\n".join(_block(block) for block in blocks) + "\n"


def _block(block: Block) -> str:
    match block:
        case Heading():
            return f"{'#' * block.level} {_text(block.text)}"
        case Paragraph():
            return _text(block.text)
        case Items():
            return "\n".join(f"- {_text(text)}" for text in block.texts)
        case Files():
            return "\n".join(f"- [{name}]({quote(name)}): {_text(what)}" for name, what in block.entries)
        case FigureImage():
            return f"![{_label(block.caption)}]({quote(block.name)})"
        case Video():
            return f"[{_label(block.title)}]({quote(block.path)}) {_text(block.caption)}".rstrip()
        case Fold():
            # Blank lines around the content: inside HTML, Markdown begins only after one.
            inside = "\n\n".join(_block(inner) for inner in block.blocks)
            return f"<details>\n<summary>{_text(block.title)}</summary>\n\n{inside}\n\n</details>"
        case Table():
            return _table(block)


def _table(table: Table) -> str:
    lines = [_row(table.header), f"|{' --- |' * len(table.header)}"]
    lines += [
        _row([_strong(cell) for cell in row] if index in table.strong else row) for index, row in enumerate(table.rows)
    ]
    return "\n".join([*lines, *(["", table.caption] if table.caption else [])])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_text(cell).replace('|', chr(92) + '|').replace(chr(10), '<br>') for cell in cells)} |"


def _strong(cell: str) -> str:
    first, *rest = cell.split("\n")
    return "\n".join([f"**{first}**", *rest])


def _text(text: str) -> str:
    """Escapes `&` and `<` outside of code, where Markdown would read them as HTML."""
    parts = text.split("`")
    return "`".join(
        part if index % 2 else part.replace("&", "&amp;").replace("<", "&lt;") for index, part in enumerate(parts)
    )


def _label(text: str) -> str:
    return _text(text.replace("[", "(").replace("]", ")"))
