"""The arms as ManiSkill agents, driven by the same delta-pose controller as the CPU world."""

from dataclasses import dataclass

import numpy as np
import sapien
import torch
from gymnasium import spaces
from mani_skill.agents.base_agent import BaseAgent
from mani_skill.agents.controllers.base_controller import BaseController, ControllerConfig
from mani_skill.agents.registration import register_agent

from rlvla_core.environment import ACTION_DIM
from rlvla_sim.kinematics import DeltaPoseController, KinematicChain
from rlvla_sim.robots import ROBOTS, RobotSpec, robot

CONTROL_MODE = "delta_target_pose"


class DeltaTargetPoseController(BaseController):
    """ManiSkill controller of our actions: six deltas on the commanded tool pose and one gripper number for each
    arm."""

    config: "DeltaTargetPoseConfig"
    sets_target_qpos = True
    sets_target_qvel = False

    def _initialize_action_space(self) -> None:
        self.single_action_space = spaces.Box(-np.inf, np.inf, shape=(ACTION_DIM,), dtype=np.float32)

    def _initialize_joints(self) -> None:
        super()._initialize_joints()
        spec = self.config.spec
        self.num_arm = len(spec.arm_joints)
        self.chain = KinematicChain.from_urdf(spec.urdf(), spec.tcp_link, spec.arm_joints).to_torch(self.device)

    def set_drive_property(self) -> None:
        spec = self.config.spec
        for joint, drive in zip(self.joints, [*spec.arm_drives, spec.finger_drive, spec.finger_drive], strict=True):
            joint.set_drive_properties(drive.stiffness, drive.damping, force_limit=drive.force_limit, mode="force")
            joint.set_friction(0.0)

    def reset(self) -> None:
        """Make the present pose of the arms the commanded one."""
        q = self.qpos
        self.arms = DeltaPoseController(self.chain, q[:, : self.num_arm].double())
        self._drive(q)

    def set_action(self, action: torch.Tensor) -> None:
        """Command float [N, 7] deltas and grippers."""
        spec = self.config.spec
        action = self._preprocess_action(action)
        arm = self.arms.step(slice(None), action[:, :6].double())
        fraction = 0.5 * (action[:, 6:].clamp(-1.0, 1.0) + 1.0)
        finger = spec.finger_closed + fraction * (spec.finger_open - spec.finger_closed)
        self._drive(torch.cat([arm.float(), finger, finger], dim=1))

    def _drive(self, targets: torch.Tensor) -> None:
        self.articulation.set_joint_drive_targets(targets, self.joints, self.active_joint_indices)


@dataclass
class DeltaTargetPoseConfig(ControllerConfig):
    """Configuration of the `DeltaTargetPoseController` of one arm."""

    spec: RobotSpec
    controller_cls = DeltaTargetPoseController


class ArmAgent(BaseAgent):
    """One of our arms as a ManiSkill agent; `register` makes one subclass for each arm."""

    spec: RobotSpec
    disable_self_collisions = True

    def _load_articulation(self, initial_pose: sapien.Pose | None = None) -> None:
        self.urdf_path = str(self.spec.urdf())
        super()._load_articulation(initial_pose)

    @property
    def _controller_configs(self) -> dict[str, ControllerConfig]:
        names = [*self.spec.arm_joints, *self.spec.finger_joints]
        return {CONTROL_MODE: DeltaTargetPoseConfig(joint_names=names, spec=self.spec)}

    def _after_init(self) -> None:
        self.fingers = [self.robot.links_map[name] for name in self.spec.finger_links]
        self.tcp = self.robot.links_map[self.spec.tcp_link]

    def start_qpos(self, arm: np.ndarray) -> np.ndarray:
        """Start positions of all active joints in the articulation's own order, float32 [dof], for arm angles [d]."""
        start = dict(zip(self.spec.arm_joints, arm.tolist(), strict=True))
        start |= dict.fromkeys(self.spec.finger_joints, self.spec.finger_start)
        return np.array([start[joint.name] for joint in self.robot.active_joints], dtype=np.float32)


def agent_uid(name: str, assets: str) -> str:
    """Name of an arm in ManiSkill's registry, as worlds with these assets show it."""
    return f"rlvla_{name}_{assets}"


def register(name: str, assets: str) -> type[ArmAgent]:
    """Make and register the agent class of an arm."""
    spec, uid = robot(name, assets), agent_uid(name, assets)
    friction = {"static_friction": spec.finger_friction, "dynamic_friction": spec.finger_friction, "restitution": 0.0}
    grip = {"material": "rubber", "patch_radius": 0.0, "min_patch_radius": 0.0}
    members = {
        "uid": uid,
        "spec": spec,
        "urdf_config": {"_materials": {"rubber": friction}, "link": dict.fromkeys(spec.finger_links, grip)},
        "__module__": __name__,
    }
    return register_agent()(type(f"ArmAgent_{uid}", (ArmAgent,), members))


AGENTS = [register(name, assets) for name in ROBOTS for assets in ("procedural", "paper")]
