"""The simulated worlds that commands train and evaluate in, and the policy of a bundle in the world that it fits."""

from pathlib import Path
from typing import Any, Literal

from rlvla_core.environment import VecEnv
from rlvla_core.errors import RlvlaError
from rlvla_core.policy.bundle import load_bundle, load_deploy
from rlvla_core.policy.deploy import DeploySpec, check_fits
from rlvla_core.policy.policy import VLAPolicy
from rlvla_core.toy import ToyConfig, make_toy_env
from rlvla_sim import WorldConfig
from rlvla_sim import make_env as make_sim_env
from rlvla_sim.robots import robot

AnyWorldConfig = WorldConfig | ToyConfig
"""Configuration of a simulated world: put-X-on-Y in ManiSkill, or a toy task that tests use and that needs no
simulator."""


def make_env(world: AnyWorldConfig, num_envs: int, device: str = "cpu") -> VecEnv:
    """`num_envs` environments of a world. Raises RlvlaError for a world that cannot be built on this machine."""
    if isinstance(world, ToyConfig):
        return make_toy_env(world, num_envs)
    return make_sim_env(world, num_envs, device=device)


def bundle_world(
    deploy: DeploySpec,
    *,
    episode_set: str = "train",
    max_steps: int = 80,
    assets: Literal["procedural", "paper"] = "procedural",
) -> AnyWorldConfig:
    """The world that a policy bundle was trained for: robot, view and image size are those of its deploy.json.

    episode_set: name of the set of episodes. max_steps: time limit in control steps. assets: of the put-X-on-Y world.
    Raises RlvlaError for a camera that the robot does not have, and for an episode set that a toy world does not have.
    """
    camera = deploy.camera
    if deploy.robot.startswith("toy-"):
        if episode_set != "train":
            raise RlvlaError(
                f"the world {deploy.robot} has one episode set only: leave out --episode-set {episode_set}"
            )
        task: Any = deploy.robot.removeprefix("toy-")
        return ToyConfig(task=task, image_size=camera.width)
    return WorldConfig(
        robot=deploy.robot,
        image_width=camera.width,
        image_height=camera.height,
        view=robot(deploy.robot).view_of(camera),
        episode_set=episode_set,
        max_steps=max_steps,
        assets=assets,
    )


def load_policy_and_env(
    bundle: Path, world: AnyWorldConfig, num_envs: int, device: str = "cpu"
) -> tuple[VLAPolicy, VecEnv]:
    """The policy of a bundle and `num_envs` environments to run it in, both on `device`.

    Raises RlvlaError where bundle and world do not fit each other: another robot, camera, control rate or action space.
    """
    deploy = load_deploy(bundle)
    policy = load_bundle(bundle, device=device)
    env = make_env(world, num_envs, device)
    check_fits(deploy, env.spec)
    return policy, env
