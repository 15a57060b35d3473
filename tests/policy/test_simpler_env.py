"""The adapter for SimplerEnv's evaluators, driven as `maniskill2_evaluator` drives a policy."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from rlvla_core.environment import ACTION_SPACE
from rlvla_core.errors import RlvlaError
from rlvla_core.geometry.camera import CameraSpec
from rlvla_core.policy.bundle import save_bundle
from rlvla_core.policy.deploy import DeploySpec
from rlvla_core.policy.policy import VLAPolicy
from rlvla_core.policy.simpler_env import SimplerPolicy

CAMERA = CameraSpec(
    name="third_view",
    width=64,
    height=64,
    fx=60.0,
    fy=60.0,
    cx=32.0,
    cy=32.0,
    position_in_base=(0.0, 0.0, 0.4),
    quaternion_in_base=(1.0, 0.0, 0.0, 0.0),
)


def bundle_of(policy: VLAPolicy, directory: Path, robot: str) -> Path:
    deploy = DeploySpec(
        robot=robot,
        camera=CAMERA,
        control_hz=5.0,
        action_space=ACTION_SPACE,
        image_transform=policy.transform.hash(),
    )
    save_bundle(policy, directory, deploy=deploy, provenance={})
    return directory


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)


def test_an_answer_is_the_policys_own_in_the_evaluators_units(policy: VLAPolicy, image: np.ndarray) -> None:
    simpler = SimplerPolicy(policy)
    simpler.reset("put carrot on plate")
    raw, action = simpler.step(image, "put carrot on plate")
    told = policy.act(torch.from_numpy(image)[None], ["put carrot on plate"], temperature=0.0).actions[0].numpy()
    assert action["world_vector"] == pytest.approx(told[:3])
    assert raw["rotation_delta"] == pytest.approx(told[3:6])
    expected = Rotation.from_euler("XYZ", told[3:6]).as_rotvec()
    assert action["rot_axangle"] == pytest.approx(expected, abs=1e-6)
    assert action["gripper"].tolist() == [np.sign(told[6])]
    assert raw["open_gripper"].tolist() == [float(told[6] > 0)]
    # The evaluator's own line of code:
    assert np.concatenate([action["world_vector"], action["rot_axangle"], action["gripper"]]).shape == (7,)
    assert bool(action["terminate_episode"][0] > 0) is False


def test_a_sampled_episode_repeats_after_a_reset(policy: VLAPolicy, image: np.ndarray) -> None:
    simpler = SimplerPolicy(policy, temperature=1.0, seed=3)
    first = [simpler.step(image, "put carrot on plate")[0]["world_vector"] for _ in range(3)]
    again = [simpler.step(image, "put carrot on plate")[0]["world_vector"] for _ in range(3)]
    assert not np.array_equal(first, again)
    simpler.reset("put carrot on plate")
    assert np.array_equal(first, [simpler.step(image)[0]["world_vector"] for _ in range(3)])
    simpler.step(image, "put spoon on plate")
    assert simpler.instruction == "put spoon on plate"


def test_it_comes_from_a_bundle_of_the_right_arm(policy: VLAPolicy, image: np.ndarray, tmp_path: Path) -> None:
    simpler = SimplerPolicy.from_bundle(bundle_of(policy, tmp_path / "arm", "widowx250s"))
    answers = [simpler.step(image, "put carrot on plate")[0] for _ in range(4)]
    simpler.visualize_epoch(answers, [image] * 4, save_path=str(tmp_path / "plots" / "episode.png"))
    assert (tmp_path / "plots" / "episode.png").stat().st_size > 1000
    with pytest.raises(RlvlaError, match="trained for panda"):
        SimplerPolicy.from_bundle(bundle_of(policy, tmp_path / "other", "panda"))


def test_mistakes_are_named(policy: VLAPolicy, image: np.ndarray) -> None:
    simpler = SimplerPolicy(policy)
    with pytest.raises(RlvlaError, match="no instruction yet"):
        simpler.step(image)
    with pytest.raises(RlvlaError, match=r"got float32 \[480, 640, 3\]"):
        simpler.step(image.astype(np.float32), "put carrot on plate")
