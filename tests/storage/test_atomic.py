"""A file or directory is the old one or the new one, whatever happens to its writer."""

import errno
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from rlvla_core.errors import RlvlaError
from rlvla_core.storage.atomic import (
    StagedDirectory,
    no_room_is_a_user_error,
    remove_file_leftovers,
    replace_file,
    staged_file,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fill(staged: StagedDirectory, word: str) -> None:
    (staged.path / "deep").mkdir()
    (staged.path / "deep" / "word.txt").write_text(word)
    (staged.path / "top.txt").write_text(word)


def word_of(folder: Path) -> str:
    top, deep = (folder / "top.txt").read_text(), (folder / "deep" / "word.txt").read_text()
    assert top == deep
    return top


def killed(code: str, *arguments: object) -> None:
    """Run `code` until it says `ready`, then SIGKILL it."""
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGKILL)


WRITE_FILE = """
    import sys, time
    from pathlib import Path
    from rlvla_core.storage.atomic import staged_file
    with staged_file(Path(sys.argv[1])) as temporary:
        temporary.write_text("new")
        print("ready", flush=True)
        time.sleep(60)
"""


def test_a_writer_killed_before_the_rename_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "facts [1].json"
    replace_file(path, b"old")
    killed(WRITE_FILE, path)
    assert path.read_bytes() == b"old"
    left = [name for name in names(tmp_path) if name != path.name]
    assert len(left) == 1 and left[0].startswith(".")
    replace_file(path, b"next")
    assert path.read_bytes() == b"next"
    remove_file_leftovers(path)
    assert names(tmp_path) == [path.name]


def test_an_exception_while_writing_leaves_the_old_content_alone(tmp_path: Path) -> None:
    path = tmp_path / "a"
    replace_file(path, b"old")
    with pytest.raises(ZeroDivisionError), staged_file(path) as temporary:
        temporary.write_bytes(b"half")
        raise ZeroDivisionError
    with pytest.raises(FileNotFoundError), staged_file(path):
        pass  # a block that writes nothing is a mistake, not an empty file
    assert path.read_bytes() == b"old" and names(tmp_path) == ["a"]


def test_a_directory_appears_at_the_end_of_its_block(tmp_path: Path) -> None:
    target = tmp_path / "new" / "bundle"
    with StagedDirectory(target) as staged:
        fill(staged, "one")
        assert not target.exists()
        assert [path.name for path in staged.files()] == ["word.txt", "top.txt"]
    assert word_of(target) == "one"
    assert names(target) == ["deep", "top.txt"] and names(target.parent) == ["bundle"]
    with pytest.raises(RlvlaError, match="bundle exists already"):
        StagedDirectory(target)
    with StagedDirectory(target, replace=True) as staged:
        fill(staged, "two")
        assert word_of(target) == "one"
    assert word_of(target) == "two" and names(target.parent) == ["bundle"]
    with pytest.raises(ZeroDivisionError), StagedDirectory(target, replace=True) as staged:
        fill(staged, "three")
        raise ZeroDivisionError
    assert word_of(target) == "two" and names(target.parent) == ["bundle"]


def test_two_writers_of_one_directory_do_not_disturb_each_other(tmp_path: Path) -> None:
    target = tmp_path / "set"
    first, second = StagedDirectory(target), StagedDirectory(target)
    fill(first, "first")
    fill(second, "second")
    second.commit()
    with pytest.raises(RlvlaError, match="exists already"):
        first.commit()
    first.discard()
    assert word_of(target) == "second" and names(tmp_path) == ["set"]

    first, second = StagedDirectory(target, replace=True), StagedDirectory(target, replace=True)
    fill(first, "third")
    fill(second, "fourth")
    first.commit()
    assert word_of(target) == "third"
    second.commit()
    assert word_of(target) == "fourth" and names(tmp_path) == ["set"]


def test_a_replacement_that_cannot_be_renamed_puts_the_old_directory_back(tmp_path, monkeypatch) -> None:
    target = tmp_path / "set"
    with StagedDirectory(target) as staged:
        fill(staged, "old")
    staged = StagedDirectory(target, replace=True)
    fill(staged, "new")
    rename = Path.rename

    def refuse(self: Path, to: Path) -> Path:
        if self == staged.path:
            raise OSError(errno.EIO, "the disk is gone")
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OSError, match="the disk is gone"):
        staged.commit()
    staged.discard()
    assert word_of(target) == "old" and names(tmp_path) == ["set"]


def test_a_target_that_another_writer_has_just_moved_aside_is_no_error(tmp_path, monkeypatch) -> None:
    target = tmp_path / "set"
    with StagedDirectory(target) as staged:
        fill(staged, "old")
    staged = StagedDirectory(target, replace=True)
    fill(staged, "new")
    rename = Path.rename

    def late(self: Path, to: Path) -> Path:
        if self == target:
            rename(target, tmp_path / ".set.old-1-other")  # what the other writer does just before
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", late)
    staged.commit()
    assert word_of(target) == "new" and names(tmp_path) == ["set"]


def test_a_link_or_a_file_that_is_replaced_leaves_nothing_behind(tmp_path: Path) -> None:
    with StagedDirectory(tmp_path / "kept") as staged:
        fill(staged, "old")
    (tmp_path / "link").symlink_to("kept")
    (tmp_path / "file").write_text("")
    for target in (tmp_path / "link", tmp_path / "file"):
        with StagedDirectory(target, replace=True) as staged:
            fill(staged, "new")
        assert word_of(target) == "new" and not target.is_symlink()
    assert word_of(tmp_path / "kept") == "old" and names(tmp_path) == ["file", "kept", "link"]


WRITE_DIRECTORY = """
    import sys, time
    from pathlib import Path
    from rlvla_core.storage.atomic import StagedDirectory
    with StagedDirectory(Path(sys.argv[1]), replace=True) as staged:
        (staged.path / "top.txt").write_text("new")
        print("ready", flush=True)
        time.sleep(60)
"""


def test_a_writer_killed_in_its_block_leaves_the_old_directory_and_the_next_one_cleans_up(tmp_path: Path) -> None:
    target = tmp_path / "set [1]"
    with StagedDirectory(target) as staged:
        fill(staged, "old")
    living = StagedDirectory(target, replace=True)
    killed(WRITE_DIRECTORY, target)
    assert word_of(target) == "old" and len(names(tmp_path)) == 3
    with StagedDirectory(target, replace=True) as staged:
        fill(staged, "next")
    assert word_of(target) == "next"
    assert names(tmp_path) == sorted([target.name, living.path.name])  # the writer that lives is left alone
    living.discard()
    assert names(tmp_path) == [target.name]


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RlvlaError, match=r"cannot write beside .*set.*choose another place"):
        StagedDirectory(tmp_path / "file" / "set")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_no_room_is_one_line_also_for_a_path_that_does_not_exist(tmp_path: Path, number: int) -> None:
    with (
        pytest.raises(RlvlaError, match=r"MiB free.*--resume") as caught,
        no_room_is_a_user_error(tmp_path / "a" / "b"),
    ):
        raise OSError(number, os.strerror(number))
    assert "\n" not in str(caught.value)
    with pytest.raises(PermissionError), no_room_is_a_user_error(tmp_path):
        raise PermissionError(errno.EACCES, "not yours")
