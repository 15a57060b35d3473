"""Dropping idle steps: those at which a demonstration does not move.

A policy that is trained on them learns to stand still (arXiv 2505.19789, appendix on data). Dropping a step drops its
small motion too; it is not added to the next step, so a filtered episode is for imitation, not for open-loop replay.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rlvla_core.data.episode import Episode


@dataclass(frozen=True, kw_only=True, slots=True)
class IdleFilter:
    """Thresholds: a step is idle if it moves and turns no further than these and does not switch the gripper."""

    position: float = 0.01
    """Largest |Δxyz| of an idle step, metres; the paper uses 0.01. It must be below the expert's own step length."""
    rotation: float = 0.06
    """Largest norm of the three Euler deltas of an idle step, radians; the paper uses 0.06."""


def moving_steps(actions: npt.NDArray[np.float32], thresholds: IdleFilter) -> npt.NDArray[np.bool_]:
    """Which steps of `actions` (float32 [T, 7]) are not idle, bool [T].

    A gripper switch is a change of the sign of the gripper command against the step before *in the unfiltered episode*;
    the first step has none before it and so is judged by its motion alone.
    """
    moves = np.linalg.norm(actions[:, :3], axis=1) > thresholds.position
    turns = np.linalg.norm(actions[:, 3:6], axis=1) > thresholds.rotation
    opens = actions[:, 6] > 0
    switches = np.diff(opens, prepend=opens[:1])
    return moves | turns | switches


def drop_idle(episode: Episode, thresholds: IdleFilter) -> Episode:
    """The episode without its idle steps. Raises RlvlaError if nothing is left.

    One mask indexes every array, so that image, action, state and reward of a step stay together (the reference code
    indexed its success flags by filtered positions on the unfiltered list). The reward of a dropped step is added to
    the kept step before it (or to the first kept step, where none is before), so that the episode's return stays.
    """
    moving = moving_steps(episode.actions, thresholds)
    kept = episode.select(moving)
    if episode.rewards is None:
        return kept
    heir = np.maximum(np.cumsum(moving) - 1, 0)
    rewards = np.bincount(heir, weights=episode.rewards, minlength=len(kept)).astype(np.float32)
    return dataclasses.replace(kept, rewards=rewards)
