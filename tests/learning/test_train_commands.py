"""`rlvla train sft`, `ppo`, `grpo` and `dpo` on a toy world: from a dataset to a checked bundle, and resumed."""

import json
from dataclasses import replace

import pytest
import torch
from small_world import TOY
from toy_commands import ToyTrainGrpo, ToyTrainPpo

from rlvla import cli
from rlvla.commands.train_sft import TrainSft
from rlvla_core.data.writer import DatasetWriter
from rlvla_core.errors import RlvlaError
from rlvla_core.learning.algorithms.grpo import GrpoConfig
from rlvla_core.learning.algorithms.ppo import PpoConfig
from rlvla_core.learning.algorithms.sft import SftConfig
from rlvla_core.policy.bundle import load_bundle
from rlvla_core.runs import RunDirectory
from rlvla_core.toy import make_toy_env
from rlvla_core.toy.expert import ToyExpertConfig, demonstrate


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    env = make_toy_env(TOY, 16)
    directory = tmp_path_factory.mktemp("data") / "toy"
    noise = torch.Generator().manual_seed(0)
    # The dataset's own statistics need every masked dimension to move, as a real expert's do.
    with DatasetWriter(directory, fps=env.spec.control_hz, robot=env.spec.robot, env_spec=env.spec) as writer:
        for episode in demonstrate(env, torch.arange(16), ToyExpertConfig(noise=0.005), generator=noise):
            episode.actions[:, 2:6] += 0.01 * torch.randn(len(episode), 4, generator=noise).numpy()
            writer.add(episode)
    return directory


@pytest.fixture(scope="module")
def warm(data, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "sft"
    options = SftConfig(epochs=2.0, batch=16, micro_batch=16, localisation_weight=0.1)
    assert TrainSft(data=data, directory=run, sft=options, ranks=1).run() == 0
    return run


PPO = PpoConfig(iterations=1, num_envs=8, minibatch=16, value_warmup_iterations=0, verify_episodes=8)


def test_from_a_dataset_to_an_improved_bundle(warm, tmp_path, capsys):
    run = tmp_path / "ppo"
    command = ToyTrainPpo(policy=str(warm / "policy"), directory=run, ppo=PPO, ranks=1)
    assert command.run() == 0
    line = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert line["iterations"] == 1 and 8 <= line["env_steps"] <= 48 and line["greedy_episodes"] == 8
    before, after = load_bundle(warm / "policy").state_dict(), load_bundle(run / "policy").state_dict()
    assert before.keys() == after.keys()
    assert not all(torch.equal(before[name], after[name]) for name in before)

    with pytest.raises(RlvlaError, match="continue it with --resume"):
        command.run()
    replace(command, resume=True, ppo=replace(PPO, iterations=2)).run()
    assert [r["iteration"] for r in RunDirectory.open_read_only(run).journal.read()] == [1, 2]
    with pytest.raises(RlvlaError, match=r"`ppo\.lr` was 0\.0001"):
        replace(command, resume=True, ppo=replace(PPO, lr=1.0)).run()


@pytest.mark.parametrize(
    ("name", "options"), [("grpo", ["--grpo.variant", "flat"]), ("dpo", ["--dpo.group", "4", "--dpo.beta", "0.2"])]
)
def test_the_other_algorithms_are_commands_of_the_same_kind(name, options, warm, tmp_path, capsys, monkeypatch):
    toy = f"toy_commands:ToyTrain{name.capitalize()}"
    commands = [replace(each, path=toy) if each.name == f"train {name}" else each for each in cli.COMMANDS]
    monkeypatch.setattr(cli, "COMMANDS", commands)

    def train(iterations, *more):
        words = [
            "--policy",
            str(warm / "policy"),
            "--directory",
            str(tmp_path / name),
            "--ranks",
            "1",
        ]
        words += [f"--{name}.num-envs", "8", f"--{name}.verify-episodes", "8", f"--{name}.iterations", str(iterations)]
        return cli.main(["train", name, *words, *options, *more])

    assert train(1) == 0
    line = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert line["command"] == f"train {name}" and line["iterations"] == 1 and line["greedy_episodes"] == 8
    assert train(2, "--resume") == 0
    run = RunDirectory.open_read_only(tmp_path / name)
    records = run.journal.read()
    assert [record["iteration"] for record in records] == [1, 2]
    shared = {"success_at_end", "success_once", "return", "policy_loss", "kl", "entropy", "gradient_norm", "lr"}
    assert shared | {"first_ratio_error", "env_steps", "seconds"} <= records[0].keys()
    assert run.config[name]["num_envs"] == 8
    assert load_bundle(run.policy_dir).state_dict().keys() == load_bundle(warm / "policy").state_dict().keys()
    capsys.readouterr()
    assert train(3, "--resume", f"--{name}.lr", "1") == 1
    assert f"`{name}.lr` was 0.0001" in capsys.readouterr().err


def test_a_run_from_before_an_option_existed_goes_on_with_its_default_only(warm, tmp_path):
    run = tmp_path / "ppo"
    command = ToyTrainPpo(policy=str(warm / "policy"), directory=run, ppo=PPO, ranks=1)
    command.run()
    config = json.loads((run / "config.json").read_text())
    del config["ppo"]["critic_input"], config["lora_size"]
    (run / "config.json").write_text(json.dumps(config))
    with pytest.raises(RlvlaError, match=r"`ppo\.critic_input` was not set and is now \"all\""):
        replace(command, resume=True, ppo=replace(PPO, critic_input="all")).run()
    replace(command, resume=True, ppo=replace(PPO, iterations=2)).run()
    resumed = RunDirectory.open_read_only(run)
    assert [record["iteration"] for record in resumed.journal.read()] == [1, 2]
    assert resumed.config["ppo"]["critic_input"] == "first"


def test_warm_ups_of_several_data_sizes_from_one_dataset(data, tmp_path, capsys):
    options = SftConfig(epochs=0.5, batch=16, micro_batch=16, holdout=0.0)
    frames = {}
    for episodes in (0, 8):
        run = tmp_path / str(episodes)
        assert TrainSft(data=data, directory=run, episodes=episodes, sft=options, ranks=1).run() == 0
        line = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
        assert line["episodes"] == (episodes or 16)
        frames[episodes] = line["frames"]
    assert frames[8] < frames[0]
    whole, part = (load_bundle(tmp_path / name / "policy").codec.norm_stats for name in ("0", "8"))
    assert whole == part


def test_mistakes_are_one_line(warm, data, tmp_path):
    def ppo(**changes):
        settings = {"policy": str(warm / "policy"), "directory": tmp_path / "x", "ppo": PPO}
        return ToyTrainPpo(**(settings | {"ranks": 1} | changes)).run()

    with pytest.raises(RlvlaError, match="image size"):
        ppo(toy=replace(TOY, image_size=64))
    with pytest.raises(RlvlaError, match="robot"):
        ppo(toy=replace(TOY, task="push"))
    with pytest.raises(RlvlaError, match="warm it up first"):
        ppo(policy="tiny")
    with pytest.raises(RlvlaError, match="neither `tiny`"):
        ppo(policy="tinny")
    with pytest.raises(RlvlaError, match="3 ranks"):
        ppo(ranks=3)
    with pytest.raises(RlvlaError, match=r"grpo\.group 8 does not divide a rank's 12 environments"):
        settings = {"policy": str(warm / "policy"), "directory": tmp_path / "z", "ranks": 1}
        ToyTrainGrpo(**settings, grpo=GrpoConfig(num_envs=12)).run()
    assert not (tmp_path / "z").exists()
    with pytest.raises(RlvlaError, match="17 episodes of a dataset of 16"):
        TrainSft(data=data, directory=tmp_path / "y", episodes=17, ranks=1).run()
    with pytest.raises(RlvlaError, match="do not fill a batch"):
        TrainSft(data=data, directory=tmp_path / "y", sft=SftConfig(batch=4096), ranks=1).run()
