"""The robot and camera that a policy was trained with, and the check that it is run with the same."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rlvla_core.environment import EnvSpec
from rlvla_core.errors import RlvlaError
from rlvla_core.geometry.camera import CameraSpec
from rlvla_core.storage.strict import build

if TYPE_CHECKING:
    from rlvla_core.policy.policy import VLAPolicy


@dataclass(frozen=True, kw_only=True, slots=True)
class DeploySpec:
    """What a policy expects of its robot and camera: the content of a bundle's deploy.json."""

    robot: str
    """Name of the arm that the policy was trained with, e.g. `widowx250s`."""
    camera: CameraSpec
    """The camera of training: image size and intrinsics in pixels, pose in the robot's base frame in metres."""
    control_hz: float
    """Actions per second in training [Hz]."""
    action_space: str
    """Name of the meaning and frame of an action, see `environment.ACTION_SPACE`."""
    image_transform: str
    """Hash of the transform from camera image to model input (`ImageTransform.hash`)."""

    @classmethod
    def from_env(cls, spec: EnvSpec, policy: "VLAPolicy") -> "DeploySpec":
        """The requirements of a `policy` that is trained in the environment `spec`."""
        return cls(
            robot=spec.robot,
            camera=spec.camera,
            control_hz=spec.control_hz,
            action_space=spec.action_space,
            image_transform=policy.transform.hash(),
        )

    def to_json(self) -> dict[str, Any]:
        """The content of deploy.json."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any], source: str) -> "DeploySpec":
        """Inverse of `to_json`. Raises RlvlaError, naming the file `source`, for entries that are missing, unknown
        or of another type."""
        try:
            return build(cls, data, "")
        except RlvlaError as error:
            raise RlvlaError(f"{source} is damaged ({error}): save the policy again") from None


def check_fits(deploy: DeploySpec, spec: EnvSpec) -> None:
    """Raise RlvlaError unless the environment has the robot, rate, action space and camera of training.

    Of the camera, image size and intrinsics are compared.
    """
    check_arm(deploy, robot=spec.robot, control_hz=spec.control_hz, action_space=spec.action_space)
    trained, camera = deploy.camera, spec.camera
    _check_same("image size", f"{trained.width}x{trained.height}", f"{camera.width}x{camera.height}")
    _check_same("fx, fy, cx, cy", _lens(trained), _lens(camera))


def check_arm(deploy: DeploySpec, *, robot: str, control_hz: float, action_space: str) -> None:
    """Raise RlvlaError unless robot, control rate [Hz] and action space of an arm are those of training."""
    _check_same("robot", deploy.robot, robot)
    _check_same("control rate in Hz", deploy.control_hz, control_hz)
    _check_same("action space", deploy.action_space, action_space)


def _lens(camera: CameraSpec) -> str:
    """The intrinsics as text, to a hundredth of a pixel."""
    return ", ".join(f"{value:.2f}" for value in (camera.fx, camera.fy, camera.cx, camera.cy))


def _check_same(what: str, trained: object, found: object) -> None:
    if trained != found:
        raise RlvlaError(
            f"the policy was trained with {what} {trained}, here it is {found}: "
            "change that, or use a policy that was trained with it"
        )
