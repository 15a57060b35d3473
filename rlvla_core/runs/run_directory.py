"""One directory a run.

runs/<name>/
    config.json         the resolved configuration
    provenance.json     command line, git commit and package versions of every start
    metrics.jsonl       the journal
    checkpoints/        for --resume
    tensorboard/        the journal's mirror
    plots/              learning curves
    policy/             the policy bundle: what is evaluated and deployed
"""

import datetime
import importlib.metadata
import json
import platform
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

from rlvla_core.errors import RlvlaError
from rlvla_core.runs.checkpoint import CheckpointStore
from rlvla_core.runs.journal import Journal
from rlvla_core.storage.atomic import replace_json
from rlvla_core.storage.lock import LOCK_NAME, RunLock

_PACKAGES = (
    *("rlvla", "torch", "transformers", "peft", "safetensors", "tokenizers", "numpy", "scipy"),
    *("pyarrow", "av", "mani-skill", "sapien", "gymnasium"),
)


class RunDirectory:
    """The files of one run. Rank 0 makes it with `create`; other ranks and readers use `open_read_only`."""

    def __init__(self, path: Path, *, keep_checkpoints: int = 2, lock: RunLock | None = None) -> None:
        """Use `create` or `open_read_only`. Without a lock the directory is for reading."""
        self.path = Path(path)
        self._lock = lock
        self.checkpoints = CheckpointStore(self.path / "checkpoints", keep=keep_checkpoints)
        self.journal = Journal(
            self.path / "metrics.jsonl",
            tensorboard=self.path / "tensorboard" if lock else None,
            read_only=lock is None,
        )

    @classmethod
    def create(
        cls,
        path: Path | str,
        config: dict[str, Any],
        *,
        resume: bool = False,
        may_change: Collection[str] = (),
        keep_checkpoints: int = 2,
    ) -> "RunDirectory":
        """Start a run in a new directory, or with `resume` go on in an old one; lock it against other processes.

        config: JSON values (nested dictionaries are allowed).
        may_change: dotted keys that a resumed run may give another value, such as `ppo.minutes`; a key also stands
            for everything below it. The new values are written to config.json.

        Raises RlvlaError when another process holds the run, when the directory has content and `resume` is not
        set, when there is nothing to resume, or when the configuration differs from the one of the run.
        """
        path = Path(path)
        config = json.loads(json.dumps(config))
        if path.exists() and not path.is_dir():
            raise RlvlaError(f"{path} is a file: choose another name for the run")
        if resume and not path.is_dir():
            raise RlvlaError(f"nothing to resume: {path} does not exist; leave out --resume to start a new run")
        path.mkdir(parents=True, exist_ok=True)
        lock = RunLock(path / LOCK_NAME)
        try:
            _check_content(path, config, resume, may_change)
            run = cls(path, keep_checkpoints=keep_checkpoints, lock=lock)
            for folder in (run.checkpoints.directory, run.tensorboard_dir, run.plots_dir, run.policy_dir):
                folder.mkdir(exist_ok=True)
            starts = run.provenance["starts"] if run.provenance_path.exists() else []
            replace_json(run.provenance_path, {"starts": [*starts, provenance()]})
            replace_json(path / "config.json", config)
        except BaseException:
            lock.release()
            raise
        return run

    @classmethod
    def open_read_only(cls, path: Path | str) -> "RunDirectory":
        """Look at a run that another process may be writing. Raises RlvlaError when it is not a run directory."""
        path = Path(path)
        if not (path / "config.json").is_file():
            raise RlvlaError(f"{path} is not a run directory: it has no config.json")
        return cls(path)

    @property
    def config(self) -> dict[str, Any]:
        """The resolved configuration, as written."""
        return json.loads((self.path / "config.json").read_text(encoding="utf-8"))

    @property
    def provenance(self) -> dict[str, Any]:
        """{"starts": [one entry for the first start and one for every resume]}."""
        return json.loads(self.provenance_path.read_text(encoding="utf-8"))

    @property
    def provenance_path(self) -> Path:
        return self.path / "provenance.json"

    @property
    def policy_dir(self) -> Path:
        """Where the policy bundle goes."""
        return self.path / "policy"

    @property
    def plots_dir(self) -> Path:
        return self.path / "plots"

    @property
    def tensorboard_dir(self) -> Path:
        return self.path / "tensorboard"

    def close(self) -> None:
        """Close the journal and give the lock back."""
        self.journal.close()
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> "RunDirectory":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def provenance() -> dict[str, Any]:
    """Where a result comes from, without the name of the machine: command, UTC time, commit, versions."""
    versions: dict[str, str] = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "started": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "git": git_commit(),
        "platform": f"{platform.system()} {platform.machine()}",
        "versions": versions,
    }


def git_commit() -> dict[str, Any] | None:
    """The commit of this source tree and whether files differ from it; None for an installed package."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        commit = _git(root, "rev-parse", "HEAD").strip()
        return {"commit": commit, "modified": bool(_git(root, "status", "--porcelain", "--untracked-files=no").strip())}
    except (OSError, subprocess.SubprocessError):
        return None


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout


def _check_content(path: Path, config: dict[str, Any], resume: bool, may_change: Collection[str]) -> None:
    # A run that was killed before its config.json was there has only the lock and temporary files: that is a new run.
    content = [entry.name for entry in path.iterdir() if not entry.name.startswith(".")]
    if "config.json" not in content:
        # These are all that `create` makes before config.json, so a kill in between leaves nothing else.
        strange = sorted(set(content) - {"provenance.json", "checkpoints", "tensorboard", "plots", "policy"})
        if strange:
            raise RlvlaError(f"{path} is no run directory, and it is not empty ({strange[0]}): choose another name")
        return
    if not resume:
        raise RlvlaError(f"{path} already holds a run: continue it with --resume, or choose another name")
    old = json.loads((path / "config.json").read_text(encoding="utf-8"))
    if difference := first_difference(old, config, may_change):
        key, before, now = difference
        raise RlvlaError(
            f"cannot resume {path}: `{key}` was {before} and is now {now}; give it the old value, or start a new run"
        )


def first_difference(
    old: dict[str, Any], new: dict[str, Any], may_change: Collection[str] = ()
) -> tuple[str, str, str] | None:
    """The first dotted key, in the old configuration's order, whose value differs: (key, old JSON, new JSON)."""
    before, now = _flat(old), _flat(new)
    for key in [*before, *(key for key in now if key not in before)]:
        if any(key == allowed or key.startswith(f"{allowed}.") for allowed in may_change):
            continue
        left = json.dumps(before[key]) if key in before else "not set"
        right = json.dumps(now[key]) if key in now else "not set"
        if left != right:
            return key, left, right
    return None


def _flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict) and value:
            result.update(_flat(value, f"{prefix}{key}."))
        else:
            result[prefix + key] = value
    return result
