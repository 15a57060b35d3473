"""One world of the put-X-on-Y task on CPU: physics, task state, reward and image of a single episode."""

import math
from dataclasses import dataclass

import numpy as np
import sapien
from sapien import physx

from rlvla_core.geometry.rotations import matrix_of_quaternion
from rlvla_core.geometry.transforms import rigid, rigid_inverse
from rlvla_sim import reward
from rlvla_sim.assets.asset import Catalogue, Mesh, ObjectAsset
from rlvla_sim.camera_renderer import CameraRenderer
from rlvla_sim.config import WorldConfig
from rlvla_sim.episodes import Distractor, EpisodeStart, Position
from rlvla_sim.physics import MOVE_SECONDS, MOVE_STEP, Physics, move_pose
from rlvla_sim.robots import RobotSpec, robot

GRASP_FORCE = 0.5
"""Newtons: each finger presses at least this hard (paper, section 1.6)."""
GRASP_COSINE = math.cos(math.radians(85.0))
"""Cosine of the largest angle between that force and the finger's opening direction (85 degrees)."""
RECEPTACLE_FORCE = 0.03
"""Newtons: the object presses at least this hard on the receptacle that it lies on."""
MARGIN_XY = 0.01
"""Metres that the object's centre may be beyond the receptacle's largest half extent, horizontally."""
MARGIN_Z = 0.05
"""Metres of air that may be between the bounding boxes of object and receptacle."""

STATE_FIELDS = (
    ("tcp_position", 3),
    ("tcp_rotation", 6),
    ("opening", 1),
    ("object_position", 3),
    ("object_rotation", 6),
    ("receptacle_position", 3),
    ("grasped_now", 1),
    ("grasped", 1),
    ("grasped_firmly", 1),
    ("success", 1),
    ("time", 1),
)
"""Columns of the privileged state, in order. Positions: metres, base frame; rotations: first two columns of the
rotation matrix in the base frame; opening: finger joint position in metres; flags 0 or 1; time: step / max_steps."""
STATE_DIM = sum(width for _, width in STATE_FIELDS)
STATE_SLICES = {
    name: slice(sum(w for _, w in STATE_FIELDS[:i]), sum(w for _, w in STATE_FIELDS[: i + 1]))
    for i, (name, _) in enumerate(STATE_FIELDS)
}
"""Name -> columns of the privileged state."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of one control step of one world."""

    reward: float
    success: bool
    grasped_now: bool


class World:
    """The world of one episode at a time: takes joint targets, gives images and task state."""

    def __init__(self, config: WorldConfig, assets: Catalogue) -> None:
        self.config = config
        self.assets = assets
        self.spec: RobotSpec = robot(config.robot, config.assets)
        camera = self.spec.seen(config.view, config.image_width, config.image_height)
        self.renderer = CameraRenderer(self.spec, camera, config.supersampling)
        self.base_T_world = rigid_inverse(self.spec.world_T_base)

    def start(self, episode: EpisodeStart) -> None:
        """Build the episode's world and let the bodies settle."""
        self.episode = episode
        self.object: ObjectAsset = self.assets.objects[episode.object]
        self.receptacle: ObjectAsset = self.assets.receptacles[episode.receptacle]
        self.instruction = episode.instruction(self.object.name, self.receptacle.name)
        self.physics = physics = Physics(self.spec, 1.0 / self.config.physics_hz)
        self.start_joints = episode.start_joints(self.spec.arm_start)
        physics.place_robot(self.start_joints)
        self.receptacle_body = physics.add_body(self.receptacle, episode.receptacle_xy, 0.0)
        self.object_body = physics.add_body(self.object, episode.object_xy, episode.object_yaw)
        self.bodies = [self.object_body, self.receptacle_body]
        meshes = [self.object.visual, self.receptacle.visual]
        if episode.distractor is not None:
            distractor = distractor_asset(self.assets, episode.distractor)
            self.bodies.append(physics.add_body(distractor, episode.distractor.xy, episode.distractor.yaw))
            meshes.append(distractor.visual)
        physics.settle(self.bodies)
        physics.place_robot(self.start_joints)
        self.shown_links = [link for link in physics.links if link.name in self.renderer.links]
        self._dress(episode, meshes)
        self.object_half = self._half(self.object, self.object_body)
        self.receptacle_half = self._half(self.receptacle, self.receptacle_body)
        self.steps = self.grasp_streak = 0
        self.score = 0.0
        self.grasped = self.grasped_firmly = self.grasped_now = self.success = False

    def _dress(self, episode: EpisodeStart, meshes: list[Mesh]) -> None:
        size = (self.renderer.camera.width, self.renderer.camera.height)
        texture = None
        if episode.texture_overlay is not None and episode.texture is not None:
            texture = (
                episode.texture_overlay,
                episode.texture_overlay.texture(self.assets.textures[episode.texture], *size),
            )
        table = self.assets.tables[episode.table].image(*size, self.spec.window(self.config.view))
        self.renderer.dress(meshes, table, texture)

    @staticmethod
    def _half(asset: ObjectAsset, body: physx.PhysxRigidDynamicComponent) -> np.ndarray:
        return half_extents(asset, matrix_of_quaternion(body.entity.pose.q.astype(np.float64)))

    def step(self, arm_target: np.ndarray, finger_target: float) -> Outcome:
        """One control step towards joint angles [d] and a finger opening [m]."""
        self.advance(arm_target, finger_target, self.config.substeps)
        return self.conclude()

    def advance(self, arm_target: np.ndarray, finger_target: float, substeps: int) -> None:
        """Run this many physics steps towards joint angles [d] and a finger opening [m]."""
        self.physics.command(arm_target, finger_target)
        self.physics.step(substeps)

    def conclude(self) -> Outcome:
        """End a control step: count it, update the task flags, and return its reward."""
        self.steps += 1
        if self.steps == MOVE_STEP and self.episode.move_to is not None:
            self._move_object(self.episode.move_to)
        self.judge()
        score = reward.stage_score(self.grasped, self.grasped_firmly, self.success)
        gain, self.score = score - self.score, score
        return Outcome(gain, self.success, self.grasped_now)

    def _move_object(self, xy: Position) -> None:
        """Drop the object at `xy`, upright and with the velocity it had; the drives keep their targets meanwhile."""
        self.object_body.entity.set_pose(move_pose(xy, self.episode.object_yaw))
        self.physics.step(round(MOVE_SECONDS * self.config.physics_hz))

    def judge(self) -> None:
        """Update the grasp and success flags from the contacts of the last physics step."""
        forces = self.physics.forces_on(self.object_body)
        self.grasped_now = self._is_grasped(forces)
        self.grasp_streak = self.grasp_streak + 1 if self.grasped_now else 0
        self.grasped |= self.grasped_now
        self.grasped_firmly |= self.grasp_streak >= reward.FIRM_GRASP_STEPS
        self.success = self._is_on_receptacle(forces)

    def _is_grasped(self, forces: list[tuple[object, np.ndarray]]) -> bool:
        for finger, axis in zip(self.physics.fingers, self.spec.finger_opening_axes, strict=True):
            total = -sum((force for body, force in forces if body is finger), np.zeros(3))
            size = math.sqrt(total @ total)
            if size < GRASP_FORCE:
                return False
            opening = matrix_of_quaternion(finger.entity.pose.q.astype(np.float64)) @ axis
            if total @ opening < GRASP_COSINE * size:
                return False
        return True

    def _is_on_receptacle(self, forces: list[tuple[object, np.ndarray]]) -> bool:
        offset = self.object_body.entity.pose.p - self.receptacle_body.entity.pose.p
        if math.hypot(offset[0], offset[1]) > self.receptacle_half[:2].max() + MARGIN_XY:
            return False
        if not 0 < offset[2] <= self.receptacle_half[2] + self.object_half[2] + MARGIN_Z:
            return False
        total = sum((force for body, force in forces if body is self.receptacle_body), np.zeros(3))
        return bool(total @ total > RECEPTACLE_FORCE**2)

    def render(self) -> np.ndarray:
        """Rendered robot and bodies without background, at their present poses; see `CameraRenderer.render`."""
        links = [(link.name, link.entity.pose) for link in self.shown_links]
        self.renderer.pose(links, [body.entity.pose for body in self.bodies])
        return self.renderer.render()

    def image(self) -> np.ndarray:
        """The camera image of the present state, uint8 [H, W, 3]."""
        return self.renderer.compose(self.render())

    def state(self) -> np.ndarray:
        """Privileged state, float32 [STATE_DIM]; see STATE_FIELDS."""
        tcp = self.in_base(self.physics.tcp.entity.pose)
        thing = self.in_base(self.object_body.entity.pose)
        receptacle = self.in_base(self.receptacle_body.entity.pose)
        opening = self.physics.articulation.qpos[self.physics.finger_index].mean()
        flags = (self.grasped_now, self.grasped, self.grasped_firmly, self.success)
        parts: list = [tcp[:3, 3], tcp[:3, :2].T.ravel(), [opening], thing[:3, 3], thing[:3, :2].T.ravel()]
        parts += [receptacle[:3, 3], flags, [self.steps / self.config.max_steps]]
        return np.concatenate(parts).astype(np.float32)

    def in_base(self, pose: sapien.Pose) -> np.ndarray:
        """A pose in the world frame as a transform [4, 4] in the robot base frame."""
        return self.base_T_world @ rigid(matrix_of_quaternion(pose.q.astype(np.float64)), pose.p)


def distractor_asset(assets: Catalogue, distractor: Distractor) -> ObjectAsset:
    """The asset of an episode's distractor."""
    return (assets.objects if distractor.kind == "object" else assets.receptacles)[distractor.index]


def half_extents(asset: ObjectAsset, rotation: np.ndarray) -> np.ndarray:
    """Half sizes [3] of the world-aligned box around the asset's collision parts, turned by `rotation` [3, 3]."""
    points = np.concatenate(asset.collision) @ rotation.T
    return 0.5 * (points.max(axis=0) - points.min(axis=0))
