"""The robot and camera that a policy was trained with, and the check that it is run with the same."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rlvla_core.environment import CameraSpec, EnvSpec
from rlvla_core.errors import RlvlaError

if TYPE_CHECKING:
    from rlvla_core.policy.policy import VLAPolicy


@dataclass(frozen=True, kw_only=True, slots=True)
class DeploySpec:
    """What a policy expects of its robot and camera: the content of a bundle's deploy.json."""

    robot: str
    """Name of the arm, e.g. `widowx250s`."""
    camera: CameraSpec
    """The camera of training: image size and intrinsics in pixels, pose in the robot's base frame in metres."""
    control_hz: float
    """Control rate: actions per second."""
    action_space: str
    """Meaning and frame of an action, see `environment.ACTION_SPACE`."""
    image_transform: str
    """Hash of the transform from image to model input."""

    @classmethod
    def from_env(cls, spec: EnvSpec, policy: "VLAPolicy") -> "DeploySpec":
        """Describe the environment that `policy` was trained in."""
        return cls(
            robot=spec.robot,
            camera=spec.camera,
            control_hz=spec.control_hz,
            action_space=spec.action_space,
            image_transform=policy.transform.hash(),
        )

    def to_json(self) -> dict[str, Any]:
        """The content of deploy.json, which `from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any], source: str) -> "DeploySpec":
        """Read what `to_json` gives; `source` names the file in errors. Raises RlvlaError for damaged content."""
        try:
            camera = dict(data["camera"])
            for name in ("position_in_base", "quaternion_in_base"):
                camera[name] = tuple(camera[name])
            return cls(**{**data, "camera": CameraSpec(**camera)})
        except (KeyError, TypeError, ValueError) as error:
            raise RlvlaError(f"{source} is damaged ({error}): save the policy again") from None


def check_fits(deploy: DeploySpec, spec: EnvSpec) -> None:
    """Raise RlvlaError unless the environment has the robot, rate, action space and camera intrinsics of training."""
    check_arm(deploy, robot=spec.robot, control_hz=spec.control_hz, action_space=spec.action_space)
    trained, camera = deploy.camera, spec.camera
    _check_same("image size", f"{trained.width}x{trained.height}", f"{camera.width}x{camera.height}")
    _check_same("fx, fy, cx, cy", _lens(trained), _lens(camera))


def check_arm(deploy: DeploySpec, *, robot: str, control_hz: float, action_space: str) -> None:
    """Raise RlvlaError unless the arm, simulated or not, is the one of training, at its rate, taking its actions."""
    _check_same("robot", deploy.robot, robot)
    _check_same("control rate in Hz", deploy.control_hz, control_hz)
    _check_same("action space", deploy.action_space, action_space)


def _lens(camera: CameraSpec) -> str:
    """The camera's intrinsics as text, to a hundredth of a pixel."""
    return ", ".join(f"{value:.2f}" for value in (camera.fx, camera.fy, camera.cx, camera.cy))


def _check_same(what: str, trained: object, found: object) -> None:
    if trained != found:
        raise RlvlaError(
            f"the policy was trained with {what} {trained}, not {found}: "
            "choose a bundle that was trained for this robot and camera, or run it where it was trained"
        )
