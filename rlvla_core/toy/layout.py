"""Start positions of the toy worlds, hashed from the episode id, so that no list of episodes is stored."""

import numpy as np
import numpy.typing as npt
import torch

NUM_EPISODES = 1 << 20
GRID = 5
"""Things start in different cells of a GRID x GRID board."""


def uniforms(episode_ids: torch.Tensor, count: int) -> npt.NDArray[np.float64]:
    """[N, count] numbers in [0, 1): SplitMix64 (Steele et al. 2014) of (id, column), identical on every machine."""
    ids = episode_ids.numpy().astype(np.uint64)[:, None]
    columns = np.arange(1, count + 1, dtype=np.uint64)
    state: npt.NDArray[np.uint64] = ids * _word(0xD1342543DE82EF95) + columns
    state = state * _word(0x9E3779B97F4A7C15)
    state = (state ^ (state >> _word(30))) * _word(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> _word(27))) * _word(0x94D049BB133111EB)
    state = state ^ (state >> _word(31))
    return (state >> _word(11)).astype(np.float64) * 2.0**-53


def _word(value: int) -> npt.NDArray[np.uint64]:
    return np.array(value, dtype=np.uint64)


def start_points(draws: npt.NDArray[np.float64], things: int, half_width: float) -> torch.Tensor:
    """float32 [N, things, 2] metres in a square of ±half_width, one cell each, jittered by a quarter of a cell.

    `draws` [N, GRID² + 2·things]: the first GRID² rank the cells, the rest are the jitter.
    """
    cells = np.argsort(draws[:, : GRID * GRID], axis=1, kind="stable")[:, :things]
    centres = np.stack([cells % GRID, cells // GRID], axis=-1) + 0.5
    jitter = draws[:, GRID * GRID :].reshape(-1, things, 2) - 0.5
    points = (centres + 0.5 * jitter) / GRID * 2.0 - 1.0
    return torch.from_numpy((points * half_width).astype(np.float32))
