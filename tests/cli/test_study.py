"""`rlvla study`: what it plans, what it refuses, and a whole study in miniature."""

from dataclasses import replace
from pathlib import Path

import pytest

from rlvla.stages import StageChain
from rlvla.study import StudyDesign, policies, stages, training_minutes
from rlvla_core.errors import RlvlaError

SMALL = StudyDesign(directory=Path("s"), seeds=(0, 1), sft=(1000, 16000))


def test_every_method_starts_from_the_warm_up_of_its_seed_and_takes_every_test() -> None:
    chain = {stage.name: stage for stage in stages(SMALL)}
    methods = ("warm-up", "sft-1000", "sft-16000", "ppo", "grpo", "dpo")
    names = [f"{method}-{seed}" for seed in (0, 1) for method in methods]
    assert [policy.name for policy in policies(SMALL)] == names
    for name in names:
        seed = name[-1]
        command = chain[name].command
        if not name.startswith("warm-up"):
            assert command.policy == str(Path("s") / f"warm-up-{seed}" / "policy")
        tests = chain[f"tests-{name}-T0"]
        assert tests.command.bundle == command.directory / "policy" and tests.needs == (name,)
        assert tests.command.training_seed == int(seed) and tests.command.episodes == 128
    assert chain["ppo-1"].command.ppo.seed == 1 and chain["dpo-1"].command.dpo.seed == 1
    assert all(chain[name].command.sim.episode_set == "train" for name in ("demonstrations-1000", "grpo-0"))
    assert {chain[f"tests-{name}-T0"].command.settings.seed for name in names} == {
        chain["tests-ppo-0-T0"].command.settings.seed
    }
    assert list(chain)[-1].startswith("film-")


@pytest.mark.parametrize(
    ("first", "change"),
    [
        (SMALL, {"seeds": (0, 1, 2)}),
        (SMALL, {"sft": (1000, 16000, 500)}),
        (replace(SMALL, methods=("ppo",)), {"methods": ("ppo", "grpo")}),
        (replace(SMALL, temperatures=(0.0,)), {"temperatures": (0.0, 0.6)}),
    ],
)
def test_what_is_added_leaves_what_is_there_as_it_is(tmp_path: Path, first: StudyDesign, change: dict) -> None:
    def prints(design: StudyDesign) -> dict[str, str]:
        chain = StageChain(stages=stages(design), records=tmp_path)
        return {stage.name: chain.fingerprint(stage) for stage in chain.stages}

    before, after = prints(first), prints(replace(first, **change))
    assert before.items() <= after.items() and len(after) > len(before)


def test_a_gpu_is_for_supervised_runs_alone() -> None:
    """Worlds of a GPU are others than those of a CPU: reinforcement learning would be another experiment there."""
    trainings = {policy.name: policy.command.device for policy in policies(replace(SMALL, sft_device="cuda"))}
    assert {name for name, device in trainings.items() if device == "cuda"} == {
        f"sft-{count}-{seed}" for count in (1000, 16000) for seed in (0, 1)
    }


def test_another_rival_in_the_films_is_another_film() -> None:
    """Or a study that began without supervised candidates would refuse them later: other settings under an old name."""
    without, added = (stages(replace(SMALL, sft=sft)) for sft in ((), (1000,)))
    names = [{stage.name for stage in every if stage.name.startswith("film-")} for every in (without, added)]
    assert all(names) and not names[0] & names[1]
    assert not {stage.output for stage in without[-3:]} & {stage.output for stage in added[-3:]}


@pytest.mark.parametrize("budget", [400.0, 1000.0, 4000.0])
def test_a_budget_is_what_the_stages_add_up_to(budget: float) -> None:
    design = replace(SMALL, budget=budget, sft=(1000,), temperatures=(0.6,))
    assert sum(stage.minutes for stage in stages(design)) == pytest.approx(budget, abs=2.0)
    rl, sft = training_minutes(design)
    assert sft <= design.sft_minutes and rl >= sft


def test_what_it_refuses() -> None:
    bad = [
        ({"budget": 20.0}, r"--budget 20: .* alone take \d+ minutes; give at least \d+"),
        ({"tests": ("unseen-planets",)}, "unknown test `unseen-planets`: use one of unseen-tables"),
        ({"seeds": ()}, "--seeds is empty"),
        ({"sft": (100, 100)}, "--sft 100 100 has a value twice"),
        ({"sft": (0,)}, "--sft 0: at least one"),
    ]
    for change, line in bad:
        with pytest.raises(RlvlaError, match=line):
            stages(replace(SMALL, **change))  # type: ignore[arg-type]
    least = StudyDesign(seeds=(0,), methods=("ppo",), sft=(), temperatures=(0.0,), budget=30.0)
    assert training_minutes(least)[0] > 1.0
