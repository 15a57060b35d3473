"""`rlvla train sft` and `rlvla train ppo` on a toy world, from a dataset on disk to a checked bundle, and resumed."""

import json
from dataclasses import replace

import pytest
import torch
from small_world import TOY

from rlvla.commands.train_ppo import TrainPpo
from rlvla.commands.train_sft import TrainSft
from rlvla_core.data.writer import DatasetWriter
from rlvla_core.errors import RlvlaError
from rlvla_core.learning.ppo import PpoConfig
from rlvla_core.learning.sft import SftConfig
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


PPO = PpoConfig(iterations=1, worlds=8, minibatch=16, value_warmup_iterations=0, gate_episodes=8)


def test_from_a_dataset_to_an_improved_bundle(warm, tmp_path, capsys):
    run = tmp_path / "ppo"
    command = TrainPpo(policy=str(warm / "policy"), directory=run, world="toy", toy=TOY, ppo=PPO, ranks=1)
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


def test_mistakes_are_one_line(warm, data, tmp_path):
    def ppo(**changes):
        settings = {"policy": str(warm / "policy"), "directory": tmp_path / "x", "world": "toy", "toy": TOY, "ppo": PPO}
        return TrainPpo(**(settings | {"ranks": 1} | changes)).run()

    with pytest.raises(RlvlaError, match="picture size"):
        ppo(toy=replace(TOY, picture_size=64))
    with pytest.raises(RlvlaError, match="robot"):
        ppo(toy=replace(TOY, task="push"))
    with pytest.raises(RlvlaError, match="warm it up first"):
        ppo(policy="tiny")
    with pytest.raises(RlvlaError, match="neither `tiny`"):
        ppo(policy="tinny")
    with pytest.raises(RlvlaError, match="3 ranks"):
        ppo(ranks=3)
    with pytest.raises(RlvlaError, match="do not fill a batch"):
        TrainSft(data=data, directory=tmp_path / "y", sft=SftConfig(batch=4096), ranks=1).run()
