"""Many ranks, one model: gradients summed over processes, and a local launcher that needs no network.

`launch` starts N copies of a function on this machine. They meet through a file and talk over the loopback interface
only. Started by `torchrun` instead, the same code uses the process group that torchrun describes in the environment.
Each rank has its own environments and one thread. Replicas stay equal: they start equal and apply equal gradients.
"""

import datetime
import functools
import multiprocessing
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from rlvla_core.devices import check_device
from rlvla_core.errors import RlvlaError
from rlvla_core.processes import end_with_parent, environment

_TIMEOUT = datetime.timedelta(hours=2)
"""Rank 0 may evaluate and save while the others wait; a dead rank is noticed by other means."""
_GRACE_SECONDS = 2.0


class LostContactError(RlvlaError):
    """Raised on a rank when another rank has gone: the consequence of an error, not its cause."""


class Ranks:
    """This process's place among the training processes, and the few collectives that training needs."""

    def __init__(self, rank: int = 0, size: int = 1, device: torch.device | str = "cpu") -> None:
        """Rank `rank` of `size`, computing on `device`. With `size` > 1 the process group must exist."""
        self.rank, self.size, self.device = rank, size, torch.device(device)

    @property
    def is_main(self) -> bool:
        """Whether this is rank 0, which alone writes files and shows progress."""
        return self.rank == 0

    def per_rank(self, total: int, what: str) -> int:
        """`total` divided by the number of ranks. Raises RlvlaError, which names `what`, where a rest remains."""
        if total < 1 or total % self.size:
            raise RlvlaError(f"{total} {what} cannot be divided evenly over {self.size} ranks: use a multiple")
        return total // self.size

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        """The sum over ranks of equally shaped tensors, as a new tensor of the same dtype on the same device."""
        if self.size == 1:
            return tensor.clone()
        total = tensor.detach().to(self.device, copy=True)
        self._collective(lambda: dist.all_reduce(total))
        return total.to(tensor.device)

    def gather(self, tensor: torch.Tensor) -> torch.Tensor:
        """Equally shaped tensors of all ranks, concatenated along the first axis in rank order."""
        if self.size == 1:
            return tensor.clone()
        mine = tensor.detach().to(self.device).contiguous()
        parts = [torch.empty_like(mine) for _ in range(self.size)]
        self._collective(lambda: dist.all_gather(parts, mine))
        return torch.cat(parts).to(tensor.device)

    def sum_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Replace every `.grad` by its sum over the ranks, through one flat float32 bucket.

        Losses are already divided by the sample count of all ranks, so a sum is the mean over all samples, however
        many each rank has. A parameter without a gradient on every rank keeps None.
        """
        if self.size == 1:
            return
        own = list(parameters)
        present = torch.tensor([p.grad is not None for p in own], dtype=torch.float32, device=self.device)
        pieces = [(p.grad if p.grad is not None else torch.zeros_like(p)).detach().float().flatten() for p in own]
        bucket = torch.cat([present, *pieces])
        self._collective(lambda: dist.all_reduce(bucket))
        has_gradient = bucket[: len(own)].tolist()
        offset = len(own)
        for parameter, count in zip(own, has_gradient, strict=True):
            flat = bucket[offset : offset + parameter.numel()]
            offset += parameter.numel()
            parameter.grad = flat.view_as(parameter).to(parameter.dtype, copy=True) if count else None

    def broadcast(self, tensors: Iterable[torch.Tensor]) -> None:
        """Overwrite the tensors, in place, with those of rank 0."""
        if self.size > 1:
            for tensor in tensors:
                data = tensor.detach().contiguous()
                self._collective(functools.partial(dist.broadcast, data, src=0))
                with torch.no_grad():
                    tensor.copy_(data)

    def any(self, flag: bool) -> bool:
        """True on every rank if `flag` is True on any: how ranks agree to stop."""
        return bool(self.sum(torch.tensor([float(flag)])).item() > 0)

    def barrier(self) -> None:
        """Return once every rank has called this."""
        self.sum(torch.zeros(1))

    def _collective(self, operation: Callable[[], Any]) -> None:
        try:
            operation()
        except RuntimeError as error:
            raise LostContactError(
                f"rank {self.rank} lost contact with the other ranks ({str(error).splitlines()[0][:100]})"
            ) from error


def default_ranks(device: str) -> int:
    """One rank per GPU; on a CPU one per core, at most 4 (more gain little, and environments must divide evenly)."""
    if device.startswith("cuda"):
        return torch.cuda.device_count()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 4 if cores >= 4 else 2 if cores >= 2 else 1


def launch(target: Callable[..., None], args: tuple[Any, ...], *, ranks: int, device: str = "cpu") -> None:
    """Run `target(Ranks, *args)` on `ranks` processes (0: `default_ranks`) and return when all have returned.

    `target` must be importable (a module's function) and `args` plain data: each rank is a fresh interpreter. One rank
    runs in this process. Under torchrun, `ranks` must be its world size or 0. When a rank fails or is killed, the
    others are ended within seconds, and its one-line reason is raised as RlvlaError. A device that this machine lacks
    is refused before any process starts.
    """
    check_device(device)
    if "WORLD_SIZE" in os.environ and "RANK" in os.environ:
        _run_under_torchrun(target, args, ranks, device)
        return
    ranks = ranks or default_ranks(device)
    if ranks == 1:
        _pin_threads(device)
        target(Ranks(device=device), *args)
    elif ranks < 1:
        raise RlvlaError(f"--ranks {ranks}: use 1 or more, or 0 for the default")
    else:
        _run_locally(target, args, ranks, device)


def _run_under_torchrun(target: Callable[..., None], args: tuple[Any, ...], ranks: int, device: str) -> None:
    size = int(os.environ["WORLD_SIZE"])
    if ranks not in (0, size):
        raise RlvlaError(f"--ranks {ranks}, but torchrun started {size}: leave --ranks out")
    if device.startswith("cuda"):
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        torch.cuda.set_device(device)
    _pin_threads(device)
    dist.init_process_group("nccl" if device.startswith("cuda") else "gloo", timeout=_TIMEOUT)
    try:
        target(Ranks(dist.get_rank(), size, device), *args)
    finally:
        dist.destroy_process_group()


def _pin_threads(device: str) -> None:
    # Two OpenMP pools on the same cores spin against each other and can be 100 times slower than one thread each.
    if not device.startswith("cuda"):
        torch.set_num_threads(1)


def _run_locally(target: Callable[..., None], args: tuple[Any, ...], ranks: int, device: str) -> None:
    context = multiprocessing.get_context("spawn")
    loopback = "lo0" if sys.platform == "darwin" else "lo"
    settings = {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": loopback, "NCCL_SOCKET_IFNAME": loopback}
    with tempfile.TemporaryDirectory(prefix="rlvla-ranks-") as folder:
        readers, processes = [], []
        with environment(settings):  # which the children read before they import torch
            for rank in range(ranks):
                reader, writer = context.Pipe(duplex=False)
                arguments = (target, args, rank, ranks, device, str(Path(folder) / "store"), writer)
                process = context.Process(target=_rank_main, args=arguments, name=f"rank{rank}")
                process.start()
                writer.close()
                readers.append(reader)
                processes.append(process)
        try:
            _wait_for_all(processes, readers)
        finally:
            _end(processes)


def _wait_for_all(processes: list[Any], readers: list[Connection]) -> None:
    running = list(processes)
    while running:
        wait([process.sentinel for process in running])
        running = [process for process in running if process.is_alive()]
        if any(process.exitcode for process in processes if not process.is_alive()):
            for process in running:  # let them report too: the first to end need not be the cause
                process.join(_GRACE_SECONDS)
            raise RlvlaError(_reason(processes, readers))


def _reason(processes: list[Any], readers: list[Connection]) -> str:
    """Why the job ended: an error that a rank reports, else a rank that died without a report, else a consequence."""
    reports = [_receive(reader) for reader in readers]
    causes = [message for kind, message in reports if kind == "cause"]
    died = [
        f"rank {i} was ended by {signal.Signals(-p.exitcode).name}; the other ranks were ended too. "
        "Continue from the last checkpoint with --resume"
        for i, p in enumerate(processes)
        if p.exitcode is not None and p.exitcode < 0
    ]
    others = [message for kind, message in reports if kind == "consequence"]
    return (causes + died + others + ["a rank ended without giving a reason"])[0]


def _receive(reader: Connection) -> tuple[str, str]:
    try:
        return reader.recv() if reader.poll() else ("", "")
    except EOFError:
        return ("", "")


def _end(processes: list[Any]) -> None:
    for process in processes:
        if process.is_alive():
            process.terminate()
    for process in processes:
        process.join(_GRACE_SECONDS)
        if process.is_alive():
            process.kill()
            process.join()


def _rank_main(
    target: Callable[..., None],
    args: tuple[Any, ...],
    rank: int,
    size: int,
    device: str,
    store: str,
    report: Connection,
) -> None:
    end_with_parent()
    if device.startswith("cuda"):
        device = f"cuda:{rank}"
        torch.cuda.set_device(device)
    _pin_threads(device)
    code = 1
    try:
        meeting = dist.FileStore(store, size)
        backend = "nccl" if device.startswith("cuda") else "gloo"
        dist.init_process_group(backend, store=meeting, rank=rank, world_size=size, timeout=_TIMEOUT)
        target(Ranks(rank, size, device), *args)
        code = 0
    except LostContactError as error:
        report.send(("consequence", str(error)))
    except RlvlaError as error:
        report.send(("cause", str(error)))
    except KeyboardInterrupt:
        report.send(("consequence", "interrupted"))
    except BaseException as error:
        traceback.print_exc()
        report.send(("cause", f"rank {rank} failed: {type(error).__name__}: {error}"))
    report.close()
    sys.stdout.flush()
    sys.stderr.flush()
    # Leave at once: an orderly shutdown of the process group would wait for ranks that may be gone.
    os._exit(code)
