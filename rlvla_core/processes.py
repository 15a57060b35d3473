"""What processes that start other processes have in common: the environment of the children, and their end."""

import contextlib
import multiprocessing
import os
import threading
from collections.abc import Iterator, Mapping


@contextlib.contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for the processes that are started inside the block, which inherit them."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def one_thread() -> contextlib.AbstractContextManager[None]:
    """`environment` in which a started process computes (OpenMP, MKL) and draws (Mesa) in one thread.

    Where there are as many processes as cores, more threads would only fight over the cores.
    """
    return environment({"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "LP_NUM_THREADS": "0"})


def end_with_parent() -> None:
    """In a process of `multiprocessing`: end it at once, with code 1, when its parent process ends.

    A parent that was killed cannot end its children, so they watch it, in a thread of their own.
    """
    threading.Thread(target=_watch_parent, daemon=True).start()


def _watch_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
