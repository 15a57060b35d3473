"""Writes constraints.txt: the installed version of every package in this project's dependency tree.

The requirements are read from this checkout, not from an installation of it, which may be older.

    .venv/bin/python scripts/pin.py [--check]

Run it after a change of dependencies, in an environment where the tests have passed. A version that does not support
every Python that this project supports gets a marker: on the other Pythons pip picks an older version itself.
"""

import contextlib
import io
import os
import sys
import tempfile
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version
from setuptools import build_meta

ROOT = Path(__file__).resolve().parent.parent
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
HEADER = """\
# Versions that the tests passed with, for `pip install -c constraints.txt`. Written by scripts/pin.py.
"""


def roots() -> list[Requirement]:
    """Requirements of this project with all extras, without those on the project itself."""
    talk = io.StringIO()
    os.chdir(ROOT)
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.redirect_stdout(talk),
        contextlib.redirect_stderr(talk),
    ):
        name = build_meta.prepare_metadata_for_build_wheel(folder)
        asked = metadata.PathDistribution(Path(folder) / name).requires or []
    return [requirement for requirement in map(Requirement, asked) if requirement.name != "rlvla"]


def tree() -> dict[str, metadata.Distribution]:
    """Canonical name -> installed distribution, for every package that is needed, directly or indirectly."""
    found: dict[str, metadata.Distribution] = {}
    seen: set[tuple[str, str]] = set()
    pending = roots()
    while pending:
        requirement = pending.pop()
        name = canonicalize_name(requirement.name)
        try:
            found[name] = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            sys.exit(f"error: {name} is not installed here: run `make setup` first")
        for extra in {"", *requirement.extras}:
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            for text in found[name].requires or []:
                child = Requirement(text)
                if child.marker is None or child.marker.evaluate({"extra": extra}):
                    pending.append(child)
    return found


def pin(name: str, distribution: metadata.Distribution) -> str:
    """The line of one package, without a local version such as `+cpu`, because all builds of a version will do."""
    line = f"{name}=={Version(distribution.version).public}"
    supported = SpecifierSet(distribution.metadata["Requires-Python"] or "")
    oldest = next(python for python in PYTHONS if f"{python}.99" in supported)
    return line if oldest == PYTHONS[0] else f'{line}; python_version >= "{oldest}"'


def main() -> int:
    """Write constraints.txt; with `--check` only compare it, exit code 1 if it differs."""
    text = HEADER + "".join(f"{pin(name, distribution)}\n" for name, distribution in sorted(tree().items()))
    path = ROOT / "constraints.txt"
    if "--check" in sys.argv[1:]:
        return 0 if path.read_text(encoding="utf-8") == text else 1
    path.write_text(text, encoding="utf-8")
    print(f"{path}: {text.count('==')} pins")
    return 0


if __name__ == "__main__":
    sys.exit(main())
