"""Episode lists of the tests: the same everywhere, drawn like every list, and refused once their set has changed."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from rlvla_core.errors import RlvlaError
from rlvla_core.evaluation import EpisodeList
from rlvla_sim import WorldConfig
from rlvla_sim.episode_sets import episode_set
from rlvla_sim.ood_episodes import DATA, KEPT, add_missing_lists, check_unchanged, digest, ood_episodes
from rlvla_sim.shifts import shifts
from rlvla_sim.vec_env import env_spec

NAMES = [shift.name for shift in shifts()]


@pytest.mark.parametrize("name", NAMES)
def test_a_list_is_a_prefix_of_what_anyone_would_draw(name: str) -> None:
    whole, part = ood_episodes(name, KEPT), ood_episodes(name)
    assert len(whole) == 256 and len(part) == 128
    assert part.ids == whole.ids[:128]
    assert ood_episodes(name, 7) == EpisodeList.draw(env_spec(WorldConfig(episode_set=name)), 7, seed=0)


def test_lists_of_the_released_mistakes_cannot_be_mixed_with_ours() -> None:
    ours, theirs = (ood_episodes("dynamic-texture-strong", 64, as_released=released) for released in (False, True))
    assert theirs.episode_set == "dynamic-texture-strong/as-released"
    with pytest.raises(RlvlaError, match="two episode lists"):
        ours.require_same(theirs)
    assert ood_episodes("unseen-tables", 64, as_released=True) == ood_episodes("unseen-tables", 64)


def test_in_distribution_is_the_training_episodes() -> None:
    drawn = EpisodeList.draw(env_spec(WorldConfig()), 128, seed=0)
    assert ood_episodes("in-distribution").ids == drawn.ids
    assert digest(episode_set("in-distribution")) == digest(episode_set("train"))


def test_the_file_can_be_made_again_and_grows_only_by_new_tests(tmp_path: Path) -> None:
    path = tmp_path / "again.json"
    assert len(add_missing_lists(path)) == 16 + 5
    assert path.read_bytes() == DATA.read_bytes()
    lists = json.loads(path.read_text())
    del lists["moved-object"]
    path.write_text(json.dumps(lists))
    assert add_missing_lists(path) == ["moved-object"]
    assert json.loads(path.read_text()) == json.loads(DATA.read_text())


def test_a_changed_grid_is_refused() -> None:
    episodes = episode_set("unseen-tables")
    kept = json.loads(DATA.read_text())[episodes.name]
    check_unchanged(episodes, kept)
    reordered = replace(episodes, tables=episodes.tables[::-1])
    fewer = replace(episodes, tables=episodes.tables[:-1])
    nudged = replace(episodes, yaws=(episodes.yaws[0] + 1e-6, *episodes.yaws[1:]))
    for changed in (reordered, fewer, nudged):
        with pytest.raises(RlvlaError, match="`unseen-tables` has changed") as error:
            check_unchanged(changed, kept)
        assert "\n" not in str(error.value)
    rounded = replace(episodes, yaws=(episodes.yaws[0] + 1e-12, *episodes.yaws[1:]))
    assert digest(rounded) == digest(episodes)
    assert len({digest(episode_set(name)) for name in NAMES}) == 16


@pytest.mark.parametrize(
    ("name", "n", "says"),
    [
        ("unseen-tables", 257, r"257 episodes of the list of `unseen-tables`: use 1 \.\. 256"),
        ("unseen-tables", 0, r"0 episodes of the list"),
        ("train", 5, "no list of episodes of `train`"),
        ("unseen-smells", 5, "unknown episode set `unseen-smells`"),
    ],
)
def test_bad_calls_are_one_line(name: str, n: int, says: str) -> None:
    with pytest.raises(RlvlaError, match=says) as error:
        ood_episodes(name, n)
    assert "\n" not in str(error.value)
