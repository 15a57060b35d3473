"""Counter-based random numbers: every draw is a function of named integers, so there is no generator state to save.

A run that is killed and resumed at iteration k draws at k the numbers that it would have drawn without the kill.
"""

import hashlib

import torch


def derive(seed: int, purpose: str, *counters: int) -> int:
    """A 63-bit integer from (seed, purpose, counters) by SHA-256, so that neighbouring counters are unrelated."""
    text = ":".join([str(seed), purpose, *map(str, counters)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def generator(seed: int, purpose: str, *counters: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A new torch generator on `device`, seeded with `derive(seed, purpose, *counters)`."""
    return torch.Generator(device=device).manual_seed(derive(seed, purpose, *counters))


def episode_ids(
    seed: int, iteration: int, first_env: int, num_envs: int, num_episodes: int, *, envs_per_start: int = 1
) -> torch.Tensor:
    """Episode ids, int64 [num_envs], for environments first_env .. first_env + num_envs - 1 of the whole job.

    Each id is 0 .. num_episodes - 1 and depends on the environment's number over all ranks: two ranks of 32
    environments get the ids of one rank of 64. Each `envs_per_start` neighbours, counted from environment 0, share one
    id.
    """
    starts = [(first_env + i) // envs_per_start for i in range(num_envs)]
    ids = [derive(seed, "episode", iteration, start) % num_episodes for start in starts]
    return torch.tensor(ids, dtype=torch.int64)
