"""Links between the documents lead somewhere, and the commands that they show exist."""

import re
from pathlib import Path

import pytest

from rlvla.cli import COMMANDS, GROUPS

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=[path.name for path in DOCUMENTS])
def test_relative_links_resolve(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", document.read_text())
    broken = [target for target in targets if "://" not in target and not (document.parent / target).exists()]
    assert not broken


@pytest.mark.parametrize("document", DOCUMENTS, ids=[path.name for path in DOCUMENTS])
def test_commands_shown_exist(document: Path) -> None:
    first_words = {command.words[0] for command in COMMANDS} | set(GROUPS) | {"COMMAND"}
    shown = re.findall(r"(?:^ {4,}|`)rlvla ([A-Za-z]+)", document.read_text(), re.MULTILINE)
    assert set(shown) <= first_words
