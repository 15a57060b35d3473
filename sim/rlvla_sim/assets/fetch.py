"""Downloads the paper's assets, file by file from one commit of its public repository, each checked by its git hash.

`data/paper_assets.json` lists every file with its git blob id (SHA-1 of a short header and the content). What is there
and right is not fetched again, so an interrupted download goes on. Nothing is unpacked and nothing is executed.
"""

import hashlib
import http.client
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rlvla_core.errors import RlvlaError
from rlvla_core.storage.atomic import replace_file
from rlvla_core.storage.json_files import read_json

MANIFEST = Path(__file__).parent.parent / "data" / "paper_assets.json"
TIMEOUT_S = 60.0
LARGEST = 64 << 20
"""Bytes: more than any of the files has. A server that sends more is not the intended one."""
TERMS = """The assets of RL4VLA (Liu et al. 2025) are for research only. ManiSkill's own are CC BY-NC 4.0; the others
come from Objaverse, Sketchfab and ambientCG, without a list of their licences. They are not part of rlvla."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """The list of files to download, and their source."""

    source: str
    """URL that the paths are appended to."""
    folder: str
    """Folder below it that holds the files."""
    files: dict[str, str]
    """Path below the folder -> git blob id, 40 hexadecimal digits."""

    @classmethod
    def read(cls, path: Path = MANIFEST) -> "Manifest":
        """The manifest in the JSON file at `path`."""
        return cls(**read_json(path, "install rlvla again"))

    def url(self, name: str) -> str:
        """URL of the file with this name in the manifest."""
        return f"{self.source}/{urllib.parse.quote(f'{self.folder}/{name}')}"


def blob_id(content: bytes) -> str:
    """The name that git gives to a file of this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def missing_files(manifest: Manifest, folder: Path) -> list[str]:
    """Names of the manifest's files that `folder` lacks or holds with another content."""
    return [name for name, blob in manifest.files.items() if not _holds(folder / name, blob)]


def fetch(manifest: Manifest, folder: Path, names: list[str]) -> Iterator[int]:
    """Download these files of the manifest into `folder`; yields how many are done after each.

    Raises RlvlaError where the source cannot be reached or sends something else; files that are complete by then stay.
    """
    for done, name in enumerate(names, start=1):
        content = _download(manifest.url(name))
        if blob_id(content) != manifest.files[name]:
            raise RlvlaError(
                f"{manifest.url(name)} is not the file that the paper's commit holds ({len(content)} bytes came): "
                "look whether a proxy answers in its place, then start again"
            )
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        replace_file(folder / name, content)
        yield done


def _holds(path: Path, blob: str) -> bool:
    return path.is_file() and blob_id(path.read_bytes()) == blob


def _download(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
            content = answer.read(LARGEST + 1)
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise RlvlaError(f"cannot download {url} ({reason}): what is there stays; start again later") from error
    if len(content) > LARGEST:
        raise RlvlaError(f"{url} sends more than {LARGEST >> 20} MiB: this is not the intended file")
    return content
