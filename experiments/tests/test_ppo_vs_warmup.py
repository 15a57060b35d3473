"""experiments/ppo_vs_warmup.py: one chain of stages, which compares on episodes that no training used."""

from pathlib import Path

import ppo_vs_warmup
from policy_comparison import EPISODES

from rlvla.recipe import EVALUATION_SEED
from rlvla.stages import StageChain
from rlvla.study import StudyDesign, stages


def test_the_trainings_of_a_study_are_not_made_again(tmp_path: Path) -> None:
    """The same records in the same folder: stage by stage, the settings are those of the study."""
    design = StudyDesign(directory=tmp_path, methods=("ppo",), sft=(), rl_minutes=10.0, temperatures=(0.0,))
    study = StageChain(stages=stages(design), records=tmp_path)
    comparisons = ppo_vs_warmup.chain(tmp_path, [0, 1], 10.0, [], ["train"])
    of_study, of_script = ({s.name: chain.fingerprint(s) for s in chain.stages} for chain in (study, comparisons))
    shared = {"demonstrations-140", "warm-up-0", "warm-up-1", "ppo-0", "ppo-1"}
    assert of_study.keys() & of_script.keys() == shared
    assert all(of_study[name] == of_script[name] for name in shared)


def test_stages_build_on_each_other_and_compare_on_one_list():
    found = ppo_vs_warmup.chain(Path("w"), [0, 1], 10.0, [1000]).stages
    assert len({stage.name for stage in found}) == len(found)
    by_name = {stage.name: stage.command for stage in found}
    assert by_name["warm-up-1"].data == by_name["demonstrations-140"].directory
    assert Path(by_name["ppo-1"].policy) == by_name["warm-up-1"].directory / "policy"
    comparisons = [stage.command for stage in found if stage.output.name == "comparison.json"]
    assert len(comparisons) == 3 * len(ppo_vs_warmup.SETS) * len(ppo_vs_warmup.TEMPERATURES)
    assert {command.settings.seed for command in comparisons} == {EVALUATION_SEED}
    assert {command.episodes for command in comparisons} == {EPISODES}
    assert all(by_name[name].sim.episode_set == "train" for name in ("demonstrations-140", "ppo-0", "ppo-1"))
