"""Evaluation in several processes, each with its own environments and its own copy of the policy."""

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from typing import Any

import torch

from rlvla_core.environment import VecEnv
from rlvla_core.errors import RlvlaError
from rlvla_core.evaluation.episode_list import EpisodeList
from rlvla_core.evaluation.evaluate import EvaluationResult, Policy, evaluate, merge_results
from rlvla_core.processes import end_with_parent, environment

Build = Callable[..., tuple[Policy, VecEnv]]
"""An importable function that makes a policy and its environments; it is called in the process that uses them."""

_own: tuple[Any, Policy, VecEnv] | None = None
"""Of this worker process: what its policy and environments were made from, then the policy and the environments."""


class EvaluationPool:
    """Context manager of worker processes for several evaluations: to start one and import a simulator takes seconds.

    A worker computes with one thread. It keeps its policy and environments until an evaluation needs others.
    """

    def __init__(self, processes: int) -> None:
        """`processes`: number of workers; they start when the context is entered."""
        self.processes = processes

    def __enter__(self) -> "EvaluationPool":
        self._environment = environment({"OMP_NUM_THREADS": "1"})  # workers read it when they import torch
        self._environment.__enter__()
        self._pool = ProcessPoolExecutor(
            self.processes, mp_context=multiprocessing.get_context("spawn"), initializer=_start_worker
        )
        return self

    def __exit__(self, *exception: object) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._environment.__exit__(None, None, None)

    def evaluate(
        self,
        build: Build,
        arguments: tuple[Any, ...],
        episodes: EpisodeList,
        *,
        num_envs: int,
        temperature: float = 0.0,
        seed: int = 0,
        record: int = 0,
        progress: Callable[[int], None] | None = None,
    ) -> EvaluationResult:
        """Run a list of episodes, its batches handed out to the workers as they become free; see `evaluate`.

        build(*arguments) must return a policy and `num_envs` environments. The result is the same as in one process.
        Raises what a worker raises, and RlvlaError if a worker dies.
        """
        parts, done = [], 0
        start = time.monotonic()
        jobs = [
            self._pool.submit(_run_part, build, arguments, batch, temperature, seed, max(0, record - index * num_envs))
            for index, batch in enumerate(episodes.batches(num_envs))
        ]
        try:
            for job in as_completed(jobs):
                parts.append(job.result())
                done += parts[-1].n
                if progress is not None:
                    progress(done)
        except BrokenProcessPool:
            raise RlvlaError(
                "a worker of the evaluation was killed (often: out of memory): use fewer --num-envs or --processes"
            ) from None
        finally:
            for job in jobs:
                job.cancel()
        return replace(merge_results(parts, episodes), seconds=time.monotonic() - start)


def _start_worker() -> None:
    torch.set_num_threads(1)
    end_with_parent()


def _run_part(
    build: Build, arguments: tuple[Any, ...], batch: EpisodeList, temperature: float, seed: int, record: int
) -> EvaluationResult:
    global _own
    wanted = (build, arguments)
    if _own is None or _own[0] != wanted:
        if _own is not None:
            _own[2].close()
        # Built here and not in the initializer, whose exceptions would not reach the user.
        _own = (wanted, *build(*arguments))
    _, policy, env = _own
    return evaluate(policy, env, batch, temperature=temperature, seed=seed, record=record)
