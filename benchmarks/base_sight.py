"""How well does a pretrained base locate objects? Its greedy answers about new scenes, against the truth and the mean.

    python benchmarks/base_sight.py [BUNDLE] [--robot widowx250s] [--scenes 512]

Prints a table and ends with one line of JSON. Scenes are drawn with a seed that no training uses.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch

from rlvla_core.errors import RlvlaError
from rlvla_core.policy.bundle import load_bundle
from rlvla_core.policy.openvla.presets import TINY_BASE
from rlvla_sim.config import WorldConfig
from rlvla_sim.pretraining.questions import unsqueezed
from rlvla_sim.pretraining.scenes import Scenes

SEED = 987
BATCH = 64
TURNED = 0.2
"""Radians: only scenes whose hand is turned further than this from the grasp count for the error of the turn."""


def answers(bundle: Path, source: Scenes, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Answers of the policy and true answers, float [count, 7] each, in metres and radians."""
    torch.set_num_threads(1)
    policy = load_bundle(bundle)
    scenes = [source.draw(SEED, number) for number in range(count)]
    said = []
    for first in range(0, count, BATCH):
        part = scenes[first : first + BATCH]
        images = torch.from_numpy(np.stack([scene.image for scene in part]))
        said.append(policy.act(images, [scene.instruction for scene in part], temperature=0.0).actions.numpy())
    told, true = (np.asarray(rows, dtype=float) for rows in (np.concatenate(said), [scene.target for scene in scenes]))
    for array in (told, true):
        array[:, :5] = unsqueezed(array[:, :5])
    return told, true


def metrics(told: np.ndarray, true: np.ndarray) -> dict[str, object]:
    """Median errors of the answers `told` [count, 7] and of always guessing the mean of `true`, and how many scenes
    count."""
    away = np.linalg.norm(true[:, :2], axis=1) > 0.02
    turned = np.abs(true[:, 5]) > TURNED
    error, guess = np.abs(told - true), np.abs(true.mean(0) - true)
    return {
        "object_mm": (1e3 * np.median(error[away, :3], axis=0)).round(1).tolist(),
        "object_guess_mm": (1e3 * np.median(guess[away, :3], axis=0)).round(1).tolist(),
        "receptacle_mm": (1e3 * np.median(error[:, 3:5], axis=0)).round(1).tolist(),
        "receptacle_guess_mm": (1e3 * np.median(guess[:, 3:5], axis=0)).round(1).tolist(),
        "turn_rad": round(float(np.median(error[turned, 5])), 3),
        "turn_guess_rad": round(float(np.median(guess[turned, 5])), 3),
        "hand_right": round(float(np.mean(told[:, 6] == true[:, 6])), 3),
        "away": int(away.sum()),
        "turned": int(turned.sum()),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bundle", type=Path, nargs="?", default=TINY_BASE, help="default: the shipped base")
    parser.add_argument("--robot", default="widowx250s")
    parser.add_argument("--scenes", type=int, default=512)
    given = parser.parse_args()
    try:
        row = metrics(*answers(given.bundle, Scenes(WorldConfig(robot=given.robot)), given.scenes))
    except RlvlaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for name, value in row.items():
        print(f"{name:22}{value}")
    print(json.dumps({"benchmark": "base_sight", "robot": given.robot, "scenes": given.scenes, **row}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
