"""Adapter that gives a policy bundle the interface of SimplerEnv's evaluators, so that their programs can measure it.

Their `maniskill2_evaluator` calls `reset`, `step` and `visualize_epoch` of an object and feeds its answer to the
WidowX of BridgeData tasks. That arm takes rotations as axis times angle; everything else is this project's action.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rlvla_core.errors import RlvlaError
from rlvla_core.geometry.rotations import matrix_of_euler_xyz, rotation_vector
from rlvla_core.policy.bundle import load_bundle, load_deploy
from rlvla_core.policy.policy import VLAPolicy

ROBOT = "widowx250s"
"""Name of the arm in SimplerEnv's Bridge tasks."""
AXES = ("x [m]", "y [m]", "z [m]", "roll [rad]", "pitch [rad]", "yaw [rad]", "gripper")

Answer = dict[str, np.ndarray]
"""One action under SimplerEnv's names."""


class SimplerPolicy:
    """A policy that SimplerEnv's evaluators can drive, one episode at a time.

    temperature: sampling temperature of the action tokens, 0 = greedy. seed: of the draws; each reset starts them anew.
    """

    def __init__(self, policy: VLAPolicy, *, temperature: float = 0.0, seed: int = 0) -> None:
        self.policy = policy
        self.temperature = temperature
        self.seed = seed
        self.instruction: str | None = None
        self._generator = torch.Generator(policy.device)

    @classmethod
    def from_bundle(cls, bundle: Path, *, temperature: float = 0.0, seed: int = 0) -> "SimplerPolicy":
        """Load a bundle. Raises RlvlaError for a damaged one, and for one of another arm than SimplerEnv's WidowX."""
        robot = load_deploy(bundle).robot
        if robot != ROBOT:
            raise RlvlaError(f"{bundle} was trained for {robot}: SimplerEnv's Bridge tasks have a {ROBOT}")
        return cls(load_bundle(bundle), temperature=temperature, seed=seed)

    def reset(self, task_description: str) -> None:
        """Begin an episode with this instruction."""
        self.instruction = task_description
        self._generator.manual_seed(self.seed)

    def step(self, image: np.ndarray, task_description: str | None = None, *_: Any, **__: Any) -> tuple[Answer, Answer]:
        """The policy's action for an image (uint8 [H, W, 3], any size), twice: as the policy gives it (raw), and as the
        evaluator's environment takes it (action). float64 arrays.

        raw: world_vector [3] metres, rotation_delta [3] XYZ Euler radians, open_gripper [1] 0 or 1.
        action: world_vector [3], rot_axangle [3] axis times angle, gripper [1] -1 or 1, terminate_episode [1] 0.
        Raises RlvlaError for an image of another type or shape, and where no instruction was ever given.
        """
        if task_description is not None and task_description != self.instruction:
            self.reset(task_description)
        if self.instruction is None:
            raise RlvlaError("no instruction yet: call reset(instruction), or give step() one")
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise RlvlaError(f"an image is uint8 [height, width, 3]; got {image.dtype} {list(image.shape)}")
        sample = self.policy.act(
            torch.from_numpy(np.ascontiguousarray(image))[None],
            [self.instruction],
            temperature=self.temperature,
            generator=self._generator,
        )
        move, turn, gripper = np.split(sample.actions[0].cpu().double().numpy(), [3, 6])
        raw = {"world_vector": move, "rotation_delta": turn, "open_gripper": (gripper > 0).astype(np.float64)}
        action = {
            "world_vector": move,
            "rot_axangle": rotation_vector(matrix_of_euler_xyz(turn)),
            "gripper": np.where(gripper > 0, 1.0, -1.0),
            "terminate_episode": np.zeros(1),
        }
        return raw, action

    def visualize_epoch(
        self, predicted_raw_actions: Sequence[Answer], images: Sequence[np.ndarray], save_path: str
    ) -> None:
        """Plot the actions of one episode into the file `save_path`; `images` are left to the evaluator's own video."""
        from matplotlib.figure import Figure

        answers = np.stack([np.concatenate(list(raw.values())) for raw in predicted_raw_actions])
        figure = Figure(figsize=(14, 2.4), layout="constrained")
        for axes, name, values in zip(figure.subplots(1, len(AXES)), AXES, answers.T, strict=True):
            axes.plot(values)
            axes.set_title(name, fontsize=9)
            axes.set_xlabel("step", fontsize=8)
        Path(save_path).parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(save_path)
