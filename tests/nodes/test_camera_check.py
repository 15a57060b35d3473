"""Which cameras count as the one of training."""

from dataclasses import replace

import pytest
import torch
from policy_bench import lens
from sensor_msgs.msg import Image
from small_bundle import ROBOT, SIDE

from rlvla_core.environment import ACTION_SPACE
from rlvla_core.errors import RlvlaError
from rlvla_core.geometry.camera import project
from rlvla_core.policy.deploy import DeploySpec
from rlvla_nodes.camera_check import check_image, expected_by, training_view
from rlvla_sim.robots import robot

DEPLOY = DeploySpec(
    robot=ROBOT,
    camera=robot(ROBOT).seen("whole", SIDE, SIDE),
    control_hz=5.0,
    action_space=ACTION_SPACE,
    image_transform="",
)


@pytest.mark.parametrize("size", [(64, 64), (640, 480), (1280, 720), (65, 64)])
def test_the_whole_image_of_the_camera_of_training_is_taken_at_any_size(size):
    assert training_view(DEPLOY, lens(*size)) == (slice(0, size[1]), slice(0, size[0]))
    closer = training_view(DEPLOY, lens(*size, fx=1.018, fy=1.018))
    assert closer == (slice(0, size[1]), slice(0, size[0])), "a little may be missing"
    rows, columns = training_view(DEPLOY, lens(*size, fx=0.97, fy=0.97))
    assert (columns.stop - columns.start) / size[0] == pytest.approx(0.97, abs=1 / size[0]), "a little more is cut off"
    assert (rows.stop - rows.start) / size[1] == pytest.approx(0.97, abs=1 / size[1])


def test_of_a_camera_that_sees_more_the_view_of_training_is_cut_out():
    trained = robot(ROBOT).seen("workspace", SIDE, SIDE)
    deploy = replace(DEPLOY, camera=trained)
    assert training_view(deploy, lens(640, 480)) == (slice(50, 430), slice(70, 530))
    wide = lens(1280, 960, fx=0.8, fy=0.9)
    rows, columns = training_view(deploy, wide)
    corners = torch.tensor([[0.6, 0.1, 0.0], [0.5, -0.1, 0.1]], dtype=torch.float64)
    camera = replace(trained, width=1280, height=960, fx=wide.k[0], fy=wide.k[4], cx=wide.k[2], cy=wide.k[5])
    cut = (project(corners, camera) - torch.tensor([columns.start, rows.start])) / torch.tensor(
        [columns.stop - columns.start, rows.stop - rows.start]
    )
    assert torch.allclose(cut, project(corners, trained) / SIDE, atol=0.002)


@pytest.mark.parametrize("name", ["fx", "fy", "cx", "cy"])
def test_a_camera_that_sees_less_does_not_fit(name):
    with pytest.raises(RlvlaError, match=r"sees less than the bundle was trained with, which would be .*-\d+% to"):
        training_view(DEPLOY, lens(640, 480, **{name: 0.9 if name[0] == "c" else 1.1}))


@pytest.mark.parametrize("name", ["fx", "fy", "cx", "cy"])
@pytest.mark.parametrize("factor", [float("nan"), float("inf"), -1.0, 0.0])
def test_a_lens_that_cannot_be_does_not_fit(name, factor):
    possible = name[0] == "c" and factor <= 0.0  # a principal point may lie anywhere, only not here
    with pytest.raises(RlvlaError, match="sees less" if possible else "look at its camera_info"):
        training_view(DEPLOY, lens(**{name: factor}))


@pytest.mark.parametrize("size", [(60, 64), (64, 60)])
def test_a_smaller_image_does_not_fit(size):
    with pytest.raises(RlvlaError, match=f"gives {size[0]}x{size[1]} pixels of .* choose a larger image"):
        training_view(DEPLOY, lens(*size))
    with pytest.raises(RlvlaError, match="gives 46x50 pixels of"):
        training_view(replace(DEPLOY, camera=robot(ROBOT).seen("workspace", SIDE, SIDE)), lens(64, 64))


def test_an_image_must_have_the_size_of_its_lens():
    check_image(Image(width=640, height=480), lens(640, 480))
    for size in ((480, 640), (640, 479), (0, 0)):
        with pytest.raises(RlvlaError, match=f"image of {size[0]}x{size[1]}, but its camera_info says 640x480"):
            check_image(Image(width=size[0], height=size[1]), lens(640, 480))


def test_a_folder_that_is_no_bundle_is_named(tmp_path):
    for bundle, line in (
        ("", "no bundle"),
        ("absent", "no policy bundle at absent"),
        (str(tmp_path), "deploy.json is"),
    ):
        with pytest.raises(RlvlaError, match=line):
            expected_by(bundle, robot=ROBOT, control_hz=5.0)
