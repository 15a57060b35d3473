"""The simulated world: put X on Y with a WidowX 250 S or a Franka Panda.

    env = make_env(WorldConfig(robot="widowx250s"), num_envs=16)
    observation = env.reset(torch.arange(16))
    result = env.step(actions)

SAPIEN is imported only when a world is built.
"""

from rlvla_core.environment import VecEnv
from rlvla_core.errors import RlvlaError
from rlvla_sim.config import WorldConfig


def make_env(config: WorldConfig, num_envs: int, *, device: str = "cpu") -> VecEnv:
    """`num_envs` worlds behind one VecEnv: on `cpu` stepped in this process, on `cuda` as one ManiSkill GPU simulation.

    Raises RlvlaError for an unknown robot, episode set or device, missing assets, or where nothing can draw.
    """
    if device == "cpu":
        from rlvla_sim.vec_env import CpuVecEnv

        return CpuVecEnv(config, num_envs)
    if device == "cuda":
        from rlvla_sim.maniskill.vec_env import ManiSkillVecEnv

        return ManiSkillVecEnv(config, num_envs, device=device)
    raise RlvlaError(f"unknown device `{device}`: use cpu or cuda")


__all__ = ["WorldConfig", "make_env"]
