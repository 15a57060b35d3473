"""experiments/failures.py: where an episode ended, told from what happened in its steps."""

import numpy as np
import pytest
from failures import ENDS, RISEN, end_of


@pytest.mark.parametrize(
    "end, held, height, success",
    [
        ("success", "0110", "0110", "0001"),
        ("was on the receptacle, not at the end", "0110", "0110", "0010"),
        ("never grasped", "0000", "0001", "0000"),
        ("grasped, never lifted", "0110", "0000", "0000"),
        ("grasped, never lifted", "0100", "0010", "0000"),  # thrown up after it was let go
        ("held where it lay", "0111", "0100", "0000"),
        ("lifted and lost", "0110", "0010", "0000"),
        ("held in the air", "0011", "0001", "0000"),
    ],
)
def test_every_episode_has_one_end(end: str, held: str, height: str, success: str) -> None:
    flags, heights, on = (np.array(list(steps), dtype=int) for steps in (held, height, success))
    assert end in ENDS
    assert end_of(flags.astype(bool), 1.01 * RISEN * heights, at_end=bool(on[-1]), once=bool(on.any())) == end
