"""Episode sets: the paper's counts, and ids that decode and encode."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlvla_core.errors import RlvlaError
from rlvla_sim.episode_sets import episode_set, set_names
from rlvla_sim.episodes import Digits, cells, position_pairs
from rlvla_sim.shifts.unseen_positions import outer_cells
from rlvla_sim.shifts.unseen_start_pose import start_offsets


def test_counts_are_the_papers() -> None:
    assert len(cells()) == 36
    assert len(position_pairs(cells())) == 784
    assert len(outer_cells()) == 28
    assert len(position_pairs(outer_cells())) == 628
    assert len(start_offsets()) == 14_375
    assert len(episode_set("train")) == 802_816
    assert len(episode_set("test")) == 141_120
    assert len(episode_set("single")) == 784 * 4


def test_cells_lie_where_the_paper_says() -> None:
    x, y = sorted({c[0] for c in cells()}), sorted({c[1] for c in cells()})
    assert x == pytest.approx([-0.235, -0.205, -0.175, -0.145, -0.115, -0.085])
    assert y == pytest.approx([-0.075, -0.045, -0.015, 0.015, 0.045, 0.075])


def test_unseen_positions_are_the_ring_around_the_training_grid() -> None:
    train, ring = episode_set("train"), episode_set("unseen-positions")
    assert not {cell for pair in train.positions for cell in pair} & {cell for pair in ring.positions for cell in pair}
    assert not set(train.yaws) & set(ring.yaws)
    x, y = (sorted({round(cell[axis], 3) for pair in ring.positions for cell in pair}) for axis in (0, 1))
    assert (x[0], x[-1], y[0], y[-1]) == (-0.265, -0.055, -0.105, 0.105)


def test_start_poses_change_nothing_but_the_start_pose() -> None:
    train, disturbed = episode_set("train"), episode_set("unseen-start-pose")
    episode = disturbed.decode(123_456_789)
    plain = train.decode(123_456_789 // len(start_offsets()))
    assert len(episode.joint_offset) == 6
    assert plain.joint_offset == ()
    assert (episode.object, episode.object_xy, episode.receptacle_xy) == (
        plain.object,
        plain.object_xy,
        plain.receptacle_xy,
    )


def test_test_set_shares_neither_objects_nor_tables_with_training() -> None:
    train, test = episode_set("train"), episode_set("test")
    assert not set(train.objects) & set(test.objects)
    assert not set(train.tables) & set(test.tables)


@given(name=st.sampled_from(sorted(set_names())), fraction=st.floats(0, 1, exclude_max=True))
def test_encode_inverts_digits(name: str, fraction: float) -> None:
    episodes = episode_set(name)
    episode_id = int(fraction * len(episodes))
    assert episodes.encode(episodes.digits(episode_id)) == episode_id
    start = episodes.decode(episode_id)
    assert start.episode_id == episode_id
    places = [start.object_xy, start.receptacle_xy]
    places += [start.distractor.xy] if start.distractor else []
    places += [start.move_to] if start.move_to else []
    assert all(math.dist(a, b) > 0.070 for a, b in itertools.combinations(places, 2))


@given(
    name=st.sampled_from(["train", "test", "single", "unseen-positions", "unseen-start-pose"]),
    fraction=st.floats(0, 1, exclude_max=True),
)
def test_ids_of_the_first_sets_mean_what_they_always_did(name: str, fraction: float) -> None:
    """Decoded here by the six digits that there were before any other test: object .. start pose."""
    episodes = episode_set(name)
    lists = (
        episodes.objects,
        episodes.receptacles,
        episodes.tables,
        episodes.positions,
        episodes.yaws,
        episodes.joint_offsets,
    )
    assert math.prod(len(choices) for choices in lists) == len(episodes)
    rest, chosen = int(fraction * len(episodes)), []
    start = episodes.decode(rest)
    for choices in reversed(lists):
        rest, digit = divmod(rest, len(choices))
        chosen.append(choices[digit])
    offset, yaw, (object_xy, receptacle_xy), table, receptacle, thing = chosen
    assert (start.object, start.receptacle, start.table) == (thing, receptacle, table)
    assert (start.object_xy, start.receptacle_xy, start.object_yaw) == (object_xy, receptacle_xy, yaw)
    assert start.joint_offset == offset and start.template == "put {object} on {receptacle}"
    assert (
        start.distractor is None and start.texture_overlay is None and start.texture is None and start.move_to is None
    )


def test_yaw_is_the_lowest_digit_and_object_the_highest() -> None:
    episodes = episode_set("train")
    assert [episodes.decode(i).object_yaw for i in range(4)] == pytest.approx(
        [0, math.pi / 4, math.pi / 2, 3 * math.pi / 4]
    )
    assert episodes.decode(len(episodes) - 1).object == 15
    assert episodes.decode(len(episodes) // 16).object == 1


def test_bad_input_names_the_value() -> None:
    with pytest.raises(RlvlaError, match="802816"):
        episode_set("train").decode(802_816)
    with pytest.raises(RlvlaError, match="trian"):
        episode_set("trian")
    with pytest.raises(RlvlaError, match="radices"):
        episode_set("train").encode(Digits(object=16))
