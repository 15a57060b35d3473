"""The sixteen tests as grids: the paper's counts, what changes against training, and what the released code did."""

import math
import sys
from pathlib import Path

import pytest

from rlvla_core.errors import RlvlaError
from rlvla_sim import shifts as package
from rlvla_sim.config import WorldConfig
from rlvla_sim.episode_sets import episode_set, set_names
from rlvla_sim.episodes import Digits, EpisodeSet, cells
from rlvla_sim.shifts import shifts
from rlvla_sim.shifts.triples import far_object_triples, far_receptacle_triples

PAPER = {
    "unseen-tables": ("vision", 16 * 5 * 784 * 4),
    "dynamic-texture-weak": ("vision", 16 * 16 * 16 * 784 * 4),
    "dynamic-texture-strong": ("vision", 16 * 16 * 16 * 784 * 4),
    "dynamic-noise-weak": ("vision", 16 * 16 * 16 * 784 * 4),
    "dynamic-noise-strong": ("vision", 16 * 16 * 16 * 784 * 4),
    "in-distribution": ("in-distribution", 802_816),
    "unseen-objects": ("semantics", 9 * 16 * 784 * 4),
    "unseen-receptacles": ("semantics", 16 * 16 * 16 * 784 * 4),
    "unseen-instructions": ("semantics", 16 * 16 * 16 * 784 * 4),
    "multi-object-seen": ("semantics", 16 * 15 * 16 * 2104 * 4),
    "multi-object-unseen": ("semantics", 9 * 8 * 16 * 2104 * 4),
    "distractor-receptacle": ("semantics", 16 * 16 * 16 * 2104 * 4),
    "multi-receptacle": ("semantics", 16 * 16 * 15 * 16 * 2104 * 4),
    "unseen-positions": ("execution", 16 * 16 * 628 * 4),
    "unseen-start-pose": ("execution", 802_816 * 14_375),
    "moved-object": ("execution", 16 * 16 * 2104 * 4),
}
"""The paper's table in its order: axis, and number of episodes from its counts."""

RELEASED_OTHERWISE = {
    "dynamic-texture-weak",
    "dynamic-texture-strong",
    "multi-object-unseen",
    "distractor-receptacle",
    "multi-receptacle",
}


def test_the_tests_are_the_papers_in_its_order() -> None:
    assert [shift.number for shift in shifts()] == list(range(1, 17))
    assert {shift.name: (shift.axis, len(episode_set(shift.name))) for shift in shifts()} == PAPER
    assert [shift.name for shift in shifts()] == list(PAPER)
    assert all(episode_set(name).name == name for name in set_names())
    assert all("\n" not in shift.summary and len(shift.summary) < 120 for shift in shifts())


def test_a_test_changes_nothing_but_what_its_shift_names() -> None:
    train = episode_set("train")
    for shift in shifts():
        grid = episode_set(shift.name)
        differing = {name for name in EpisodeSet.__slots__ if getattr(grid, name) != getattr(train, name)} - {"name"}
        assert differing == set(shift.change)


def test_unseen_things_are_none_of_training() -> None:
    train = episode_set("train")
    for name, part, count in (
        ("unseen-tables", "tables", 5),
        ("unseen-objects", "objects", 9),
        ("unseen-receptacles", "receptacles", 16),
        ("multi-object-unseen", "objects", 9),
        ("multi-receptacle", "receptacles", 16),
        ("unseen-instructions", "templates", 16),
    ):
        there = getattr(episode_set(name), part)
        assert len(set(there)) == len(there) == count
        assert not set(there) & set(getattr(train, part))


def test_every_sentence_names_object_and_receptacle() -> None:
    grid = episode_set("unseen-instructions")
    sentences = [
        grid.decode(grid.encode(Digits(template=i))).instruction("KIWI", "TRAY") for i in range(grid.radices.template)
    ]
    assert len(set(sentences)) == 16
    assert all(s.count("KIWI") == 1 and s.count("TRAY") == 1 and "{" not in s for s in sentences)
    assert sentences[0] == "Place the KIWI on the TRAY" and sentences[15] == "the KIWI should be placed on the TRAY."


def test_triples_are_those_that_do_not_depend_on_rounding_and_some_that_do() -> None:
    """In whole pitches of 3 cm: 0.07 m is no multiple of anything there, 0.15 m is exactly five."""
    place = {cell: divmod(index, 6) for index, cell in enumerate(cells())}

    def squared(a: tuple[int, int], b: tuple[int, int]) -> int:
        return (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2

    def apart(a: tuple[int, int], b: tuple[int, int]) -> bool:
        return 0.03**2 * squared(a, b) > 0.07**2

    every = list(place.values())
    certain = {
        (a, b, c) for a in every for b in every if apart(a, b) for c in every if apart(c, b) and squared(a, c) > 25
    }
    kept = [tuple(place[cell] for cell in triple) for triple in far_object_triples()]
    assert len(kept) == len(set(kept)) == 2104
    assert len(certain) == 1896 and certain <= set(kept)
    for first, middle, last in set(kept) - certain:
        assert squared(first, last) == 25 and apart(first, middle) and apart(last, middle)
    swapped = {(middle, first, last) for first, middle, last in far_object_triples()}
    assert swapped == set(far_receptacle_triples()) and len(far_receptacle_triples()) == 2104


@pytest.mark.parametrize("name", ["multi-object-seen", "multi-object-unseen", "moved-object"])
def test_the_third_place_is_far_from_the_object(name: str) -> None:
    grid = episode_set(name)
    for index in range(0, 2104, 7):
        start = grid.decode(grid.encode(Digits(places=index, yaw=1)))
        third = start.move_to if start.distractor is None else start.distractor.xy
        assert third is not None and math.dist(start.object_xy, third) > 0.15 - 1e-9
        assert start.distractor is None or start.distractor.yaw == start.object_yaw


def distractors_fit(name: str, as_released: bool = False) -> list[bool]:
    """Of every choice of a target and its distractor: whether they are two."""
    grid = episode_set(name, as_released)
    choices = grid.radices
    starts = [
        grid.decode(grid.encode(Digits(object=thing, receptacle=place, distractor=other)))
        for thing in range(choices.object)
        for place in range(choices.receptacle)
        for other in range(choices.distractor)
    ]
    pairs = {
        (start.object, start.receptacle, start.distractor.kind, start.distractor.index)
        for start in starts
        if start.distractor
    }
    assert len(pairs) == sum(start.distractor is not None for start in starts)
    for thing, place, kind, index in pairs:
        assert index != (thing if kind == "object" else place)
    return [start.distractor is not None for start in starts]


@pytest.mark.parametrize(
    "name", ["multi-object-seen", "multi-object-unseen", "distractor-receptacle", "multi-receptacle"]
)
def test_a_distractor_is_never_the_target_and_every_other_one_is_there(name: str) -> None:
    assert all(distractors_fit(name))


def test_as_released_an_eighth_of_the_unseen_pairs_is_one_object_alone() -> None:
    alone = distractors_fit("multi-object-unseen", as_released=True)
    assert len(alone) == 72 and alone.count(False) == 9
    grid = episode_set("multi-object-unseen", as_released=True)
    third = grid.positions[123][2]
    starts = [grid.decode(grid.encode(Digits(distractor=i, places=123))) for i in range(8)]
    assert [start.object_xy == third for start in starts] == [start.distractor is None for start in starts]


def test_as_released_grids_have_another_name_where_they_differ_and_only_there() -> None:
    for name in set_names():
        ours = WorldConfig(episode_set=name).episodes
        theirs = WorldConfig(episode_set=name, as_released=True).episodes
        if name in RELEASED_OTHERWISE:
            assert theirs.name == f"{name}/as-released" and theirs != ours
        else:
            assert theirs == ours
    for name in ("distractor-receptacle", "multi-receptacle"):
        assert episode_set(name, True).tables == tuple(range(21)) and episode_set(name).tables == tuple(range(16))


def test_shifts_combine_unless_they_change_the_same_thing() -> None:
    both = episode_set("dynamic-noise-weak+unseen-tables")
    assert both.name == "unseen-tables+dynamic-noise-weak"
    assert (
        both.tables == episode_set("unseen-tables").tables
        and both.texture_overlay == episode_set("dynamic-noise-weak").texture_overlay
    )
    assert episode_set("unseen-objects+unseen-tables").decode(77) == episode_set("test").decode(77)
    with pytest.raises(RlvlaError, match=r"`moved-object` and `multi-object-seen` both change positions"):
        episode_set("multi-object-seen+moved-object")
    with pytest.raises(RlvlaError, match="lacks a distractor"):
        episode_set("unseen-objects+multi-object-seen")
    with pytest.raises(RlvlaError, match="unknown episode set `unseen-smells`"):
        episode_set("unseen-tables+unseen-smells")


def test_a_seventeenth_test_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "one_table.py").write_text(
        "from rlvla_sim.shifts.shift import Change, Shift\n"
        "SHIFTS = (Shift(name='one-table', number=17, axis='vision', summary='one', change=Change(tables=(3,))),)\n"
    )
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    caches = (shifts, episode_set)
    try:
        for cache in caches:
            cache.cache_clear()
        assert [shift.name for shift in shifts()] == [*PAPER, "one-table"]
        assert len(WorldConfig(episode_set="one-table").episodes) == 802_816 // 16
        (tmp_path / "another.py").write_text((tmp_path / "one_table.py").read_text())
        shifts.cache_clear()
        with pytest.raises(RlvlaError, match="two shifts have the same name one-table"):
            shifts()
    finally:
        for cache in caches:
            cache.cache_clear()
        for name in ("one_table", "another"):
            sys.modules.pop(f"rlvla_sim.shifts.{name}", None)
