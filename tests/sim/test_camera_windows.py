"""The workspace view: a part of the whole image, with everything in it that a test asks for."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from rlvla_core.errors import RlvlaError
from rlvla_core.geometry.camera import project
from rlvla_sim.assets import catalogue
from rlvla_sim.config import WorldConfig
from rlvla_sim.ood_episodes import ood_episodes
from rlvla_sim.physics import TABLE_HEIGHT
from rlvla_sim.pretraining.scenes import Scenes
from rlvla_sim.robots import robot
from rlvla_sim.shifts import shifts
from rlvla_sim.world import World

WORKSPACE = replace(WorldConfig(), view="workspace")


def image(config: WorldConfig, episode_set: str = "train", number: int = 3) -> np.ndarray:
    config = replace(config, supersampling=1, episode_set=episode_set)
    world = World(config, catalogue("procedural"))
    world.start(config.episodes.decode(ood_episodes(episode_set, number + 1).ids[number]))
    return world.image().astype(int)


@pytest.mark.parametrize("episode_set", ["in-distribution", "unseen-tables"])
def test_it_is_cut_out_of_the_whole(episode_set):
    whole = image(replace(WorldConfig(), image_width=640, image_height=480), episode_set)
    part = image(replace(WORKSPACE, image_width=460, image_height=380), episode_set)
    cut = whole[50:430, 70:530]
    assert np.abs(part - cut).mean() < 0.05
    assert np.abs(part - whole[:380, :460]).mean() > 5, "another part differs"


@pytest.mark.parametrize("name", [shift.name for shift in shifts()])
def test_every_thing_of_every_test_is_in_it(name):
    arm = robot("widowx250s")
    camera = arm.seen("workspace", 64, 64)
    config = replace(WORKSPACE, episode_set=name)
    places = set()
    for episode_id in ood_episodes(name, 256).ids:
        episode = config.episodes.decode(episode_id)
        places |= {episode.object_xy, episode.receptacle_xy}
        places |= {episode.distractor.xy} if episode.distractor is not None else set()
        places |= {tuple(episode.move_to[:2])} if episode.move_to is not None else set()
    world = np.array([[*xy, TABLE_HEIGHT + 0.015, 1.0] for xy in places])
    base = world @ np.linalg.inv(arm.world_T_base).T
    pixels = project(torch.from_numpy(base[:, :3]), camera).numpy()
    assert pixels.min() > 3
    assert pixels.max() < 61


def test_scenes_of_pretraining_have_the_view():
    scenes = Scenes(WORKSPACE)
    assert scenes.camera == robot("widowx250s").seen("workspace", 64, 64)
    scene = scenes.draw(0, 1)
    seen = scene.pixels[np.isfinite(scene.pixels).all(-1)]
    assert seen.min() > 0
    assert seen.max() < 64


@pytest.mark.parametrize("name", ["widowx250s", "panda"])
def test_a_view_is_known_by_its_camera(name):
    arm = robot(name)
    for size in ((64, 64), (640, 480)):
        assert arm.view_of(arm.seen("whole", *size)) == "whole"
    if arm.window("workspace") != arm.window("whole"):
        assert arm.view_of(arm.seen("workspace", 64, 48)) == "workspace"
    camera = arm.seen("whole", 64, 64)
    with pytest.raises(RlvlaError, match="shows no view of"):
        arm.view_of(replace(camera, fx=1.1 * camera.fx))
