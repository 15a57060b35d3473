"""Which cameras count as the one of training."""

import pytest
from policy_bench import lens
from sensor_msgs.msg import Image
from small_bundle import ROBOT, SIDE

from rlvla_core.environment import ACTION_SPACE
from rlvla_core.errors import RlvlaError
from rlvla_core.policy.deploy import DeploySpec
from rlvla_nodes.fit import check_camera, check_picture, expected_by
from rlvla_sim.config import scaled_camera
from rlvla_sim.robots import robot

DEPLOY = DeploySpec(
    robot=ROBOT,
    camera=scaled_camera(robot(ROBOT).camera, SIDE, SIDE),
    control_hz=5.0,
    action_space=ACTION_SPACE,
    image_transform="",
)


@pytest.mark.parametrize("size", [(64, 64), (640, 480), (1280, 720), (65, 64)])
@pytest.mark.parametrize("factor", [0.982, 1.0, 1.018])
def test_the_view_of_training_fits_at_any_size_with_a_little_tolerance(size, factor):
    check_camera(DEPLOY, lens(*size, fx=factor, fy=factor))


@pytest.mark.parametrize("name", ["fx", "fy", "cx", "cy"])
@pytest.mark.parametrize("factor", [0.9, 1.1, 0.0, float("nan"), float("inf"), -1.0])
def test_another_view_does_not_fit(name, factor):
    with pytest.raises(RlvlaError, match=f"the camera's {name} / "):
        check_camera(DEPLOY, lens(**{name: factor}))


@pytest.mark.parametrize("size", [(63, 64), (64, 63), (0, 0)])
def test_a_smaller_picture_does_not_fit(size):
    with pytest.raises(RlvlaError, match="choose a larger picture"):
        check_camera(DEPLOY, lens(*size))


def test_a_picture_must_have_the_size_of_its_lens():
    check_picture(Image(width=640, height=480), lens(640, 480))
    for size in ((480, 640), (640, 479), (0, 0)):
        with pytest.raises(RlvlaError, match=f"picture of {size[0]}x{size[1]}, but its camera_info says 640x480"):
            check_picture(Image(width=size[0], height=size[1]), lens(640, 480))


def test_a_folder_that_is_no_bundle_is_named(tmp_path):
    for bundle, line in (
        ("", "no bundle"),
        ("absent", "no policy bundle at absent"),
        (str(tmp_path), "deploy.json is"),
    ):
        with pytest.raises(RlvlaError, match=line):
            expected_by(bundle, robot=ROBOT, control_hz=5.0)
