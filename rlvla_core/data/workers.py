"""The worker processes of a collection: they are given shards, and report progress, errors and their end."""

import contextlib
import multiprocessing
import signal
from collections.abc import Callable, Generator
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, cast

from rlvla_core.data.demonstrator import CollectionPlan, Demonstrator, collect_shard
from rlvla_core.errors import RlvlaError
from rlvla_core.processes import one_thread


def run_workers(
    open_demonstrator: Callable[[], Demonstrator], plan: CollectionPlan, jobs: list[tuple[range, Path]], processes: int
) -> Generator[int, None, None]:
    """Collect `jobs`, (demonstrations, path) of each shard, in up to `processes` worker processes.

    Yields, as they are finished, the number of attempts that each demonstration took. Raises RlvlaError when a worker
    raises one or dies. The workers end with the generator: close it.
    """
    context = multiprocessing.get_context("spawn")
    waiting = list(reversed(jobs))
    busy: dict[Connection, tuple[Any, range]] = {}
    workers = []
    try:
        for _ in range(min(processes, len(jobs))):
            ours, theirs = context.Pipe()
            worker = context.Process(target=_work, args=(theirs, open_demonstrator, plan), daemon=True)
            with one_thread():
                worker.start()
            theirs.close()
            workers.append(worker)
            job = waiting.pop()
            busy[ours] = (worker, job[0])
            _give(ours, job)
        while busy:
            for connection in cast(list[Connection], wait(list(busy))):
                worker, shard = busy[connection]
                try:
                    kind, value = connection.recv()
                except (EOFError, ConnectionResetError):
                    raise _death(worker, shard) from None
                if kind == "demonstration":
                    yield value
                elif kind == "error":
                    raise RlvlaError(value)
                elif waiting:
                    job = waiting.pop()
                    busy[connection] = (worker, job[0])
                    _give(connection, job)
                else:
                    _give(connection, None)
                    del busy[connection]
        for worker in workers:
            worker.join(timeout=10)
    finally:
        for worker in workers:
            if worker.is_alive():
                worker.terminate()
            worker.join(timeout=5)
            if worker.is_alive():
                worker.kill()


def _give(connection: Connection, job: tuple[range, Path] | None) -> None:
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # a dead worker: the next `recv` says so
        connection.send(job)


def _death(worker: Any, shard: range) -> RlvlaError:
    worker.join(timeout=5)
    code = worker.exitcode
    how = f"was killed by {signal.Signals(-code).name}" if code is not None and code < 0 else f"ended with code {code}"
    return RlvlaError(
        f"the worker for demonstrations {shard[0]} .. {shard[-1]} {how} (its own message is above, if it had time): "
        "finished shards are kept, continue with --resume"
    )


def _work(connection: Connection, open_demonstrator: Callable[[], Demonstrator], plan: CollectionPlan) -> None:
    """What a worker process does: write shards until it is given None. It ends with its parent, whose pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets Ctrl-C too, and ends us
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        try:
            demonstrator = open_demonstrator()
            try:
                while (job := connection.recv()) is not None:
                    shard, path = job
                    collect_shard(demonstrator, plan, shard, path, lambda n: connection.send(("demonstration", n)))
                    connection.send(("shard", None))
            finally:
                demonstrator.close()
        except RlvlaError as error:
            connection.send(("error", str(error)))
