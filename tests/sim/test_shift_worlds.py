"""The sixteen tests as worlds: what is seen, what stands where, what is moved, and that ids stay ids."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from rlvla_sim import WorldConfig, make_env
from rlvla_sim.camera_renderer import shrunk
from rlvla_sim.episode_sets import episode_set
from rlvla_sim.ood_episodes import ood_episodes
from rlvla_sim.physics import TABLE_HEIGHT
from rlvla_sim.shifts import shifts
from rlvla_sim.vec_env import CpuVecEnv
from rlvla_sim.world import STATE_DIM, STATE_SLICES

NAMES = [shift.name for shift in shifts()]
SMALL = {"image_width": 32, "image_height": 24}
DOWN = torch.tensor([0.01, 0.0, -0.01, 0.0, 0.0, 0.05, 1.0])


def worlds(config: WorldConfig, ids: Sequence[int]) -> tuple[CpuVecEnv, torch.Tensor]:
    """A vector environment with these episodes started, and the first images."""
    env = make_env(config, len(ids))
    assert isinstance(env, CpuVecEnv)
    return env, env.reset(torch.tensor(ids)).images


def play(config: WorldConfig, ids: Sequence[int], steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images [T, N, H, W, 3] and states [T, N, S] of steps towards the table."""
    env, images = worlds(config, ids)
    seen = [env.step(DOWN.expand(len(ids), -1)).observation for _ in range(steps)]
    states = [observation.state for observation in seen if observation.state is not None]
    assert all(state.shape == (len(ids), STATE_DIM) for state in states)
    return torch.stack([images, *(observation.images for observation in seen)]), torch.stack(states)


def swept(config: WorldConfig, ids: Sequence[int], speeds: Sequence[float]) -> torch.Tensor:
    """Images [T, N, H, W, 3] while each arm goes sideways by this many metres a step."""
    env, images = worlds(config, ids)
    actions = torch.zeros(len(ids), 7)
    actions[:, 1], actions[:, 6] = torch.tensor(speeds), 1.0
    return torch.stack([images, *(env.step(actions).observation.images for _ in range(8))])


@pytest.mark.parametrize("name", NAMES)
def test_an_id_is_one_world_whatever_stands_beside_it(name: str) -> None:
    config = WorldConfig(episode_set=name, **SMALL)
    a, b, c = ood_episodes(name, 3).ids
    first = play(config, [a, b], 7)
    again = play(config, [c, a], 7)
    for one, other in zip(first, again, strict=True):
        assert torch.equal(one[:, 0], other[:, 1])
    assert not torch.equal(first[0][:, 0], first[0][:, 1])


def clean_twin(name: str, episode_id: int) -> int:
    """The id in `train` of the same start without its texture."""
    return episode_set("train").encode(episode_set(name).digits(episode_id)._replace(texture=0))


@pytest.mark.parametrize(("width", "height", "scale"), [(64, 64, 2), (96, 40, 1), (640, 480, 1)])
@pytest.mark.parametrize("name", ["dynamic-texture-weak", "dynamic-texture-strong"])
def test_a_texture_covers_robot_and_objects_and_nothing_else(name: str, width: int, height: int, scale: int) -> None:
    size = {"image_width": width, "image_height": height, "supersampling": scale}
    opacity = 0.3 if name.endswith("weak") else 0.5
    (episode_id,) = ood_episodes(name, 1).ids
    _, (clean,) = worlds(WorldConfig(**size), [clean_twin(name, episode_id)])
    env, (image,) = worlds(WorldConfig(episode_set=name, **size), [episode_id])
    world = env.worlds[0]
    _, alpha = shrunk(world.renderer.render(), height)
    rows, columns = (np.flatnonzero((alpha[..., 0] > 0).any(axis)) for axis in (1, 0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    texture = torch.tensor(world.assets.textures[world.episode.texture or 0].image(width, height)).float()
    pattern = torch.nn.functional.interpolate(
        texture.permute(2, 0, 1)[None], size=(rows[-1] + 1 - rows[0], columns[-1] + 1 - columns[0]), mode="bilinear"
    )[0].permute(1, 2, 0)
    outside, inside = alpha[..., 0] == 0, (alpha[..., 0] == 1)[box]
    assert torch.equal(image[outside], clean[outside])
    expected = opacity * pattern + (1 - opacity) * clean[box].float()
    assert inside.sum() > 40 and (image[box].float() - expected).abs()[inside].max() < 1.5


@pytest.mark.parametrize(("width", "height"), [(64, 64), (640, 480)])
def test_strong_noise_is_the_mean_of_the_clean_image_and_a_window(width: int, height: int) -> None:
    size = {"image_width": width, "image_height": height}
    (episode_id,) = ood_episodes("dynamic-noise-strong", 1).ids
    _, (clean,) = worlds(WorldConfig(**size), [clean_twin("dynamic-noise-strong", episode_id)])
    env, (strong,) = worlds(WorldConfig(episode_set="dynamic-noise-strong", **size), [episode_id])
    _, (weak,) = worlds(WorldConfig(episode_set="dynamic-noise-weak", **size), [episode_id])
    world = env.worlds[0]
    texture = torch.tensor(world.assets.textures[world.episode.texture or 0].image(2 * width, 2 * height)).float()
    _, alpha = shrunk(world.renderer.render(), height)
    rows, columns = (np.flatnonzero((alpha[..., 0] > 0).any(axis)) for axis in (1, 0))
    top, left = (rows[0] + rows[-1] + 1) // 2, (columns[0] + columns[-1] + 1) // 2
    window = texture[top : top + height, left : left + width]
    assert (strong.float() - (clean.float() + window) / 2).abs().max() <= 1.0
    assert (weak.float() - (0.7 * clean.float() + 0.3 * window)).abs().max() <= 1.0


def test_the_noise_moves_with_the_arm() -> None:
    """In a corner far from the arm the clean image stands still; with noise it does not."""
    (episode_id,) = ood_episodes("dynamic-noise-strong", 1).ids
    corner = np.s_[:, 0, 56:, 40:]
    still = swept(WorldConfig(), [clean_twin("dynamic-noise-strong", episode_id)], [0.04])[corner]
    noisy = swept(WorldConfig(episode_set="dynamic-noise-strong"), [episode_id], [0.04])[corner]
    assert torch.equal(still[0], still[-1]) and not torch.equal(noisy[0], noisy[-1])


@pytest.mark.parametrize("as_released", [False, True])
def test_a_texture_depends_on_the_neighbours_arm_only_as_released(as_released: bool) -> None:
    name = "dynamic-texture-strong"
    config = WorldConfig(episode_set=name, as_released=as_released)
    ids = ood_episodes(name, 2).ids
    left, right = (swept(config, ids, [0.0, speed])[:, 0] for speed in (-0.04, 0.04))
    assert torch.equal(left[0], right[0])
    assert torch.equal(left[-1], right[-1]) is not as_released


def test_as_released_a_world_alone_is_coupled_to_itself() -> None:
    ids = ood_episodes("dynamic-texture-strong", 1).ids
    ours, theirs = (
        swept(WorldConfig(episode_set="dynamic-texture-strong", as_released=released), ids, [0.04])
        for released in (False, True)
    )
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    "name", ["multi-object-seen", "multi-object-unseen", "distractor-receptacle", "multi-receptacle"]
)
def test_the_second_body_is_seen_stands_at_its_place_and_is_not_in_the_state(name: str) -> None:
    config = WorldConfig(episode_set=name)
    env, images = worlds(config, ood_episodes(name, 4).ids)
    for world, image in zip(env.worlds, images, strict=True):
        distractor = world.episode.distractor
        assert distractor is not None and len(world.bodies) == 3
        assert world.bodies[2].entity.pose.p[:2] == pytest.approx(distractor.xy, abs=0.01)
        pose = world.bodies[2].entity.pose
        pose.p = [*pose.p[:2], pose.p[2] - 1.0]
        before = world.state()
        world.bodies[2].entity.set_pose(pose)
        assert np.array_equal(world.state(), before)
        assert np.abs(world.image().astype(int) - image.numpy()).max() > 30, "it leaves a hole"


def test_the_object_is_dropped_elsewhere_after_step_five() -> None:
    config = WorldConfig(episode_set="moved-object", **SMALL)
    grid = config.episodes
    start = grid.decode(ood_episodes("moved-object", 1).ids[0])
    assert start.move_to is not None
    env, _ = worlds(config, [start.episode_id])
    world, still = env.worlds[0], torch.tensor([[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]])
    places, targets = [], []
    for _ in range(12):
        state = env.step(still).observation.state
        assert state is not None and state[0, STATE_SLICES["object_position"]].isfinite().all()
        places.append(world.object_body.entity.pose.p)
        targets.append([float(joint.drive_target[0]) for joint in world.physics.arm_joints])
    # The base frame has moved with it: the state says the same as the simulator.
    assert places[3][:2] == pytest.approx(start.object_xy, abs=0.01)
    assert places[4][:2] == pytest.approx(start.move_to, abs=0.01)
    # A tenth of a second of free fall from z = 1 m.
    assert places[4][2] == pytest.approx(1.0 - 0.5 * 9.81 * 0.1**2, abs=0.006)
    assert places[11][:2] == pytest.approx(start.move_to, abs=0.05)
    assert places[11][2] < TABLE_HEIGHT + 0.06
    assert np.ptp(targets, axis=0).max() == 0.0
    assert world.steps == 12 and world.physics.forces_on(world.object_body), "it lies on something"


def test_a_move_is_no_reason_to_forget_a_grasp() -> None:
    """Flags that were latched stay, what holds now is asked of the world after the move."""
    env, _ = worlds(WorldConfig(episode_set="moved-object", **SMALL), ood_episodes("moved-object", 1).ids)
    for _ in range(4):
        env.step(DOWN[None])
    env.worlds[0].grasped = True
    info = env.step(DOWN[None]).info
    assert info["grasped"].item() and not info["grasped_now"].item()
