"""Measure how far the hand has turned when it first grasps, against the turn that the expert's plan needs.

    python experiments/grasp_angles.py docs/results/policy-seed1 [...] [--episodes 256] [--temperature 0.6]

Every policy plays the same episodes of the training grid. The scripted expert's plan gives the angle by which the
closing direction of the fingers has to turn from the start; it is compared with the angle by which the direction had
turned when the hand first held something. Prints a table for each policy, episodes grouped by the turn that they need,
and ends with one line of JSON. Measured results: docs/results/view-and-turns.md.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from recording_env import PlayOptions, RecordingEnv, episodes_of, play_in, run

from rlvla_core.environment import Observation, StepResult
from rlvla_core.evaluation.report import format_rate
from rlvla_sim.config import WorldConfig
from rlvla_sim.expert import closing_yaw
from rlvla_sim.grasp import plan_grasp
from rlvla_sim.physics import TABLE_HEIGHT
from rlvla_sim.world import World

WRONG = 0.4
"""Error in radians (a quarter of a right angle) from which the turn at the first grasp counts as wrong."""
GROUPS = {"back": (-1.0, -0.2), "none": (-0.2, 0.2), "up to 60 degrees": (0.2, 1.05), "about 90 degrees": (1.05, 2.4)}
"""Groups of episodes by the turn that they need: name -> (from, to) in radians."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Turns:
    """Turns of the hand in n episodes; every array is [n]."""

    needed: np.ndarray
    """Angle in radians by which the closing direction has to turn from the start."""
    made: np.ndarray
    """Angle in radians by which it had turned when the hand first held something; NaN if it never did."""
    grasp_step: np.ndarray
    """Number of the step, from 1, in which the hand first held something; NaN if it never did."""
    success: np.ndarray
    """bool: success at the last step."""

    @property
    def missed(self) -> np.ndarray:
        """Angle [n] in radians, 0 .. pi/2, between the closing direction at the first grasp and the planned one."""
        return np.abs((self.made - self.needed + np.pi / 2) % np.pi - np.pi / 2)


class TurningEnv(RecordingEnv):
    """A RecordingEnv that also records the turn that each object needs and the hand's angle after each step."""

    def __init__(self, config: WorldConfig, num_envs: int) -> None:
        super().__init__(config, num_envs)
        self.needed: list[np.ndarray] = []
        self.yaws: list[list[np.ndarray]] = []

    def reset(self, episode_ids: torch.Tensor) -> Observation:
        observation = super().reset(episode_ids)
        self.needed.append(np.array([needed_turn(world) for world in self.worlds]))
        self.yaws.append([self._yaws()])
        return observation

    def step(self, actions: torch.Tensor, active: torch.Tensor | None = None) -> StepResult:
        result = super().step(actions, active)
        self.yaws[-1].append(self._yaws())
        return result

    def _yaws(self) -> np.ndarray:
        return np.array([hand_yaw(world) for world in self.worlds])


def hand_yaw(world: World) -> float:
    """Angle of the fingers' closing direction about the vertical axis of the base frame, radians."""
    return closing_yaw(world.in_base(world.physics.tcp.entity.pose), world.spec.closing_axis)


def needed_turn(world: World) -> float:
    """Angle in radians from the hand's closing direction at the start to that of the expert's planned grasp."""
    yaw = hand_yaw(world)
    thing = world.in_base(world.object_body.entity.pose)
    table = TABLE_HEIGHT - world.spec.base_position[2]
    return plan_grasp(world.object, thing, world.spec, table, start_yaw=yaw, yaw=yaw).yaw - yaw


def play(bundle: Path, options: PlayOptions) -> Turns:
    """Play `bundle` and return the turns of all episodes."""
    env, result = play_in(TurningEnv, bundle, options)
    yaws = episodes_of([batch[1:] for batch in env.yaws])[: options.episodes]
    starts = np.concatenate([batch[0] for batch in env.yaws])[: options.episodes]
    made, grasp_step = first_grasp(yaws - starts[:, None], episodes_of(env.held)[: options.episodes])
    needed = np.concatenate(env.needed)[: options.episodes]
    return Turns(needed=needed, made=made, grasp_step=grasp_step, success=result.success_at_end)


def first_grasp(turns: np.ndarray, held: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(turn [n], step number [n] from 1) of the first step in which the hand held something; NaN if it never did.

    `turns`: [n, T], radians after every step. `held`: bool [n, T]."""
    ever, first = held.any(axis=1), held.argmax(axis=1)
    return np.where(ever, turns[np.arange(len(turns)), first], np.nan), np.where(ever, first + 1.0, np.nan)


def print_table(bundle: Path, turns: Turns) -> dict[str, dict[str, Any]]:
    """Print the table of one policy; returns its rows by name of the group."""
    print(f"{bundle}, {len(turns.needed)} episodes; wrong: by more than {WRONG} rad at the first grasp")
    rows = {}
    for name, (low, high) in GROUPS.items():
        group = (turns.needed > low) & (turns.needed <= high)
        if not group.any():
            continue
        grasped = group & np.isfinite(turns.made)
        wrong, right = grasped & (turns.missed > WRONG), grasped & (turns.missed <= WRONG)
        rows[name] = {
            "episodes": int(group.sum()),
            "success": int(turns.success[group].sum()),
            "grasped": int(grasped.sum()),
            "needed_median_rad": median(turns.needed[group]),
            "made_median_rad": median(turns.made[grasped]),
            "wrong": int(wrong.sum()),
            "grasp_step_median_where_wrong": median(turns.grasp_step[wrong]),
            "grasp_step_median_where_right": median(turns.grasp_step[right]),
            "success_where_wrong": int(turns.success[wrong].sum()),
            "success_where_right": int(turns.success[right].sum()),
        }
        row = rows[name]
        print(
            f"  {name:16} success {format_rate(row['success'], row['episodes'])}; of {row['grasped']} grasps "
            f"{row['wrong']} wrong, median turn {row['made_median_rad']} of {row['needed_median_rad']} rad; success "
            f"{row['success_where_wrong']} of {row['wrong']} wrong (first held in step "
            f"{row['grasp_step_median_where_wrong']}), {row['success_where_right']} of {int(right.sum())} right "
            f"({row['grasp_step_median_where_right']})",
            flush=True,
        )
    return rows


def median(values: np.ndarray) -> float | None:
    """Median of `values` [k], rounded to two decimals; None if k = 0."""
    return round(float(np.median(values)), 2) if len(values) else None


def measure(bundle: Path, options: PlayOptions) -> dict[str, dict[str, Any]]:
    """Play `bundle` and print its table; returns the rows by name of the group."""
    return print_table(bundle, play(bundle, options))


if __name__ == "__main__":
    sys.exit(run(__doc__ or "", "grasp_angles", measure))
