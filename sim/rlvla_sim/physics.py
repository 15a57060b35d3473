"""The physics of one world: robot, objects, receptacles and table in a SAPIEN scene without a renderer.

Building the scene takes about a millisecond, so every reset builds it anew. That is what makes a start independent of
all that was played before: no contact cache, no sleep counter, no insertion order survives an episode.
"""

from functools import cache

import numpy as np
import sapien
from sapien import physx

from rlvla_core.geometry.rotations import quaternion_about_z
from rlvla_sim.assets.asset import ObjectAsset
from rlvla_sim.robots import RobotSpec

TABLE_HEIGHT = 0.8695
"""Metres, world frame: where SIMPLER's objects rest."""
TABLE_HALF_SIZE = (0.6, 0.6, 0.05)
TABLE_CENTRE_XY = (-0.1, 0.0)
OBJECT_FRICTION = 1.0
"""Static and dynamic friction coefficient of objects and table; restitution is 0 (paper, section 1.1)."""
DROP = 0.002
"""Metres of air below object and receptacle at the start."""
SETTLE_SECONDS = 0.5
"""Bodies settle at least this long before an episode starts."""
MAX_SETTLE_SECONDS = 2.0
"""... and at most this long, whether they rest or not."""
REST_SPEED = 0.005
"""A body whose speeds are below this many metres and radians per second is at rest."""
MOVE_STEP = 5
"""Control step after which an object that is moved in the middle of the episode is taken away (paper, section 2)."""
MOVE_HEIGHT = 1.0
"""Metres, world frame: z of a moved object's origin when it appears, 0.13 m above the table."""
MOVE_SECONDS = 0.1
"""A moved object falls for this long before anything is judged or rendered; the arm holds its target meanwhile."""
ROBOT_GROUPS = [1, 1, 1, 0]
"""Collision groups: links of the robot share an ignore bit, so they meet everything but one another."""


@cache
def _robot_builder(spec: RobotSpec) -> sapien.ArticulationBuilder:
    """The arm's links and collision shapes, parsed once a process; visuals are the renderer's business."""
    builder = (
        sapien.Scene([physx.PhysxCpuSystem()]).create_urdf_loader().load_file_as_articulation_builder(str(spec.urdf()))
    )
    for link in builder.link_builders:
        link.visual_records.clear()
    return builder


def rigid_body(asset: ObjectAsset) -> physx.PhysxRigidDynamicComponent:
    """A dynamic body of the asset's convex parts."""
    material = physx.PhysxMaterial(OBJECT_FRICTION, OBJECT_FRICTION, 0.0)
    body = physx.PhysxRigidDynamicComponent()
    for part in asset.collision:
        shape = physx.PhysxCollisionShapeConvexMesh(part, np.ones(3, dtype=np.float32), material)
        shape.set_density(asset.density)
        body.attach(shape)
    return body


def drop_pose(asset: ObjectAsset, xy: tuple[float, float], yaw: float) -> sapien.Pose:
    """World pose at which an asset starts: its lowest point just above the table."""
    bottom = min(float(part[:, 2].min()) for part in asset.collision)
    return sapien.Pose([*xy, TABLE_HEIGHT + DROP - bottom], quaternion_about_z(yaw))


def move_pose(xy: tuple[float, float], yaw: float) -> sapien.Pose:
    """World pose at which an object appears that is moved in the middle of the episode."""
    return sapien.Pose([*xy, MOVE_HEIGHT], quaternion_about_z(yaw))


class Physics:
    """The bodies of one episode: robot, table and assets. Positions are metres in the world frame, quaternions wxyz."""

    def __init__(self, spec: RobotSpec, timestep: float) -> None:
        self.spec = spec
        self.timestep = timestep
        config = physx.PhysxSceneConfig()
        config.enable_enhanced_determinism = True
        physx.set_scene_config(config)
        self.scene = sapien.Scene([physx.PhysxCpuSystem()])
        self.scene.timestep = timestep
        self._add_table()
        self._add_robot()

    def _add_table(self) -> None:
        body = physx.PhysxRigidStaticComponent()
        wood = physx.PhysxMaterial(OBJECT_FRICTION, OBJECT_FRICTION, 0.0)
        body.attach(physx.PhysxCollisionShapeBox(list(TABLE_HALF_SIZE), wood))
        entity = sapien.Entity()
        entity.add_component(body)
        entity.set_pose(sapien.Pose([*TABLE_CENTRE_XY, TABLE_HEIGHT - TABLE_HALF_SIZE[2]]))
        self.scene.add_entity(entity)

    def _add_robot(self) -> None:
        spec = self.spec
        builder = _robot_builder(spec)
        builder.set_scene(self.scene)
        builder.set_initial_pose(sapien.Pose(list(spec.base_position), list(spec.base_quaternion)))
        self.articulation = builder.build(fix_root_link=True)
        self.links = list(self.articulation.links)
        rubber = physx.PhysxMaterial(spec.finger_friction, spec.finger_friction, 0.0)
        by_name = {link.name: link for link in self.links}
        self.fingers = [by_name[name] for name in spec.finger_links]
        self.tcp = by_name[spec.tcp_link]
        for link in self.links:
            link.disable_gravity = True
            for shape in link.collision_shapes:
                shape.set_collision_groups(ROBOT_GROUPS)
                if link in self.fingers:
                    shape.set_physical_material(rubber)
        joints = {joint.name: joint for joint in self.articulation.active_joints}
        self.arm_joints = [joints[name] for name in spec.arm_joints]
        self.finger_joints = [joints[name] for name in spec.finger_joints]
        drives = [*zip(self.arm_joints, spec.arm_drives, strict=True)]
        drives += [(joint, spec.finger_drive) for joint in self.finger_joints]
        for joint, drive in drives:
            joint.set_drive_properties(drive.stiffness, drive.damping, drive.force_limit)
            joint.set_friction(0.0)
        names = [joint.name for joint in self.articulation.active_joints]
        self.arm_index = np.array([names.index(name) for name in spec.arm_joints])
        self.finger_index = np.array([names.index(name) for name in spec.finger_joints])

    def place_robot(self, arm: np.ndarray) -> None:
        """Put the arm at rest at these angles [d], fingers at their start, targets there too."""
        q = np.zeros(self.articulation.dof, dtype=np.float32)
        q[self.arm_index] = arm
        q[self.finger_index] = self.spec.finger_start
        self.articulation.set_qpos(q)
        self.articulation.set_qvel(np.zeros_like(q))
        self.command(arm, self.spec.finger_start)

    def add_body(self, asset: ObjectAsset, xy: tuple[float, float], yaw: float) -> physx.PhysxRigidDynamicComponent:
        """Add a body of this asset at its drop pose, and return it."""
        body = rigid_body(asset)
        entity = sapien.Entity()
        entity.add_component(body)
        entity.set_pose(drop_pose(asset, xy, yaw))
        self.scene.add_entity(entity)
        return body

    def settle(self, bodies: list[physx.PhysxRigidDynamicComponent]) -> None:
        """Let the bodies come to rest: at least half a second, at most two."""
        for step in range(round(MAX_SETTLE_SECONDS / self.timestep)):
            if step * self.timestep >= SETTLE_SECONDS and all(self._at_rest(body) for body in bodies):
                return
            self.scene.step()

    @staticmethod
    def _at_rest(body: physx.PhysxRigidDynamicComponent) -> bool:
        speed = max(np.abs(body.linear_velocity).max(), np.abs(body.angular_velocity).max())
        return bool(speed < REST_SPEED)

    def command(self, arm: np.ndarray, finger: float) -> None:
        """Set the drives' targets: arm angles [d] and the finger opening of each finger [m]."""
        for joint, target in zip(self.arm_joints, arm.tolist(), strict=True):
            joint.set_drive_target(target)
        for joint in self.finger_joints:
            joint.set_drive_target(finger)

    def step(self, substeps: int) -> None:
        """Advance by this many physics steps."""
        for _ in range(substeps):
            self.scene.step()

    def forces_on(self, body: physx.PhysxRigidDynamicComponent) -> list[tuple[object, np.ndarray]]:
        """(other body, force [3] in newtons on `body`, world frame) of every contact pair of the last physics step."""
        forces = []
        for contact in self.scene.get_contacts():
            first, second = contact.bodies
            if first is body or second is body:
                impulse = np.zeros(3)
                for point in contact.points:
                    impulse += point.impulse
                forces.append((second, impulse / self.timestep) if first is body else (first, -impulse / self.timestep))
        return forces
