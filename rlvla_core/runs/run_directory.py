"""The directory of a run: everything that one training reads and writes.

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
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Protocol

from rlvla_core.errors import RlvlaError
from rlvla_core.runs.checkpoint import CheckpointStore
from rlvla_core.runs.journal import Journal
from rlvla_core.runs.same_run import NOT_SET, first_difference
from rlvla_core.storage.json_files import read_json, replace_json
from rlvla_core.storage.lock import LOCK_NAME, RunLock

_PACKAGES = (
    *("rlvla", "torch", "transformers", "peft", "safetensors", "tokenizers", "numpy", "scipy"),
    *("pyarrow", "av", "mani-skill", "sapien", "gymnasium"),
)


_HINT = "put it back from a copy, or start a new run"


class RunDirectory:
    """The files of one run. Its one writer opens it with `create`; other ranks and readers use `open_read_only`."""

    def __init__(self, path: Path, *, keep_checkpoints: int = 2, lock: RunLock | None = None) -> None:
        """For `create` and `open_read_only`. Without a lock the journal is for reading only."""
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
        defaults: Mapping[str, Any] | None = None,
        keep_checkpoints: int = 2,
    ) -> "RunDirectory":
        """Start a run in a new directory, or with `resume` continue the one in `path`; lock it for this process.

        config: JSON values (nested dictionaries are allowed); written to config.json.
        may_change, defaults: what may differ from the configuration of a resumed run, see `first_difference`.
        keep_checkpoints: how many checkpoints stay on the disk.

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
            _check_content(path, config, resume, may_change, defaults)
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
        """The run in `path`, for reading; another process may be writing it. Raises RlvlaError if there is none."""
        path = Path(path)
        if not (path / "config.json").is_file():
            raise RlvlaError(f"{path} is not a run directory: it has no config.json")
        return cls(path)

    @property
    def config(self) -> dict[str, Any]:
        """The resolved configuration of the last start: the content of config.json."""
        return read_json(self.path / "config.json", _HINT)

    @property
    def provenance(self) -> dict[str, Any]:
        """The content of provenance.json: {"starts": [one entry for the first start and one for every resume]}."""
        return read_json(self.provenance_path, _HINT)

    @property
    def provenance_path(self) -> Path:
        """The file that says how the run was started."""
        return self.path / "provenance.json"

    @property
    def policy_dir(self) -> Path:
        """The directory of the policy bundle."""
        return self.path / "policy"

    @property
    def plots_dir(self) -> Path:
        """The directory of the learning curves."""
        return self.path / "plots"

    @property
    def tensorboard_dir(self) -> Path:
        """The directory of the journal's TensorBoard mirror."""
        return self.path / "tensorboard"

    def close(self) -> None:
        """Close the journal and release the lock."""
        self.journal.close()
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> "RunDirectory":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class RankGroup(Protocol):
    """What `open_run` asks of the processes that train together (`rlvla_core.learning.distributed.Ranks` has it)."""

    @property
    def is_main(self) -> bool:
        """Whether this process is rank 0."""
        ...

    def barrier(self) -> None:
        """Wait until every rank has come here."""
        ...


def open_run(
    path: Path,
    config: dict[str, Any],
    ranks: RankGroup,
    *,
    resume: bool,
    may_change: Collection[str] = (),
    defaults: Mapping[str, Any] | None = None,
) -> RunDirectory:
    """Open a run on all ranks: rank 0 creates or resumes and locks it, then the others open it for reading.

    Arguments and errors are those of `RunDirectory.create`.
    """
    run = None
    if ranks.is_main:
        run = RunDirectory.create(path, config, resume=resume, may_change=may_change, defaults=defaults)
    ranks.barrier()
    return run if run is not None else RunDirectory.open_read_only(path)


def provenance() -> dict[str, Any]:
    """How this process was started, without the name of the machine: command, UTC time, commit, versions."""
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
    """The git commit of this source tree, and whether files differ from it; None for an installed package."""
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


def _check_content(
    path: Path,
    config: dict[str, Any],
    resume: bool,
    may_change: Collection[str],
    defaults: Mapping[str, Any] | None,
) -> None:
    """Raise RlvlaError unless the directory is empty, or holds the run of `config` and is to be resumed."""
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
    recorded = read_json(path / "config.json", _HINT)
    if difference := first_difference(recorded, config, may_change=may_change, defaults=defaults):
        key, before, now = difference
        # An option that this version does not have cannot get its old value back.
        hint = (
            f"resume it with the version in {path / 'provenance.json'}" if now == NOT_SET else "give it the old value"
        )
        raise RlvlaError(f"cannot resume {path}: `{key}` was {before} and is now {now}; {hint}, or start a new run")
