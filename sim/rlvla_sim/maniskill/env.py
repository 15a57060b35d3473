"""The put-X-on-Y task as the ManiSkill environment `RlvlaPutOn-v1`.

All environments start together (`reset(options={"episode_ids": ...})`) and every reset rebuilds the scene: each
environment then holds only its own objects and receptacles, and nothing of earlier episodes survives.
"""

from typing import Any

import numpy as np
import sapien
import torch
from mani_skill.envs.sapien_env import BaseEnv
from mani_skill.sensors.camera import CameraConfig
from mani_skill.utils.building.actor_builder import ActorBuilder
from mani_skill.utils.registration import register_env
from mani_skill.utils.structs.actor import Actor
from mani_skill.utils.structs.pose import Pose
from mani_skill.utils.structs.types import SceneConfig, SimConfig
from sapien import physx

from rlvla_core.geometry.rotations import matrix_of_quaternion
from rlvla_core.geometry.transforms import rigid_inverse
from rlvla_sim import reward
from rlvla_sim.assets import catalogue
from rlvla_sim.assets.asset import ObjectAsset
from rlvla_sim.camera_renderer import AMBIENT, FAR, LIGHTS, NEAR, asset_visual
from rlvla_sim.config import CONTROL_HZ, WorldConfig
from rlvla_sim.maniskill.agent import AGENTS, CONTROL_MODE, ArmAgent, agent_uid
from rlvla_sim.maniskill.overlay import overlay_batch
from rlvla_sim.physics import (
    MOVE_SECONDS,
    MOVE_STEP,
    OBJECT_FRICTION,
    TABLE_CENTRE_XY,
    TABLE_HALF_SIZE,
    TABLE_HEIGHT,
    drop_pose,
    move_pose,
    rigid_body,
)
from rlvla_sim.robots import robot
from rlvla_sim.world import (
    GRASP_COSINE,
    GRASP_FORCE,
    MARGIN_XY,
    MARGIN_Z,
    RECEPTACLE_FORCE,
    distractor_asset,
    half_extents,
)

ENV_ID = "RlvlaPutOn-v1"
SETTLE_SECONDS = 1.0
SCENE_SPACING = 20.0
"""Metres between environments that share one GPU scene (paper, section 1.1)."""


class AssetBuilder(ActorBuilder):
    """Builds dynamic actors of one of our assets."""

    def __init__(self, asset: ObjectAsset) -> None:
        super().__init__()
        self.asset = asset

    def build_entity(self) -> sapien.Entity:
        """The asset's visual and rigid body in one entity."""
        entity = sapien.Entity()
        if self.scene.can_render():
            entity.add_component(asset_visual(self.asset.visual).clone())
        entity.add_component(rigid_body(self.asset))
        entity.name = self.name
        return entity


@register_env(ENV_ID, max_episode_steps=80)
class PutOnEnv(BaseEnv):
    """N put-X-on-Y worlds; observations `rgb+segmentation` carry the composited image as `rgb`."""

    SUPPORTED_ROBOTS = [agent.uid for agent in AGENTS]  # noqa: RUF012 (ManiSkill reads a list)
    SUPPORTED_REWARD_MODES = ("dense", "none")
    agent: ArmAgent

    def __init__(self, *args: Any, config: WorldConfig, **kwargs: Any) -> None:
        self.config = config
        self.spec_robot = robot(config.robot, config.assets)
        self.camera = self.spec_robot.seen(config.view, config.image_width, config.image_height)
        self.episodes = config.episodes
        self.assets = catalogue(config.assets)
        self.base_T_world_np = rigid_inverse(self.spec_robot.world_T_base)
        kwargs = {"obs_mode": "rgb+segmentation", "reward_mode": "dense", "control_mode": CONTROL_MODE} | kwargs
        super().__init__(*args, robot_uids=agent_uid(config.robot, config.assets), reconfiguration_freq=1, **kwargs)

    @property
    def _default_sim_config(self) -> SimConfig:
        scene = SceneConfig(contact_offset=0.01, solver_position_iterations=10)
        return SimConfig(
            spacing=SCENE_SPACING, sim_freq=self.config.physics_hz, control_freq=int(CONTROL_HZ), scene_config=scene
        )

    @property
    def _base_pose(self) -> sapien.Pose:
        return sapien.Pose(list(self.spec_robot.base_position), list(self.spec_robot.base_quaternion))

    @property
    def _default_sensor_configs(self) -> list[CameraConfig]:
        camera, scale = self.camera, self.config.supersampling
        intrinsic = np.array([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1 / scale]]) * scale
        mount = sapien.Pose(list(camera.position_in_base), list(camera.quaternion_in_base))
        return [
            CameraConfig(
                uid=camera.name,
                pose=self._base_pose * mount,
                width=camera.width * scale,
                height=camera.height * scale,
                near=NEAR,
                far=FAR,
                intrinsic=intrinsic,
                shader_pack="minimal",
            )
        ]

    def _load_lighting(self, options: dict) -> None:
        self.scene.set_ambient_light([AMBIENT] * 3)
        for direction, strength in LIGHTS:
            self.scene.add_directional_light(direction, [strength] * 3, shadow=False)

    def _load_agent(self, options: dict, *args: Any, **kwargs: Any) -> None:
        super()._load_agent(options, self._base_pose)

    def _load_scene(self, options: dict) -> None:
        ids = options.get("episode_ids")
        if ids is None:
            ids = torch.from_numpy(self._batched_episode_rng.randint(0, len(self.episodes)))
        self.starts = [self.episodes.decode(int(i)) for i in ids]
        self.episode_ids = torch.as_tensor(ids, device=self.device)
        objects = [self.assets.objects[start.object] for start in self.starts]
        receptacles = [self.assets.receptacles[start.receptacle] for start in self.starts]
        self.instructions = [
            start.instruction(thing.name, place.name)
            for start, thing, place in zip(self.starts, objects, receptacles, strict=True)
        ]
        table = self.scene.create_actor_builder()
        wood = physx.PhysxMaterial(OBJECT_FRICTION, OBJECT_FRICTION, 0.0)
        table.add_box_collision(half_size=list(TABLE_HALF_SIZE), material=wood)
        table.set_initial_pose(sapien.Pose([*TABLE_CENTRE_XY, TABLE_HEIGHT - TABLE_HALF_SIZE[2]]))
        table.build_static(name="table")
        self.receptacle = self._build(
            "receptacle", receptacles, [start.receptacle_xy for start in self.starts], [0.0] * len(ids)
        )
        self.object = self._build(
            "object", objects, [start.object_xy for start in self.starts], [start.object_yaw for start in self.starts]
        )
        self._build_distractors()
        size = (self.camera.width, self.camera.height)
        window = self.spec_robot.window(self.config.view)
        tables = [self.assets.tables[start.table] for start in self.starts]
        self.background = self._images([table.image(*size, window) for table in tables])
        self.textures = None
        if texture_overlay := self.episodes.texture_overlay:
            textures = [self.assets.textures[start.texture] for start in self.starts if start.texture is not None]
            self.textures = self._images([texture_overlay.texture(texture, *size) for texture in textures])
        self.base_T_world = torch.as_tensor(self.base_T_world_np, dtype=torch.float32, device=self.device)

    def _images(self, images: list[np.ndarray]) -> torch.Tensor:
        return torch.from_numpy(np.stack(images)).to(self.device, torch.float32)

    def _build(self, name: str, assets: list[ObjectAsset], places: list, yaws: list[float]) -> Actor:
        """One actor for each environment, merged into one batched actor."""
        actors = []
        for i, (asset, place, yaw) in enumerate(zip(assets, places, yaws, strict=True)):
            actors.append(self._build_one(f"{name}-{i}", i, asset, drop_pose(asset, place, yaw)))
        merged = Actor.merge(actors, name=name)
        self.add_to_state_dict_registry(merged)
        return merged

    def _build_one(self, name: str, environment: int, asset: ObjectAsset, pose: sapien.Pose) -> Actor:
        builder = AssetBuilder(asset)
        builder.set_scene(self.scene)
        builder.set_scene_idxs([environment])
        builder.set_initial_pose(pose)
        builder.set_physx_body_type("dynamic")
        actor = builder.build(name=name)
        self.remove_from_state_dict_registry(actor)
        return actor

    def _build_distractors(self) -> None:
        """Build the distractors of the environments that have one; nothing reads their state, so they are not
        merged."""
        for i, start in enumerate(self.starts):
            if start.distractor is not None:
                asset = distractor_asset(self.assets, start.distractor)
                self._build_one(
                    f"distractor-{i}", i, asset, drop_pose(asset, start.distractor.xy, start.distractor.yaw)
                )

    def _initialize_episode(self, env_idx: torch.Tensor, options: dict) -> None:
        self._place_robot()
        self._run_physics(SETTLE_SECONDS)
        self._place_robot()
        halves = [
            (half_extents(self.assets.objects[s.object], o), half_extents(self.assets.receptacles[s.receptacle], r))
            for s, o, r in zip(self.starts, self._rotations(self.object), self._rotations(self.receptacle), strict=True)
        ]
        self.object_half, self.receptacle_half = (
            torch.from_numpy(np.stack(half)).to(self.device, torch.float32) for half in zip(*halves, strict=True)
        )
        nothing = torch.zeros(self.num_envs, dtype=torch.bool, device=self.device)
        self.success, self.grasped_now, self.grasped, self.grasped_firmly = (nothing.clone() for _ in range(4))
        self.grasp_streak = torch.zeros(self.num_envs, dtype=torch.int64, device=self.device)
        self.score = torch.zeros(self.num_envs, device=self.device)
        self.gain = torch.zeros(self.num_envs, device=self.device)
        self.judged_steps = 0

    def _run_physics(self, seconds: float) -> None:
        """Run the physics for `seconds`: poses that were set are applied before, results fetched after."""
        if self.gpu_sim_enabled:
            self.scene._gpu_apply_all()
        for _ in range(round(seconds * self.config.physics_hz)):
            self.scene.step()
        if self.gpu_sim_enabled:
            self.scene._gpu_fetch_all()

    def _place_robot(self) -> None:
        angles = [self.agent.start_qpos(start.start_joints(self.spec_robot.arm_start)) for start in self.starts]
        self.agent.reset(torch.from_numpy(np.stack(angles)).to(self.device))
        self.agent.robot.set_pose(self._base_pose)
        self.agent.controller.reset()

    def _rotations(self, actor: Actor) -> np.ndarray:
        return matrix_of_quaternion(actor.pose.q.double().cpu().numpy())

    def evaluate(self) -> dict:
        """Task flags, bool [N]: `grasped`, `grasped_firmly` (latched), `grasped_now`, and `on_receptacle`.

        The success flag is not called `success`: ManiSkill would end an episode there, the paper does not.
        """
        steps = int(self.elapsed_steps.max())
        if steps > self.judged_steps:
            self.judged_steps = steps
            if steps == MOVE_STEP:
                self._move_objects()
            self._judge()
        return {
            "on_receptacle": self.success,
            "grasped_now": self.grasped_now,
            "grasped": self.grasped,
            "grasped_firmly": self.grasped_firmly,
        }

    def _move_objects(self) -> None:
        """Drop the objects at `move_to` where the episodes say so: all episodes of a set do, or none."""
        poses = [move_pose(start.move_to, start.object_yaw) for start in self.starts if start.move_to is not None]
        if poses:
            self.object.set_pose(Pose.create(poses, device=self.device))
            self._run_physics(MOVE_SECONDS)

    def _judge(self) -> None:
        self.grasped_now = self._is_grasped()
        self.grasp_streak = torch.where(self.grasped_now, self.grasp_streak + 1, 0)
        self.grasped = self.grasped | self.grasped_now
        self.grasped_firmly = self.grasped_firmly | (self.grasp_streak >= reward.FIRM_GRASP_STEPS)
        self.success = self._is_on_receptacle()
        score = reward.stage_score(self.grasped, self.grasped_firmly, self.success)
        self.gain, self.score = score - self.score, score

    def _is_grasped(self) -> torch.Tensor:
        held = torch.ones(self.num_envs, dtype=torch.bool, device=self.device)
        for finger, axis in zip(self.agent.fingers, self.spec_robot.finger_opening_axes, strict=True):
            force = self.scene.get_pairwise_contact_forces(finger, self.object)
            size = torch.linalg.norm(force, dim=1)
            opening = matrix_of_quaternion(finger.pose.q) @ torch.tensor(axis, device=self.device)
            held &= (size >= GRASP_FORCE) & ((force * opening).sum(1) >= GRASP_COSINE * size)
        return held

    def _is_on_receptacle(self) -> torch.Tensor:
        offset = self.object.pose.p - self.receptacle.pose.p
        near = torch.linalg.norm(offset[:, :2], dim=1) <= self.receptacle_half[:, :2].amax(1) + MARGIN_XY
        low = offset[:, 2] <= self.receptacle_half[:, 2] + self.object_half[:, 2] + MARGIN_Z
        force = torch.linalg.norm(self.scene.get_pairwise_contact_forces(self.object, self.receptacle), dim=1)
        return near & low & (offset[:, 2] > 0) & (force > RECEPTACLE_FORCE)

    def compute_dense_reward(self, obs: Any, action: torch.Tensor, info: dict) -> torch.Tensor:
        """First difference of the stage score, float32 [N]."""
        return self.gain

    def _get_obs_sensor_data(self, apply_texture_transforms: bool = True) -> dict:
        data = super()._get_obs_sensor_data(apply_texture_transforms)
        seen = data[self.camera.name]
        mask = seen["segmentation"] > 0
        image = overlay_batch(seen["rgb"], mask, self.background, self.episodes.texture_overlay, self.textures)
        data[self.camera.name] = {"rgb": image}
        return data

    def in_base(self, pose: Any) -> torch.Tensor:
        """World poses as transforms [N, 4, 4] in the base frame."""
        return self.base_T_world @ pose.to_transformation_matrix()
