"""The episodes that every method and every machine runs for a test: drawn once, kept as data.

    python -m rlvla_sim.ood_episodes

adds lists for the tests that have none yet (a new shift). A list that is there is never drawn again: where a grid has
changed, its ids mean other worlds, and results of before and after must not meet under one name.
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
FROZEN = 256
"""Episodes kept of each test."""
DATA = Path(__file__).parent / "data" / f"tests_v{VERSION}.json"
"""Grid name -> `size` and `digest` of the grid, and `ids`."""


def frozen_episodes(test: str, n: int = 128, *, as_released: bool = False) -> EpisodeList:
    """The first n episodes of a test; a shorter list is the start of a longer one.

    `as_released`: of the grid with the mistakes of the paper's released code (`WorldConfig.as_released`).
    Raises RlvlaError for a test without a list, for n outside 1 .. 256, and where the grid is not the one that the
    list was drawn from.
    """
    grid = episode_set(test, as_released)
    lists = read_json(DATA, "install rlvla again")
    if grid.name not in lists:
        raise RlvlaError(
            f"no frozen episodes of `{grid.name}`: use one of {', '.join(lists)}, "
            "or add a new test's with `python -m rlvla_sim.ood_episodes`"
        )
    if not 1 <= n <= FROZEN:
        raise RlvlaError(f"{n} frozen episodes of `{grid.name}`: use 1 .. {FROZEN}")
    kept = lists[grid.name]
    check_unchanged(grid, kept)
    return EpisodeList(episode_set=grid.name, num_episodes=len(grid), ids=tuple(kept["ids"][:n]))


def check_unchanged(grid: EpisodeSet, kept: dict[str, Any]) -> None:
    """Raise RlvlaError unless the grid has the size and content that a list was drawn from."""
    if (len(grid), digest(grid)) != (kept["size"], kept["digest"]):
        raise RlvlaError(
            f"the grid `{grid.name}` has changed since its episodes were frozen (from {kept['size']} to {len(grid)}, "
            f"digest from {kept['digest'][:8]} to {digest(grid)[:8]}): undo that, or give the new grid a new name"
        )


def digest(grid: EpisodeSet) -> str:
    """SHA-256 of what ids mean: every field that is not at its default, but not the name. Numbers count to a nanometre,
    so that no rounding of a machine's arithmetic matters."""
    default = {field.name: field.default for field in fields(grid)}
    content = {name: value for name, value in asdict(grid).items() if name != "name" and value != default[name]}
    return hashlib.sha256(json.dumps(_rounded(content), sort_keys=True).encode()).hexdigest()


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_rounded(item) for item in value]
    return round(value, 9) + 0.0 if isinstance(value, float) else value


def freeze(path: Path) -> list[str]:
    """Draw the lists that a file lacks and write it; returns the names of the new ones.

    Raises RlvlaError where the grid of a list that is there has changed.
    """
    from rlvla_sim.vec_env import env_spec

    lists = read_json(path, "remove it to draw all lists again") if path.is_file() else {}
    added = []
    for as_released in (False, True):
        for shift in shifts():
            grid = episode_set(shift.name, as_released)
            if grid.name in lists:
                check_unchanged(grid, lists[grid.name])
                continue
            spec = env_spec(WorldConfig(episode_set=shift.name, as_released=as_released))
            drawn = EpisodeList.draw(spec, FROZEN)
            lists[grid.name] = {"size": len(grid), "digest": digest(grid), "ids": drawn.ids}
            added.append(grid.name)
    lines = [f" {json.dumps(name)}: {json.dumps(kept)}" for name, kept in lists.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    return added


def main() -> int:
    """Add what is missing and say so."""
    added = freeze(DATA)
    print(f"{DATA.name}: {', '.join(added) or 'nothing to add'}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RlvlaError as error:
        sys.exit(f"error: {error}")
