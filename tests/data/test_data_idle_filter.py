"""The idle filter on an example made by hand."""

import numpy as np
from data_fakes import make_episode

from rlvla_core.data import Episode, IdleFilter, drop_idle, moving_steps

OPEN, CLOSED = 1.0, -1.0
STEPS = [
    # Δx, Δy, Δz, Δroll, Δpitch, Δyaw, gripper, kept with the paper's thresholds
    ((0.000, 0.000, 0.000, 0.00, 0.00, 0.00, OPEN), False),  # the first step: nothing before it, no motion
    ((0.012, 0.000, 0.000, 0.00, 0.00, 0.00, OPEN), True),  # moves
    ((0.008, 0.008, 0.000, 0.00, 0.00, 0.00, OPEN), True),  # 11.3 mm along the diagonal
    ((0.005, 0.005, 0.005, 0.00, 0.00, 0.00, OPEN), False),  # 8.7 mm
    ((0.000, 0.000, 0.000, 0.00, 0.00, 0.07, OPEN), True),  # turns
    ((0.000, 0.000, 0.000, 0.03, 0.03, 0.03, OPEN), False),  # 0.052 rad
    ((0.000, 0.000, 0.000, 0.00, 0.00, 0.00, CLOSED), True),  # toggles
    ((0.000, 0.000, 0.000, 0.00, 0.00, 0.00, CLOSED), False),  # still closed
    ((0.009, 0.000, 0.000, 0.05, 0.00, 0.00, CLOSED), False),  # both below, though not at once zero
    ((0.000, 0.000, 0.000, 0.00, 0.00, 0.00, OPEN), True),  # toggles back
]
ACTIONS = np.array([step for step, _ in STEPS], np.float32)
KEPT = [kept for _, kept in STEPS]


def example() -> Episode:
    base = make_episode(0, steps=len(STEPS))
    return Episode(
        images=base.images,
        actions=ACTIONS,
        instruction="put it down",
        episode_id=3,
        success=True,
        state=base.state,
        rewards=np.arange(len(STEPS), dtype=np.float32),
    )


def test_steps_kept():
    assert moving_steps(ACTIONS, IdleFilter()).tolist() == KEPT


def test_thresholds_of_zero_drop_only_what_does_not_move_at_all():
    assert moving_steps(ACTIONS, IdleFilter(position=0.0, rotation=0.0)).tolist() == [
        *(False, True, True, True, True, True, True, False, True, True)
    ]


def test_every_array_is_indexed_alike():
    episode, filtered = example(), drop_idle(example(), IdleFilter())
    indices = np.flatnonzero(KEPT)
    assert np.array_equal(filtered.images, episode.images[indices])
    assert np.array_equal(filtered.state, episode.state[indices])  # type: ignore[index, arg-type]
    assert np.array_equal(filtered.actions, ACTIONS[indices])
    assert (filtered.episode_id, filtered.success, filtered.instruction) == (3, True, "put it down")


def test_the_return_is_kept():
    """Reward k at step k: each dropped step's goes to the kept step before it; step 0 has none before, so to step 1."""
    filtered = drop_idle(example(), IdleFilter())
    assert filtered.rewards is not None
    assert filtered.rewards.tolist() == [0 + 1, 2 + 3, 4 + 5, 6 + 7 + 8, 9]
