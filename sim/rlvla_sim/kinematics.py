"""Forward and inverse kinematics of a serial arm, and the delta-pose controller that rides on them.

The chain is read from a URDF, so simulator and controller share one file. Arrays are float64. Every function takes a
leading batch dimension N: one call serves all environments of a process. On numpy, row i of a result depends on row i
of the arguments alone, bit for bit, whatever N is (products and solves are done per row, rows that have converged stay
as they are). The same code runs on torch tensors for batched GPU simulation: a chain made by `to_torch` takes and gives
tensors.
"""

from dataclasses import dataclass, fields
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import torch

from rlvla_core.errors import RlvlaError
from rlvla_core.geometry.backend import Array, array_module
from rlvla_core.geometry.rotations import matrix_of_euler_xyz, rotation_about_z
from rlvla_core.geometry.transforms import pose_error, rigid

POSITION_TOLERANCE = 1e-4
"""Metres: inverse kinematics has converged below this and ROTATION_TOLERANCE."""
ROTATION_TOLERANCE = 1e-3
"""Radians."""
MAX_ITERATIONS = 24
"""Inverse kinematics gives up after this many steps."""


@dataclass(frozen=True, slots=True)
class KinematicChain:
    """A serial chain of d revolute joints from a base link to a tool link.

    Joint i contributes F_i (1 + sin(q_i) K_i + (1 - cos(q_i)) K_i^2), Rodrigues' formula after a fixed transform F_i.
    """

    fixed: Array
    """F_i, [d, 4, 4]."""
    sine: Array
    """F_i K_i, [d, 4, 4]."""
    cosine: Array
    """F_i K_i^2, [d, 4, 4]."""
    axes: Array
    """Joint axes in the joint frames, [d, 3]."""
    tool: Array
    """Fixed transform from the last joint to the tool link, [4, 4]."""
    lower: Array
    """Lower joint limits, radians, [d]."""
    upper: Array
    """Upper joint limits, radians, [d]."""

    @classmethod
    def from_urdf(cls, path: Path, tool_link: str, joint_names: tuple[str, ...]) -> "KinematicChain":
        """The chain that ends in `tool_link`; raises RlvlaError where its moving joints are not `joint_names`."""
        parent_joint = {}
        for joint in ElementTree.parse(path).getroot().iter("joint"):
            child = joint.find("child")
            if child is not None:
                parent_joint[child.get("link")] = joint
        transform, tool = np.eye(4), np.eye(4)
        names: list[str] = []
        fixed: list[np.ndarray] = []
        axes, limits = [], []
        link: str | None = tool_link
        while link in parent_joint:
            joint = parent_joint[link]
            origin = _origin(joint.find("origin"))
            if joint.get("type") == "fixed":
                transform = origin @ transform
            elif joint.get("type") == "revolute":
                if names:
                    fixed[-1] = transform @ fixed[-1]
                else:
                    tool = transform
                transform = np.eye(4)
                names.append(joint.get("name", ""))
                fixed.append(origin)
                axes.append(_numbers(joint.find("axis"), "xyz"))
                limit = joint.find("limit")
                limits.append([float(limit.get(k)) for k in ("lower", "upper")])  # type: ignore[union-attr, arg-type]
            else:
                raise RlvlaError(
                    f"joint `{joint.get('name')}` in {path} is {joint.get('type')}: the arm needs revolute"
                )
            link = joint.find("parent").get("link")  # type: ignore[union-attr]
        if tuple(reversed(names)) != joint_names:
            raise RlvlaError(f"{path}: joints before `{tool_link}` are {names[::-1]}, expected {list(joint_names)}")
        fixed[-1] = transform @ fixed[-1]
        return cls.build(np.array(fixed[::-1]), np.array(axes[::-1]), tool, np.array(limits[::-1]))

    @classmethod
    def build(cls, fixed: np.ndarray, axes: np.ndarray, tool: np.ndarray, limits: np.ndarray) -> "KinematicChain":
        """A chain from its fixed transforms [d, 4, 4], axes [d, 3], tool [4, 4] and limits [d, 2]."""
        cross = np.zeros_like(fixed)
        x, y, z = axes.T
        cross[:, 0, 1], cross[:, 0, 2], cross[:, 1, 2] = -z, y, -x
        cross[:, 1, 0], cross[:, 2, 0], cross[:, 2, 1] = z, -y, x
        return cls(fixed, fixed @ cross, fixed @ cross @ cross, axes, tool, limits[:, 0], limits[:, 1])

    def to_torch(self, device: torch.device | str) -> "KinematicChain":
        """This chain with float64 tensors on `device` in place of numpy arrays."""
        return KinematicChain(*(torch.as_tensor(getattr(self, f.name), device=device) for f in fields(self)))

    def joint_frames(self, q: Array) -> tuple[Array, Array]:
        """Joint frames [N, d, 4, 4] and tool poses [N, 4, 4] in the base frame at joint angles q [N, d]."""
        xp = array_module(q)
        local = self.fixed + xp.sin(q)[..., None, None] * self.sine + (1 - xp.cos(q))[..., None, None] * self.cosine
        frames = xp.empty_like(local)
        frames[:, 0] = local[:, 0]
        for i in range(1, local.shape[1]):
            frames[:, i] = frames[:, i - 1] @ local[:, i]
        return frames, frames[:, -1] @ self.tool

    def forward(self, q: Array) -> Array:
        """Tool poses [N, 4, 4] in the base frame at joint angles q [N, d]."""
        return self.joint_frames(q)[1]

    def solve(self, target: Array, seed: Array) -> tuple[Array, Array]:
        """Joint angles whose tool pose is `target` [N, 4, 4] (base frame), searched from `seed` [N, d].

        Damped least squares with the damping tied to the error, clipped to the joint limits. Returns the best angles
        met [N, d] and whether they meet the tolerances [N].
        """
        xp = array_module(seed)
        q = xp.clip(seed, self.lower, self.upper)
        best_q, best_error = q + 0.0, xp.full_like(q[:, 0], np.inf)
        rows = xp.cumsum(xp.ones_like(best_error, dtype=xp.int64), 0) - 1
        eye = xp.eye(6, dtype=xp.float64)
        if xp is torch:
            eye = eye.to(q.device)
        for _ in range(MAX_ITERATIONS):
            frames, tool = self.joint_frames(q)
            error = pose_error(tool, target[rows])
            size = xp.maximum(_norm(error[:, :3]) / POSITION_TOLERANCE, _norm(error[:, 3:]) / ROTATION_TOLERANCE)
            better = size < best_error[rows]
            best_q[rows[better]], best_error[rows[better]] = q[better], size[better]
            go = size > 1.0
            if not go.any():
                break
            rows, q, error, frames, tool = rows[go], q[go], error[go], frames[go], tool[go]
            jacobian = self.jacobian(frames, tool)
            damping = 1e-7 + 1e-3 * (error * error).sum(-1)
            gram = jacobian @ jacobian.swapaxes(-1, -2) + damping[:, None, None] * eye
            step = (jacobian.swapaxes(-1, -2) @ xp.linalg.solve(gram, error[..., None]))[..., 0]
            q = xp.clip(q + step, self.lower, self.upper)
        return best_q, best_error <= 1.0

    def jacobian(self, frames: Array, tool: Array) -> Array:
        """Geometric Jacobian [N, 6, d] (linear above angular) of the tool in the base frame, from `joint_frames`."""
        xp = array_module(tool)
        axes = (frames[..., :3, :3] @ self.axes[..., None])[..., 0]
        arm = tool[:, None, :3, 3] - frames[..., :3, 3]
        linear = xp.stack(
            [
                axes[..., 1] * arm[..., 2] - axes[..., 2] * arm[..., 1],
                axes[..., 2] * arm[..., 0] - axes[..., 0] * arm[..., 2],
                axes[..., 0] * arm[..., 1] - axes[..., 1] * arm[..., 0],
            ],
            -2,
        )
        return xp.concatenate([linear, axes.swapaxes(-1, -2)], -2)


class DeltaPoseController:
    """Turns deltas of N arms into joint targets: p <- p + dp, R <- R(dEuler XYZ) R, on the last *commanded* pose.

    Where no joint angles within the limits reach the new pose, the best ones found are commanded and the commanded
    pose becomes theirs: the target never runs away from what the arm can do.
    """

    def __init__(self, chain: KinematicChain, joints: Array) -> None:
        self.chain = chain
        self.joints = joints + 0.0
        """Commanded joint angles, [N, d]."""
        self.targets = chain.forward(joints)
        """Commanded tool poses in the base frame, [N, 4, 4]."""

    def step(self, rows: Array | slice, deltas: Array) -> Array:
        """Apply deltas [n, 6] (metres, radians) to the arms `rows` [n]; returns their joint targets [n, d]."""
        wanted = self.targets[rows] + 0.0
        wanted[:, :3, 3] += deltas[:, :3]
        wanted[:, :3, :3] = matrix_of_euler_xyz(deltas[:, 3:]) @ wanted[:, :3, :3]
        joints, reached = self.chain.solve(wanted, self.joints[rows])
        self.joints[rows] = joints
        self.targets[rows] = array_module(joints).where(reached[:, None, None], wanted, self.chain.forward(joints))
        return joints


def _norm(x: Array) -> Array:
    return array_module(x).sqrt((x * x).sum(-1))


def _numbers(element: ElementTree.Element | None, key: str) -> np.ndarray:
    text = None if element is None else element.get(key)
    return np.zeros(3) if text is None else np.array([float(v) for v in text.split()])


def _origin(element: ElementTree.Element | None) -> np.ndarray:
    """Transform [4, 4] of a URDF origin: translation, and fixed-axis roll, pitch, yaw = Rz(y) Ry(p) Rx(r)."""
    roll, pitch, yaw = _numbers(element, "rpy")
    tilt = matrix_of_euler_xyz(np.array([0.0, pitch, 0.0])) @ matrix_of_euler_xyz(np.array([roll, 0.0, 0.0]))
    return rigid(rotation_about_z(yaw) @ tilt, _numbers(element, "xyz"))
