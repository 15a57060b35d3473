"""Does a hand turn as far as its thing lies turned, before it grasps it?

    python experiments/grasp_angles.py docs/learning/policy-seed1 [...] [--episodes 256] [--temperature 0.6]

Every policy meets the same episodes of the training grid. The expert's plan says by how much the closing direction has
to turn from the start; counted is by how much it had turned when the hand first held something. Prints a table for
each policy, episodes grouped by the turn they need, and ends with one line of JSON.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from recording_env import Asked, WatchedEnv, episodes_of, play_in, run

from rlvla_core.environment import Observation, StepResult
from rlvla_core.evaluation.report import format_rate
from rlvla_sim.config import WorldConfig
from rlvla_sim.expert import closing_yaw
from rlvla_sim.grasp import plan_grasp
from rlvla_sim.physics import TABLE_HEIGHT
from rlvla_sim.world import World

WRONG = 0.4
"""Radians between the turn that was made and the one that was needed: a quarter of a right angle."""
GROUPS = {"back": (-1.0, -0.2), "none": (-0.2, 0.2), "up to 60 degrees": (0.2, 1.05), "about 90 degrees": (1.05, 2.4)}
"""Turns that are needed, radians from and to."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Turns:
    """Of every episode [n]."""

    needed: np.ndarray
    """By how much the closing direction has to turn from the start, radians."""
    made: np.ndarray
    """By how much it had turned when something was first held, radians; NaN where nothing ever was."""
    grasp_step: np.ndarray
    """Steps until something was first held, from 1 on; NaN where nothing ever was."""
    success: np.ndarray
    """bool, at the last step."""

    @property
    def missed(self) -> np.ndarray:
        """Angle [n] between the closing direction at the first grasp and the planned one, 0 .. pi/2."""
        return np.abs((self.made - self.needed + np.pi / 2) % np.pi - np.pi / 2)


class TurningEnv(WatchedEnv):
    """Remembers, beside what was held, the turn that each thing needs and those that the hand makes."""

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
    """Closing direction of the fingers, radians, base frame."""
    return closing_yaw(world.in_base(world.physics.tcp.entity.pose), world.spec.closing_axis)


def needed_turn(world: World) -> float:
    """Of the closing direction, from where the hand is at the start to the expert's grasp, radians."""
    yaw = hand_yaw(world)
    thing = world.in_base(world.object_body.entity.pose)
    table = TABLE_HEIGHT - world.spec.base_position[2]
    return plan_grasp(world.object, thing, world.spec, table, start_yaw=yaw, yaw=yaw).yaw - yaw


def play(bundle: Path, asked: Asked) -> Turns:
    """What became of every episode."""
    env, result = play_in(TurningEnv, bundle, asked)
    yaws = episodes_of([batch[1:] for batch in env.yaws])[: asked.episodes]
    starts = np.concatenate([batch[0] for batch in env.yaws])[: asked.episodes]
    made, grasp_step = first_grasp(yaws - starts[:, None], episodes_of(env.held)[: asked.episodes])
    needed = np.concatenate(env.needed)[: asked.episodes]
    return Turns(needed=needed, made=made, grasp_step=grasp_step, success=result.success_at_end)


def first_grasp(turns: np.ndarray, held: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn [n] and number [n], from 1 on, of the first step in which something was held; NaN where nothing ever was.

    From turns [n, T] after every step and held bool [n, T]."""
    ever, first = held.any(axis=1), held.argmax(axis=1)
    return np.where(ever, turns[np.arange(len(turns)), first], np.nan), np.where(ever, first + 1.0, np.nan)


def shown(bundle: Path, turns: Turns) -> dict[str, dict[str, Any]]:
    """Print the table of one policy; returns its numbers."""
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
    """Of [k], to two places; None where k = 0."""
    return round(float(np.median(values)), 2) if len(values) else None


def measure(bundle: Path, asked: Asked) -> dict[str, dict[str, Any]]:
    """Play, print the table, return its numbers."""
    return shown(bundle, play(bundle, asked))


if __name__ == "__main__":
    sys.exit(run(__doc__ or "", "turns", measure))
