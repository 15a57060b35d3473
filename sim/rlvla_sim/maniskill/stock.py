"""The stock ManiSkill way of stepping an arm with an image: what `rlvla bench sim` compares our world with."""

from collections.abc import Callable

import gymnasium
import mani_skill.envs  # noqa: F401 (registers the tasks)
import numpy as np

from rlvla_sim.camera_renderer import render_device
from rlvla_sim.config import CONTROL_HZ

TASK = "PickCube-v1"


def stock_stepper(image_size: int, shader: str, physics_hz: int) -> tuple[Callable[[], object], Callable[[], None]]:
    """A function that takes one random step, and one that closes the environment.

    ManiSkill's own task with a Panda: full meshes, default lights with shadow, its delta-pose controller and
    observation packing; `image_size` pixels square, drawn with the shader pack `shader`.
    """
    env = gymnasium.make(
        TASK,
        num_envs=1,
        robot_uids="panda",
        obs_mode="rgb",
        control_mode="pd_ee_target_delta_pose",
        sim_backend="physx_cpu",
        render_backend="gpu" if render_device().is_cuda() else "cpu",
        sensor_configs={"width": image_size, "height": image_size, "shader_pack": shader},
        sim_config={"sim_freq": physics_hz, "control_freq": int(CONTROL_HZ)},
    )
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    return lambda: env.step(rng.uniform(-0.2, 0.2, size=7)), env.close
