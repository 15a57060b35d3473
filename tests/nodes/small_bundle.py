"""A policy bundle for the tests of the nodes: random weights that see the image, the simulated robot's camera."""

from pathlib import Path

import numpy as np
import torch

from rlvla_core.environment import ACTION_SPACE
from rlvla_core.policy.bundle import save_bundle
from rlvla_core.policy.deploy import DeploySpec
from rlvla_core.policy.norm_stats import NormStats
from rlvla_core.policy.policy import VLAPolicy
from rlvla_sim.config import CONTROL_HZ
from rlvla_sim.robots import robot

STATS = NormStats(q01=(-0.1,) * 6 + (0.0,), q99=(0.1,) * 6 + (1.0,), mask=(True,) * 6 + (False,))
ROBOT, SIDE = "widowx250s", 64


def save_small_bundle(path: Path, **changes: object) -> VLAPolicy:
    """Write the bundle, with changes to what it expects of robot and camera; returns the policy in it."""
    policy = VLAPolicy.from_preset("tiny", STATS).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in policy.named_parameters():
            parameter.normal_(0.0, 0.3, generator=generator)
            if "norm" in name and name.endswith("weight"):
                parameter.add_(1.0)
    expected = {
        "robot": ROBOT,
        "camera": robot(ROBOT).seen("whole", SIDE, SIDE),
        "control_hz": CONTROL_HZ,
        "action_space": ACTION_SPACE,
        "image_transform": policy.transform.hash(),
    }
    save_bundle(policy, path, deploy=DeploySpec(**{**expected, **changes}), provenance={})  # type: ignore[arg-type]
    return policy


def images(count: int, width: int = SIDE, height: int = SIDE, seed: int = 0) -> list[np.ndarray]:
    """Images on which the policy decides differently: a colour each, and noise."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        noise = rng.integers(0, 256, (height, width, 3))
        colour = rng.integers(0, 256, 3)
        found.append(((noise + 3 * colour) // 4).astype(np.uint8))
    return found
