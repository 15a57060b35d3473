"""A policy bundle as SimplerEnv's evaluators expect a policy, so that others can measure it with their own programs.

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
AXES = ("x [m]", "y [m]", "z [m]", "roll [rad]", "pitch [rad]", "yaw [rad]", "gripper")

Answer = dict[str, np.ndarray]


class SimplerPolicy:
    """One episode at a time; stateless between steps but for the instruction.

    temperature: 0 takes the most likely tokens. seed: of the draws at other temperatures, from reset to reset the same.
    """

    def __init__(self, policy: VLAPolicy, *, temperature: float = 0.0, seed: int = 0) -> None:
        self.policy = policy
        self.temperature = temperature
        self.seed = seed
        self.instruction: str | None = None
        self._generator = torch.Generator(policy.device)

    @classmethod
    def from_bundle(cls, bundle: Path, *, temperature: float = 0.0, seed: int = 0) -> "SimplerPolicy":
        """Raises RlvlaError for a damaged bundle, and for one of another arm than SimplerEnv's WidowX."""
        robot = load_deploy(bundle).robot
        if robot != ROBOT:
            raise RlvlaError(f"{bundle} was trained for {robot}: SimplerEnv's Bridge tasks have a {ROBOT}")
        return cls(load_bundle(bundle), temperature=temperature, seed=seed)

    def reset(self, task_description: str) -> None:
        """Begin an episode of this instruction."""
        self.instruction = task_description
        self._generator.manual_seed(self.seed)

    def step(self, image: np.ndarray, task_description: str | None = None, *_: Any, **__: Any) -> tuple[Answer, Answer]:
        """The policy's answer to an image (uint8 [H, W, 3], any size) as it is, and as the environment takes it.

        raw: world_vector [3] metres, rotation_delta [3] XYZ Euler radians, open_gripper [1] 0 or 1.
        action: world_vector [3], rot_axangle [3] axis times angle, gripper [1] -1 or 1, terminate_episode [1] 0.
        Raises RlvlaError for another kind of image, or where no instruction was ever given.
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
        """Draw what the policy answered over one episode; images are left to the evaluator's own video."""
        from matplotlib.figure import Figure

        answers = np.stack([np.concatenate(list(raw.values())) for raw in predicted_raw_actions])
        figure = Figure(figsize=(14, 2.4), layout="constrained")
        for axes, name, values in zip(figure.subplots(1, len(AXES)), AXES, answers.T, strict=True):
            axes.plot(values)
            axes.set_title(name, fontsize=9)
            axes.set_xlabel("step", fontsize=8)
        Path(save_path).parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(save_path)
