"""Collecting demonstrations with many processes: the same dataset for any number of processes and interruptions.

Which episode demonstration i plays, and with which noise, follows from the seed; an attempt that fails is replaced by
the next one of the same i. So the result depends on the seed and the number of episodes only. Finished shards are
complete datasets in `<out>.parts`; the last step merges them in order.
"""

import contextlib
import json
import math
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rlvla_core.data.demonstrator import CollectionPlan, Demonstrator
from rlvla_core.data.merge import merge
from rlvla_core.data.metadata import Metadata
from rlvla_core.data.workers import run_workers
from rlvla_core.errors import RlvlaError
from rlvla_core.storage.json_files import read_json, replace_json
from rlvla_core.storage.lock import LOCK_NAME, RunLock

_SETTINGS = "collection.json"
_SHARD = 16
"""Most demonstrations in a shard."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CollectionCounts:
    """How far a collection is."""

    demonstrations: int
    """Demonstrations that have been collected; each one is a successful attempt."""
    attempts: int
    """Attempts that these demonstrations took, failed ones included."""


def collect(
    open_demonstrator: Callable[[], Demonstrator],
    plan: CollectionPlan,
    out: Path,
    *,
    processes: int,
    resume: bool = False,
    on_progress: Callable[[CollectionCounts], None] = lambda counts: None,
) -> Path:
    """Collect `plan` into the new dataset `out` with `processes` worker processes. Returns the dataset's path.

    open_demonstrator: called once in each worker; must be importable there (a module's function, or a partial of one).
    resume: keep the shards that an interrupted collection has finished.
    on_progress: called with the counts at the start and after every demonstration.

    Raises RlvlaError if `out` exists, if there are shards without `resume`, if they belong to another plan, and when a
    worker dies or fails.
    """
    out = Path(out).absolute()
    if os.path.lexists(out):
        raise RlvlaError(f"{out} exists already: choose another name or remove it first")
    if processes < 1:
        raise RlvlaError(f"processes = {processes}: use at least one")
    parts = out.with_name(f"{out.name}.parts")
    shard_size = _prepare(parts, plan, processes, resume)
    lock = RunLock(parts / LOCK_NAME)
    try:
        shards = [range(first, min(first + shard_size, plan.episodes)) for first in range(0, plan.episodes, shard_size)]
        paths = [parts / f"shard-{number:05d}" for number in range(len(shards))]
        missing = [number for number, path in enumerate(paths) if not path.exists()]
        kept = [Metadata.read(path).provenance["attempts"] for path in paths if path.exists()]
        done = plan.episodes - sum(len(shards[number]) for number in missing)
        counts = CollectionCounts(demonstrations=done, attempts=sum(kept))
        on_progress(counts)
        jobs = [(shards[number], paths[number]) for number in missing]
        with contextlib.closing(run_workers(open_demonstrator, plan, jobs, processes)) as finished:
            for attempts in finished:
                counts = CollectionCounts(demonstrations=counts.demonstrations + 1, attempts=counts.attempts + attempts)
                on_progress(counts)
        merge(paths, out, provenance=_plan_json(plan) | {"attempts": counts.attempts})
    finally:
        lock.release()
    shutil.rmtree(parts)
    return out


def _prepare(parts: Path, plan: CollectionPlan, processes: int, resume: bool) -> int:
    """Make the folder of shards, or check that it is of `plan`; returns the number of demonstrations in a shard."""
    settings = parts / _SETTINGS
    if not settings.exists():
        # Small shards lose little to an interruption; equal ones end together.
        shard_size = math.ceil(plan.episodes / (processes * math.ceil(plan.episodes / (_SHARD * processes))))
        try:
            parts.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RlvlaError(f"cannot make {parts}: {error.strerror}; choose another place") from error
        replace_json(settings, {"plan": _plan_json(plan), "shard_size": shard_size})
        return shard_size
    if not resume:
        raise RlvlaError(f"{parts} holds an unfinished collection: continue it with --resume or remove it")
    found = read_json(settings, f"remove {parts} and collect again")
    for key, value in _plan_json(plan).items():
        if found["plan"].get(key) != value:
            raise RlvlaError(
                f"{parts} was begun with {key} = {json.dumps(found['plan'].get(key))}, not {json.dumps(value)}: "
                "resume with the same settings or remove it"
            )
    return found["shard_size"]


def _plan_json(plan: CollectionPlan) -> dict[str, Any]:
    return json.loads(json.dumps(asdict(plan)))
