"""Downloading the paper's assets: from a server on this machine, with everything that can go wrong on the way."""

import functools
import http.server
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rlvla.cli import main
from rlvla_core.errors import RlvlaError
from rlvla_sim.assets.fetch import Manifest, blob_id, fetch, missing_files

BESIDE = Path(__file__).resolve().parents[2].parent / "shared" / "assets"
REAL = os.environ.get("RLVLA_ASSETS") or (str(BESIDE) if (BESIDE / "rl4vla").is_dir() else None)
FILES = {"more_plate/000 a/collision.obj": b"v 0 0 0\n", "more_table/imgs/1.png": bytes(range(256)), "empty": b""}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Manifest, Path]]:
    """(manifest, folder on the server)."""
    folder = tmp_path / "server" / "some folder"
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path / "server")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        files = {name: blob_id(content) for name, content in FILES.items()}
        source = f"http://127.0.0.1:{server.server_address[1]}"
        yield Manifest(source=source, folder="some folder", files=files), folder
        server.shutdown()


def fetch_missing(manifest: Manifest, folder: Path) -> int:
    return len(list(fetch(manifest, folder, missing_files(manifest, folder))))


def test_a_blob_id_is_gits(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(FILES["more_table/imgs/1.png"])
    told = subprocess.run(["git", "hash-object", str(tmp_path / "file")], capture_output=True, text=True, check=True)
    assert blob_id(FILES["more_table/imgs/1.png"]) == told.stdout.strip()


def test_what_is_missing_or_damaged_is_fetched_and_nothing_else(served: tuple[Manifest, Path], tmp_path: Path) -> None:
    manifest, _ = served
    here = tmp_path / "here"
    assert fetch_missing(manifest, here) == 3
    assert {name: (here / name).read_bytes() for name in FILES} == FILES
    assert fetch_missing(manifest, here) == 0
    (here / "empty").write_bytes(b"not empty")
    assert fetch_missing(manifest, here) == 1
    assert (here / "empty").read_bytes() == b""


def test_another_content_is_refused_and_what_came_before_stays(served: tuple[Manifest, Path], tmp_path: Path) -> None:
    manifest, server = served
    (server / "more_table/imgs/1.png").write_bytes(b"<html>please log in</html>")
    with pytest.raises(RlvlaError, match=r"imgs/1.png is not the file .* \(26 bytes came\)"):
        fetch_missing(manifest, tmp_path / "here")
    assert missing_files(manifest, tmp_path / "here") == ["more_table/imgs/1.png", "empty"]


def test_a_file_or_server_that_is_not_there_is_named(served: tuple[Manifest, Path], tmp_path: Path) -> None:
    manifest, server = served
    (server / "empty").unlink()
    with pytest.raises(RlvlaError, match=r"cannot download http://127.0.0.1:\d+/some%20folder/empty"):
        fetch_missing(manifest, tmp_path / "here")
    nobody = Manifest(source="http://127.0.0.1:9", folder="x", files={"a": "0" * 40})
    with pytest.raises(RlvlaError, match=r"cannot download .*refused"):
        fetch_missing(nobody, tmp_path / "there")


def test_the_command_shows_the_terms_first(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["assets", "fetch", "--to", str(tmp_path / "to")]) == 1
    assert "for research only" in capsys.readouterr().err
    assert not (tmp_path / "to").exists()


def test_the_manifest_lists_what_the_catalogue_reads() -> None:
    manifest = Manifest.read()
    assert sum(name.endswith("collision.obj") for name in manifest.files) == 25 + 17
    assert sum(name.startswith("more_table/imgs/") for name in manifest.files) == 21
    assert {f"{part}/model_db.json" for part in ("more_carrot", "more_plate", "more_table")} <= set(manifest.files)


@pytest.mark.skipif(REAL is None, reason="the paper's assets are not on this machine")
def test_the_manifest_is_right_about_the_real_files() -> None:
    """Three large meshes are absent from the copy that the project was given."""
    missing = missing_files(Manifest.read(), Path(str(REAL)) / "rl4vla")
    assert len(missing) <= 3
    assert all(name.endswith(("textured.glb", "textured.dae")) for name in missing)
