"""JSON files: what is written is read, and what cannot be read is one line that names the file."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlvla_core.errors import RlvlaError
from rlvla_core.storage import json_files
from rlvla_core.storage.json_files import read_json, replace_json, write_json

TEXT = st.text(st.characters(exclude_categories=[]))
"""Any characters, lone surrogates among them."""
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, value: dict) -> None:
    folder = tmp_path_factory.getbasetemp() / "json"
    folder.mkdir(exist_ok=True)
    for write in (write_json, replace_json):
        write(folder / "a.json", value)
        # A high and a low surrogate side by side are one character to JSON.
        assert read_json(folder / "a.json", "") == json.loads(json.dumps(value))
    assert [path.name for path in folder.iterdir()] == ["a.json"]


def test_words_of_any_language_stay_readable_and_bytes_of_no_language_survive(tmp_path: Path) -> None:
    command = b"caf\xe9".decode("utf-8", "surrogateescape")  # as Python gives a command line that is not UTF-8
    replace_json(tmp_path / "a.json", {"instruction": "把胡萝卜放在盘子上", "command": command})
    assert "把胡萝卜放在盘子上" in (tmp_path / "a.json").read_text(encoding="utf-8")
    assert read_json(tmp_path / "a.json", "")["command"] == command


def test_a_value_that_is_not_json_leaves_the_old_file(tmp_path: Path) -> None:
    replace_json(tmp_path / "a.json", {"old": 1})
    with pytest.raises(TypeError):
        replace_json(tmp_path / "a.json", {"new": object()})
    assert read_json(tmp_path / "a.json", "") == {"old": 1}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"a\.json is missing: do this"),
        (b"", r"a\.json is not valid JSON .*: do this"),
        (b'{"cut": ', r"a\.json is not valid JSON .*: do this"),
        (b'{"latin": "caf\xe9"}', r"a\.json is not valid JSON .*: do this"),
        (b"[" * 100_000, r"a\.json is not valid JSON .*: do this"),
        (b"[1, 2]", r"a\.json does not hold a JSON object: do this"),
        (b"null", r"a\.json does not hold a JSON object: do this"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(RlvlaError, match=message) as caught:
        read_json(tmp_path / "a.json", "do this")
    assert "\n" not in str(caught.value)


def test_a_directory_and_a_file_in_the_way_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.json").mkdir()
    with pytest.raises(RlvlaError, match=r"a\.json cannot be read \(Is a directory\): do this"):
        read_json(tmp_path / "a.json", "do this")
    (tmp_path / "file").write_text("")
    with pytest.raises(RlvlaError, match=r"b\.json is missing: do this"):
        read_json(tmp_path / "file" / "b.json", "do this")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"a": ' * 65 + b"1" + b"}" * 65, "more than 64 brackets are open at once"),
        (b'{"a": ' + b"9" * 5000 + b"}", "a number has 5000 digits, more than 100"),
        (b'{"a": -' + b"9" * 400 + b"}", "a number has 400 digits, more than 100"),
    ],
)
def test_a_file_past_the_limits_is_one_line_that_says_which(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(RlvlaError, match=rf"a\.json is not valid JSON \({reason}\): do this"):
        read_json(tmp_path / "a.json", "do this")


def test_brackets_side_by_side_and_within_texts_do_not_count(tmp_path: Path) -> None:
    value = {"side by side": [{"a": [index]} for index in range(500)], "text": "[{" * 500}
    replace_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json", "") == value


def test_a_pipe_and_an_endless_file_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "endless.json").symlink_to("/dev/zero")
    for name in ("pipe.json", "endless.json"):
        with pytest.raises(RlvlaError, match=rf"{name} cannot be read \(it is a pipe or a device.*\): do this"):
            read_json(tmp_path / name, "do this")
    with (tmp_path / "large.json").open("wb") as file:
        file.truncate(json_files.MOST_BYTES + 1)
    with pytest.raises(RlvlaError, match=r"large\.json cannot be read \(it has more than 67,108,864 bytes\): do this"):
        read_json(tmp_path / "large.json", "do this")
