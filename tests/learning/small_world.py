"""A policy of the real class but a hundredth of the size, and short toy runs: shared by the tests of this folder."""

from dataclasses import replace
from pathlib import Path

import torch

from rlvla_core.learning.distributed import Ranks
from rlvla_core.learning.localisation import ProjectedPoints
from rlvla_core.learning.ppo import PpoConfig
from rlvla_core.learning.sft import SftConfig, train_sft
from rlvla_core.learning.trainer import train_ppo
from rlvla_core.policy.policy import VLAPolicy
from rlvla_core.policy.presets import tiny
from rlvla_core.policy.tokenizer import tiny_tokenizer
from rlvla_core.runs import RunDirectory
from rlvla_core.toy import ToyConfig, make_toy_env
from rlvla_core.toy.demonstrations import TOY_NORM_STATS, Demonstrations
from rlvla_core.toy.expert import ToyExpertConfig, demonstrate

TOY = ToyConfig(max_steps=6, picture_size=32)
PPO = PpoConfig(
    iterations=4,
    worlds=8,
    minibatch=16,
    micro_batch=8,
    value_warmup_iterations=1,
    lr=1e-3,
    lr_warmup_updates=1,
    gate_episodes=8,
)
SFT = SftConfig(
    epochs=2.0,
    batch=16,
    micro_batch=8,
    label_sigma=2.0,
    colour_jitter=0.1,
    localisation_weight=0.1,
    checkpoint_every=20,
)
NOT_REPEATABLE = ("seconds", "steps_per_second")


def small_policy(decoding="parallel", seed=0):
    config = tiny()
    dino = replace(config.dino, width=16, heads=2, mlp_hidden=32, depth=2, patch_size=16)
    siglip = replace(config.siglip, width=16, heads=2, mlp_hidden=32, depth=2, patch_size=16)
    text = replace(config.text, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2)
    config = replace(config, dino=dino, siglip=siglip, text=text, projector_hidden=32, decoding=decoding)
    return VLAPolicy.from_config(config, tiny_tokenizer(), TOY_NORM_STATS, seed)


def open_run(path: Path, ranks: Ranks):
    run = None
    if ranks.is_main:
        run = RunDirectory.create(path, {"what": "test"}, resume=path.exists())
    ranks.barrier()
    return run or RunDirectory.open_read_only(path)


def run_ppo(ranks, path, config=PPO, **world):
    torch.set_num_threads(1)
    env = make_toy_env(replace(TOY, **world), ranks.share(config.worlds, "worlds"))
    with open_run(path, ranks) as run:
        return train_ppo(small_policy(), env, config, run, ranks, provenance={})


def demonstrations(episodes=64):
    env = make_toy_env(TOY, 16)
    generator = torch.Generator().manual_seed(0)
    return Demonstrations(demonstrate(env, torch.arange(episodes), ToyExpertConfig(), generator=generator)), env.spec


def run_sft(ranks, path, config=SFT):
    torch.set_num_threads(1)
    data, spec = demonstrations()
    with open_run(path, ranks) as run:
        policy = small_policy()
        return policy, train_sft(policy, data, config, run, ranks, labels=ProjectedPoints(spec))


def journal(path):
    """The journal without its timings."""
    records = RunDirectory.open_read_only(path).journal.read()
    return [{key: value for key, value in record.items() if key not in NOT_REPEATABLE} for record in records]
