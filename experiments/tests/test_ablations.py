"""experiments/ablations.py: every variant departs from the recipe in one thing and meets it on its own seed."""

import dataclasses
import json
from pathlib import Path

import ablations
import pytest

from rlvla.commands.train_ppo import TrainPpo
from rlvla.recipe import EVALUATION_SEED, WORLD
from rlvla_core.runs import RunDirectory


def settings(command: object) -> dict[str, object]:
    """`group.option` -> value, without where the run lies and what it starts from."""
    fields = dataclasses.asdict(command)  # type: ignore[call-overload]
    groups = {k: v if isinstance(v, dict) else {"": v} for k, v in fields.items() if k not in ("directory", "policy")}
    return {f"{group}.{name}": value for group, options in groups.items() for name, value in options.items()}


@pytest.mark.parametrize("variant", [name for name in ablations.VARIANTS if name != ablations.RECIPE])
def test_a_variant_changes_one_thing(variant: str) -> None:
    """In PPO, in its world or in its warm-up."""
    trained = {
        name: [stage.command for stage in ablations.training_stages(Path("a"), name, 1, 20)[1:]]
        for name in (ablations.RECIPE, variant)
    }
    differences = [
        option
        for ours, theirs in zip(*trained.values(), strict=True)
        for option, value in settings(ours).items()
        if settings(theirs)[option] != value
    ]
    assert len(differences) == 1


def test_the_recipe_comes_first_and_variants_of_a_seed_share_its_warm_up() -> None:
    stages = ablations.chain(Path("a"), ["early-end", "narrow-labels"], [0, 1], 20).stages
    names = [stage.name for stage in stages]
    assert len(set(names)) == len(names)
    by_name = {stage.name: stage.command for stage in stages}
    assert by_name["early-end-1"].policy == by_name["recipe-1"].policy == str(Path("a/warm-up-12-1/policy"))
    assert by_name["narrow-labels-1"].policy == str(Path("a/warm-up-4-1/policy"))
    assert by_name["early-end-0-against-recipe-0"].against == Path("a/recipe-0/policy")
    assert by_name["recipe-0-against-warm-up-12-0"].against == Path("a/warm-up-12-0/policy")
    runs = [command for command in by_name.values() if isinstance(command, TrainPpo)]
    assert {run.ppo.iterations for run in runs} == {20} and {run.ppo.minutes for run in runs} == {0.0}
    compared = [by_name[name] for name in names if "-against-" in name]
    assert len(compared) == 6
    assert {(each.settings.max_steps, each.settings.seed) for each in compared} == {(WORLD.max_steps, EVALUATION_SEED)}


def test_more_variants_do_not_change_what_is_done() -> None:
    """The records of the first call still hold for a second one that names more."""
    few, more = (ablations.chain(Path("a"), names, [0], 20) for names in (["low-rate"], ["early-end", "low-rate"]))
    known = {stage.name: more.fingerprint(stage) for stage in more.stages}
    assert all(known[stage.name] == few.fingerprint(stage) for stage in few.stages)


def test_a_row_tells_of_the_second_half_and_its_cost(tmp_path: Path) -> None:
    journal = RunDirectory.create(tmp_path / "low-rate-0", config={}).journal
    for update, success in enumerate((0.25, 0.25, 0.5, 0.75), start=1):
        journal.append(
            {
                "iteration": update,
                "episodes": 8,
                "env_steps": 320 * update,
                "success_at_end": success,
                "kl": 0.01,
                "seconds": {"total": 30.0},
            }
        )
    found = {"n": 8, "before": {"successes": 2}, "after": {"successes": 4}}
    found |= {"difference": 0.25, "difference95": [-0.1, 0.5], "mcnemar_p": 0.5}
    comparison = tmp_path / "low-rate-0-against-recipe-0" / "comparison.json"
    comparison.parent.mkdir()
    comparison.write_text(json.dumps({"success_at_end": found}))
    row = ablations.result(tmp_path, "low-rate", 0)
    assert (row["late_rollouts"], row["late_episodes"], row["minutes"], row["env_steps"]) == (0.625, 16, 2.0, 1280)
    line = ablations.markdown([row]).splitlines()[-1]
    assert "10/16 = 62.5 %" in line and "4/8 = 50.0 %" in line and "2/8 = 25.0 %" in line and "+25.0 points" in line
