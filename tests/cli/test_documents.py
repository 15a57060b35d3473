"""Links between the documents lead somewhere, the commands that they show exist, and the front page is true."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rlvla.cli import COMMANDS, GROUPS
from rlvla_core.policy.bundle import load_bundle

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
PAGES = [path for folder in ("docs", "benchmarks", "experiments") for path in sorted((ROOT / folder).rglob("*.md"))]
DOCUMENTS = [README, ROOT / "CONTRIBUTING.md", *PAGES]
NAMES = [path.relative_to(ROOT).as_posix() for path in DOCUMENTS]


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
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


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_commands_shown_exist(document: Path) -> None:
    first_words = {command.words[0] for command in COMMANDS} | set(GROUPS) | {"COMMAND"}
    shown = re.findall(r"(?:^ {4,}|`)rlvla ([A-Za-z]+)", document.read_text(), re.MULTILINE)
    assert set(shown) <= first_words


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_options_shown_exist(document: Path) -> None:
    """Every `--option` of a shown `rlvla` command line is one of that command's."""
    unknown = []
    for line in command_lines(document.read_text()):
        words = shlex.split(line, comments=True)[1:]
        named = [command.words for command in COMMANDS if tuple(words[: len(command.words)]) == command.words]
        assert named, line
        command = max(named, key=len)  # `study tests` before `study`
        unknown += [f"{line}: {word}" for word in words if word[:2] == "--" and word not in options_of(command)]
    assert not unknown


def command_lines(text: str) -> list[str]:
    """The command lines in indented blocks, joined where a backslash says so; alternatives (`a | b`) are none."""
    joined = text.replace("\\\n", " ")
    lines = re.findall(r"^ {4,}(?:\.venv/bin/)?(rlvla [a-z].*)$", joined, re.MULTILINE)
    return [line for line in lines if " | " not in line and not re.match(r"rlvla \S+/|rlvla +the ", line)]


def options_of(command: tuple[str, ...]) -> set[str]:
    """The option names of a command, as the generated page lists them; each switch `--x` has a `--no-x`."""
    heading = f"## rlvla {' '.join(command)}\n"
    section = (ROOT / "docs" / "reference" / "commands.md").read_text().partition(heading)[2].partition("\n## ")[0]
    names = re.findall(r"^\| `--([\w.-]+)", section, re.MULTILINE)
    opposites = [re.sub(r"([\w-]+)$", r"no-\1", name) for name in names]  # --sim.no-end-on-success
    return {"--help"} | {f"--{name}" for name in (*names, *opposites)}


def test_pages_named_in_the_code_exist() -> None:
    """Docstrings, help lines and comments name pages of the documentation; a page that moves must take them along."""
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True).stdout.split("\0")
    missing = []
    for name in files:
        path = ROOT / name
        if path.suffix in (".py", ".sh", ".yaml", ".xml", ".msg", ".srv", ".action") and path.is_file():
            named = re.findall(r"\bdocs/[\w/-]+(?:\.\w+)?", path.read_text())
            missing += [f"{name}: {page}" for page in named if not (ROOT / page).exists()]
    assert not missing


def test_generated_pages_are_up_to_date() -> None:
    """Parameters of the nodes and options of the commands stand in the code; the pages are written from it."""
    check = [sys.executable, "scripts/reference_tables.py", "--check"]
    done = subprocess.run(check, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_readme_is_short() -> None:
    assert len(README.read_text().split()) < 1000


def test_readme_has_one_results_table_of_at_most_five_rows() -> None:
    section = README.read_text().partition("## Results")[2].partition("\n## ")[0]
    tables = re.findall(r"(?:^\|.*\n)+", section, re.MULTILINE)
    assert len(tables) == 1
    assert tables[0].count("\n") - 2 <= 5


def test_readme_snippet_runs() -> None:
    """The Python lines of the front page, as they stand, give one action of seven numbers and its reward."""
    [code] = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(code.strip().splitlines()) <= 8
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"-?\d+\.\d*(?:e[+-]?\d+)?", done.stdout)) >= 7


@pytest.mark.parametrize("kept", ["policy-seed1", "policy-wide"])
def test_the_policies_that_the_documents_keep_act(kept: str) -> None:
    """A change of the bundle's format would otherwise leave them behind unseen."""
    policy = load_bundle(ROOT / "docs" / "results" / kept)
    image = torch.zeros(1, 64, 64, 3, dtype=torch.uint8)
    assert policy.act(image, ["put the carrot on the plate"], temperature=0.0).actions.shape == (1, 7)
