"""experiments/two_round_average.py: every round starts from the one before, by the recipe, and is judged at the end."""

from dataclasses import replace
from pathlib import Path

import two_round_average

from rlvla.commands.evaluate import Evaluate
from rlvla.commands.merge import Merge
from rlvla.commands.train_ppo import TrainPpo
from rlvla.recipe import WORLD, ppo_recipe


def commands(*updates: int) -> dict[str, object]:
    stages = two_round_average.chain(Path("n"), updates, 1000, 12.0, 256).stages
    assert len({stage.name for stage in stages}) == len(stages)
    return {stage.name: stage.command for stage in stages}


def test_a_round_is_two_runs_and_their_mean_and_the_next_goes_on_from_it() -> None:
    found = commands(88, 55, 39)
    runs = {name: command for name, command in found.items() if isinstance(command, TrainPpo)}
    starts = {name: Path(run.policy).parent.name for name, run in runs.items()}
    assert starts == {
        "ppo": "warm-up",
        "round-1-seed-21": "ppo",
        "round-1-seed-22": "ppo",
        "round-2-seed-23": "round-1",
        "round-2-seed-24": "round-1",
    }
    assert [run.ppo.iterations for run in runs.values()] == [88, 55, 55, 39, 39]
    means = {name: command.bundles for name, command in found.items() if isinstance(command, Merge)}
    assert {name: [path.parent.name for path in paths] for name, paths in means.items()} == {
        "round-1": ["round-1-seed-21", "round-1-seed-22"],
        "round-2": ["round-2-seed-23", "round-2-seed-24"],
    }


def test_every_run_is_the_recipe_but_for_its_length_and_its_mean_of_weights() -> None:
    for run in (command for command in commands(2, 2).values() if isinstance(command, TrainPpo)):
        recipe = ppo_recipe(run.ppo.seed, minutes=0.0)
        assert replace(run.ppo, average_fraction=recipe.average_fraction, iterations=recipe.iterations) == recipe
        assert run.sim == WORLD


def test_the_last_mean_meets_the_warm_up_on_every_list_and_shift() -> None:
    compared = [command for command in commands(88, 55, 39).values() if isinstance(command, Evaluate)]
    assert {(each.bundle.parent.name, each.against.parent.name) for each in compared} == {("round-2", "warm-up")}
    lists = [(each.episode_set, each.settings.seed, each.temperature) for each in compared]
    assert len(lists) == len(set(lists)) == 10
    assert {each.settings.max_steps for each in compared} == {WORLD.max_steps}


def test_the_table_counts_the_lists_of_the_training_grid_together() -> None:
    def row(episode_set: str, after: int, temperature: float) -> dict[str, object]:
        metric = {"n": 8, "before": {"successes": 2}, "after": {"successes": after}}
        metric |= {"difference": 0.25, "difference95": [-0.1, 0.5], "mcnemar_p": 0.5}
        comparison = {"success_at_end": metric, "success_once": metric}
        return {"set": episode_set, "seed": 1, "T": temperature, "comparison": comparison}

    rows = [row("train", 4, 0.0), row("train", 8, 0.0), row("unseen-positions", 1, 0.0), row("train", 7, 0.6)]
    table = two_round_average.markdown(rows)
    assert "All lists, T = 0, success at end: 12/16 = 75.0 %" in table
    assert "All lists, T = 0.6, success once: 7/8 = 87.5 %" in table
    assert "| unseen-positions | 1 | 0.0 | success at end | 2/8 = 25.0 % [" in table
