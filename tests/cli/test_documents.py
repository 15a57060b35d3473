"""Links between the documents lead somewhere, and the commands that they show exist."""

import re
from pathlib import Path

import pytest
import torch

from rlvla.cli import COMMANDS, GROUPS
from rlvla_core.policy.bundle import load_bundle

ROOT = Path(__file__).resolve().parents[2]
PAGES = [path for folder in ("docs", "benchmarks", "experiments") for path in sorted((ROOT / folder).rglob("*.md"))]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES]


@pytest.mark.parametrize("document", DOCUMENTS, ids=[path.name for path in DOCUMENTS])
def test_relative_links_resolve(document: Path) -> None:
    """To a file that is there and, after a #, to a heading of it."""
    broken = []
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)", document.read_text()):
        file = document.parent / target if target else document
        if "://" not in target and not (file.exists() and (not anchor or anchor in anchors(file))):
            broken.append(f"{target}#{anchor}")
    assert not broken


def anchors(document: Path) -> set[str]:
    """What the headings of a page are called in links, as code hosts do it."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=[path.name for path in DOCUMENTS])
def test_commands_shown_exist(document: Path) -> None:
    first_words = {command.words[0] for command in COMMANDS} | set(GROUPS) | {"COMMAND"}
    shown = re.findall(r"(?:^ {4,}|`)rlvla ([A-Za-z]+)", document.read_text(), re.MULTILINE)
    assert set(shown) <= first_words


@pytest.mark.parametrize("kept", ["policy-seed1", "policy-wide"])
def test_the_policies_that_the_documents_keep_act(kept: str) -> None:
    """A change of the bundle's format would otherwise leave them behind unseen."""
    policy = load_bundle(ROOT / "docs" / "results" / kept)
    image = torch.zeros(1, 64, 64, 3, dtype=torch.uint8)
    assert policy.act(image, ["put the carrot on the plate"], temperature=0.0).actions.shape == (1, 7)
