"""The episodes of the out-of-distribution tests, the same for every method and machine: drawn once, kept as data.

    python -m rlvla_sim.ood_episodes

adds lists for the tests that have none yet (a new shift). An existing list is never drawn again: where an episode set
has changed, its ids mean other starts, and results from before and after must not share one name.
"""

import hashlib
import json
import sys
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from rlvla_core.errors import RlvlaError
from rlvla_core.evaluation.episode_list import EpisodeList
from rlvla_core.storage.json_files import read_json
from rlvla_sim.config import WorldConfig
from rlvla_sim.episode_sets import episode_set
from rlvla_sim.episodes import EpisodeSet
from rlvla_sim.shifts import shifts

VERSION = 1
KEPT = 256
"""Number of episodes in the list of each test."""
DATA = Path(__file__).parent / "data" / f"tests_v{VERSION}.json"
"""Name of an episode set -> its `size` and `digest`, and the `ids` of its list."""


DIGEST_NAMES = {"texture_overlay": "veil", "opacity": "share", "image": "picture", "distractor_rule": "companion"}
"""Names in the code -> names in the digests of version 1 of the file, which stay when the code is renamed."""


def ood_episodes(test: str, n: int = 128, *, as_released: bool = False) -> EpisodeList:
    """The first n episodes of a test's fixed list; a shorter list is the start of a longer one.

    `as_released`: of the episode set with the mistakes of the paper's released code (`WorldConfig.as_released`).
    Raises RlvlaError for a test without a list, for n outside 1 .. 256, and where the episode set has changed since the
    list was drawn.
    """
    episodes = episode_set(test, as_released)
    lists = read_json(DATA, "install rlvla again")
    if episodes.name not in lists:
        raise RlvlaError(
            f"no list of episodes of `{episodes.name}`: use one of {', '.join(lists)}, "
            "or add a new test's with `python -m rlvla_sim.ood_episodes`"
        )
    if not 1 <= n <= KEPT:
        raise RlvlaError(f"{n} episodes of the list of `{episodes.name}`: use 1 .. {KEPT}")
    kept = lists[episodes.name]
    check_unchanged(episodes, kept)
    return EpisodeList(episode_set=episodes.name, num_episodes=len(episodes), ids=tuple(kept["ids"][:n]))


def check_unchanged(episodes: EpisodeSet, kept: dict[str, Any]) -> None:
    """Raise RlvlaError unless the episode set has the size and content that the list `kept` was drawn from."""
    if (len(episodes), digest(episodes)) != (kept["size"], kept["digest"]):
        raise RlvlaError(
            f"the episode set `{episodes.name}` has changed since its list was drawn (from {kept['size']} to "
            f"{len(episodes)} episodes, digest from {kept['digest'][:8]} to {digest(episodes)[:8]}): undo that, or "
            "give the new set a new name"
        )


def digest(episodes: EpisodeSet) -> str:
    """SHA-256 of what the ids of an episode set mean: every field that is not at its default, except the name.

    Numbers are rounded to 1e-9 (a nanometre), so that a machine's rounding does not matter.
    """
    default = {field.name: field.default for field in fields(episodes)}
    content = {name: value for name, value in asdict(episodes).items() if name != "name" and value != default[name]}
    return hashlib.sha256(json.dumps(_rounded(content), sort_keys=True).encode()).hexdigest()


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {DIGEST_NAMES.get(key, key): _rounded(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_rounded(item) for item in value]
    if isinstance(value, str):
        return DIGEST_NAMES.get(value, value)
    return round(value, 9) + 0.0 if isinstance(value, float) else value


def add_missing_lists(path: Path) -> list[str]:
    """Draw the lists that the file at `path` lacks and write it; returns the names of the new ones.

    Raises RlvlaError where the episode set of an existing list has changed.
    """
    from rlvla_sim.vec_env import env_spec

    lists = read_json(path, "remove it to draw all lists again") if path.is_file() else {}
    added = []
    for as_released in (False, True):
        for shift in shifts():
            episodes = episode_set(shift.name, as_released)
            if episodes.name in lists:
                check_unchanged(episodes, lists[episodes.name])
                continue
            spec = env_spec(WorldConfig(episode_set=shift.name, as_released=as_released))
            drawn = EpisodeList.draw(spec, KEPT)
            lists[episodes.name] = {"size": len(episodes), "digest": digest(episodes), "ids": drawn.ids}
            added.append(episodes.name)
    lines = [f" {json.dumps(name)}: {json.dumps(kept)}" for name, kept in lists.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    return added


def main() -> int:
    """Add the missing lists and print their names."""
    added = add_missing_lists(DATA)
    print(f"{DATA.name}: {', '.join(added) or 'nothing to add'}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RlvlaError as error:
        sys.exit(f"error: {error}")
