"""YAML files: whatever is in them, reading one gives a value or one line that names the file, soon."""

import os
from pathlib import Path

import pytest

from rlvla_core.errors import RlvlaError
from rlvla_core.storage.yaml_files import read_yaml

BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 30))
"""Thirty lines that PyYAML's safe loader makes a value of, whose text has a billion words."""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (BOMB, r"an alias \(`\*name`\) is not allowed"),
        ("a: " + "[" * 2000, "nested more than 64 deep"),
        ("a: " + "9" * 5000, "4300"),
        ("a: 2026-99-99", "month must be in 1..12"),
        ("a: !!int ''", "index out of range"),
        ("a: !!timestamp x", "NoneType"),
        ("a: !!python/object/apply:os.getcwd []", "could not determine a constructor"),
        ("a: " + "x" * 300_000, "it has more than 262,144 bytes"),
        (b"a: caf\xe9", "can't decode byte 0xe9"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(tmp_path: Path, text: str | bytes, reason: str) -> None:
    (tmp_path / "a.yaml").write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(RlvlaError, match=rf"a\.yaml cannot be read as YAML: .*{reason}") as caught:
        read_yaml(tmp_path / "a.yaml", "")
    assert "\n" not in str(caught.value)


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.yaml")
    with pytest.raises(RlvlaError, match="it is a pipe or a device"):
        read_yaml(tmp_path / "a.yaml", "")


def test_a_file_that_does_not_exist_says_what_to_name(tmp_path: Path) -> None:
    with pytest.raises(RlvlaError, match=r"a\.yaml does not exist: name an arm"):
        read_yaml(tmp_path / "a.yaml", "name an arm")
