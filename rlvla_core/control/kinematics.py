"""Forward and inverse kinematics of one arm, by pinocchio, from the same URDF as simulator and driver.

The solver is the simulator's (`rlvla_sim.kinematics`): the same damping, tolerances and number of iterations, so that
a command leads to the same joint angles on the robot as in training, as long as no margin is touched.
"""

import numpy as np
import pinocchio as pin
from scipy.linalg.lapack import dposv

from rlvla_core.control.arm import ArmConfig
from rlvla_core.errors import RlvlaError
from rlvla_core.geometry.transforms import pose_error

POSITION_TOLERANCE = 1e-4
"""Metres: inverse kinematics has converged below this and ROTATION_TOLERANCE."""
ROTATION_TOLERANCE = 1e-3
"""Radians: see POSITION_TOLERANCE."""
MAX_ITERATIONS = 24
"""Most iterations of inverse kinematics."""
STALLED = 4
"""The search ends after so many iterations in a row that lower the error by less than 1 %: it is out of reach."""


class ArmModel:
    """Kinematics of a serial arm of d revolute joints, from the base link to the tcp link of its configuration."""

    def __init__(self, urdf_xml: str, config: ArmConfig) -> None:
        """Read the URDF. Raises RlvlaError if its joints, links or limits do not fit the configuration."""
        self.config = config
        self._model = model = _reduced(urdf_xml, config)
        self._data = model.createData()
        self._tcp = _frame(model, config.tcp_link)
        base = model.frames[_frame(model, config.base_link)]
        if base.parentJoint != 0:
            raise RlvlaError(
                f"link `{config.base_link}` moves with joint `{model.names[base.parentJoint]}`: it is no base"
            )
        self._base_from_root = base.placement.inverse().homogeneous
        self._turn = np.kron(np.eye(2), self._base_from_root[:3, :3])
        margin = config.motion.joint_margin
        self.lower = model.lowerPositionLimit + margin
        """Lower joint limits [d] with the margin, radians."""
        self.upper = model.upperPositionLimit - margin
        """Upper joint limits [d] with the margin, radians."""
        if (self.lower >= self.upper).any():
            raise RlvlaError(f"`motion.joint_margin` {margin} leaves a joint of `{config.name}` no room")
        for name, wanted, most in zip(config.joints, config.motion.joint_speed, model.velocityLimit, strict=True):
            if wanted > most:
                raise RlvlaError(
                    f"`motion.joint_speed` of `{name}` is {wanted}, its description allows {most:.4f} rad/s"
                )
        tips, palm = config.hand.fingertips, config.hand.palm
        self.hand_points = np.array([(0.0, 0.0, 0.0), *tips, *palm])
        """tcp, fingertips and palm corners in the tcp frame, metres, [k, 3]."""
        self.tips = slice(0, 1 + len(tips))
        """Rows of `hand_points` that are tcp and fingertips."""
        self._weights = np.repeat([1.0 / config.motion.singularity_length, 1.0], 3)[:, None]

    @property
    def dof(self) -> int:
        """Number of joints d."""
        return int(self._model.nq)

    def forward(self, joints: np.ndarray) -> np.ndarray:
        """Tool pose in the base frame [4, 4] at joint angles [d]."""
        pin.forwardKinematics(self._model, self._data, joints)
        placement = pin.updateFramePlacement(self._model, self._data, self._tcp)
        return self._base_from_root @ placement.homogeneous

    def forward_each(self, joints: np.ndarray) -> np.ndarray:
        """Tool poses [T, 4, 4] in the base frame at joint angles [T, d]."""
        return np.array([self.forward(row) for row in joints])

    def jacobian(self, joints: np.ndarray) -> np.ndarray:
        """Geometric Jacobian [6, d] of the tool in the base frame: linear rows above angular ones."""
        frame = pin.LOCAL_WORLD_ALIGNED
        return self._turn @ pin.computeFrameJacobian(self._model, self._data, joints, self._tcp, frame)

    def condition(self, joints: np.ndarray) -> float:
        """Condition number of the Jacobian, lengths counted in units of `singularity_length`; inf at a singularity."""
        values = np.linalg.svd(self._weights * self.jacobian(joints), compute_uv=False)
        return float(values[0] / values[-1]) if values[-1] > 1e-12 else float("inf")

    def solve(self, target: np.ndarray, seed: np.ndarray) -> tuple[np.ndarray, bool]:
        """Joint angles [d] whose tool pose is `target` [4, 4] (base frame), searched from `seed` [d].

        Damped least squares with the damping tied to the error, clipped to the limits with margin (widened to a seed
        that is beyond them). Returns the best angles met and whether they meet the tolerances.
        """
        lower, upper = np.minimum(self.lower, seed), np.maximum(self.upper, seed)
        joints = best = seed
        best_error, stalled = np.inf, 0
        for _ in range(MAX_ITERATIONS):
            error = pose_error(self.forward(joints), target)
            square = error * error
            move, turn = float(square[:3].sum()) ** 0.5, float(square[3:].sum()) ** 0.5
            size = max(move / POSITION_TOLERANCE, turn / ROTATION_TOLERANCE)
            stalled = 0 if size < 0.99 * best_error else stalled + 1
            if size < best_error:
                best, best_error = joints, size
            if size <= 1.0 or stalled == STALLED:
                break
            jacobian = self.jacobian(joints)
            gram = jacobian @ jacobian.T
            gram.flat[::7] += 1e-7 + 1e-3 * float(square.sum())
            joints = np.minimum(np.maximum(joints + jacobian.T @ dposv(gram, error)[1], lower), upper)
        return best.copy(), best_error <= 1.0

    def points(self, poses: np.ndarray) -> np.ndarray:
        """tcp, fingertips and palm corners [..., k, 3] in the base frame at tool poses [..., 4, 4]."""
        return self.hand_points @ poses[..., :3, :3].swapaxes(-1, -2) + poses[..., None, :3, 3]


def _reduced(urdf_xml: str, config: ArmConfig) -> pin.Model:
    """The description with all but the arm's joints locked; raises RlvlaError unless these lead to the tcp in order."""
    try:
        model = pin.buildModelFromXML(urdf_xml)
    except (RuntimeError, ValueError) as error:
        raise RlvlaError(f"the description of `{config.name}` is no URDF: {' '.join(str(error).split())}") from error
    chain = []
    joint = model.frames[_frame(model, config.tcp_link)].parentJoint
    while joint:
        chain.append(model.names[joint])
        joint = model.parents[joint]
    if tuple(reversed(chain)) != config.joints:
        raise RlvlaError(f"joints before `{config.tcp_link}` are {chain[::-1]}, expected {list(config.joints)}")
    for name in config.joints:
        kind = model.joints[model.getJointId(name)].shortname()
        if not kind.startswith("JointModelR") or "UB" in kind:
            raise RlvlaError(f"joint `{name}` is a {kind}: the arm needs revolute joints with limits")
    locked = [model.getJointId(name) for name in model.names[1:] if name not in config.joints]
    return pin.buildReducedModel(model, locked, pin.neutral(model))


def _frame(model: pin.Model, link: str) -> int:
    if not model.existFrame(link):
        raise RlvlaError(f"the description has no link `{link}`")
    return int(model.getFrameId(link))
