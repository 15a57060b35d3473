"""Counter-based randomness: every draw is a function of named integers, so there is no generator state to save.

A run that is killed and resumed at iteration k draws at k what it would have drawn anyway.
"""

import hashlib

import torch


def derive(seed: int, purpose: str, *counters: int) -> int:
    """A 63-bit integer from (seed, purpose, counters): SHA-256, so that neighbouring counters share nothing."""
    text = ":".join([str(seed), purpose, *map(str, counters)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def generator(seed: int, purpose: str, *counters: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A fresh torch generator for one purpose at one place of the run."""
    return torch.Generator(device=device).manual_seed(derive(seed, purpose, *counters))


def episode_ids(
    seed: int, iteration: int, first_env: int, num_envs: int, num_episodes: int, *, envs_per_start: int = 1
) -> torch.Tensor:
    """int64 [num_envs] ids for environments first_env .. first_env + num_envs - 1 of the whole job.

    An id depends on the environment's number over all ranks: two ranks of 32 worlds meet what one rank of 64 meets.
    Each `envs_per_start` neighbours, counted from environment 0, share one id.
    """
    starts = [(first_env + i) // envs_per_start for i in range(num_envs)]
    ids = [derive(seed, "episode", iteration, start) % num_episodes for start in starts]
    return torch.tensor(ids, dtype=torch.int64)
