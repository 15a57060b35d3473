"""benchmarks/win.py: its stages are one chain, and the episodes that it compares on are nobody's training."""

import importlib.util
from pathlib import Path

from rlvla.recipe import EVALUATION_SEED

FILE = Path(__file__).parents[2] / "benchmarks" / "win.py"


def test_stages_build_on_each_other_and_compare_on_one_list():
    spec = importlib.util.spec_from_file_location("win", FILE)
    assert spec is not None and spec.loader is not None
    win = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(win)
    stages = win.chain(Path("w"), [0, 1], 10.0, [1000]).stages
    assert len({stage.name for stage in stages}) == len(stages)
    by_name = {stage.name: stage.command for stage in stages}
    assert by_name["warm-up-1"].data == by_name["demonstrations-140"].directory
    assert Path(by_name["ppo-1"].policy) == by_name["warm-up-1"].directory / "policy"
    comparisons = [stage.command for stage in stages if stage.output.name == "comparison.json"]
    assert len(comparisons) == 3 * len(win.SETS) * len(win.TEMPERATURES)
    assert {command.seed for command in comparisons} == {EVALUATION_SEED}
    assert {command.episodes for command in comparisons} == {win.EPISODES}
    assert all(by_name[name].sim.episode_set == "train" for name in ("demonstrations-140", "ppo-0", "ppo-1"))
