"""A policy of the real class but a hundredth of the size, and short toy runs: shared by the tests of this folder."""

from dataclasses import replace
from pathlib import Path

import torch

from rlvla_core import seeds
from rlvla_core.learning.algorithms.dpo import DpoConfig, DpoLearner
from rlvla_core.learning.algorithms.grpo import GrpoConfig, GrpoLearner
from rlvla_core.learning.algorithms.localisation import ProjectedPoints
from rlvla_core.learning.algorithms.ppo import PpoConfig, PpoLearner
from rlvla_core.learning.algorithms.sft import SftConfig, train_sft
from rlvla_core.learning.distributed import Ranks
from rlvla_core.learning.rollout import collect
from rlvla_core.learning.trainer import train
from rlvla_core.policy.openvla.presets import tiny
from rlvla_core.policy.policy import VLAPolicy
from rlvla_core.policy.tokenizer import tiny_tokenizer
from rlvla_core.runs import RunDirectory
from rlvla_core.toy import ToyConfig, make_toy_env
from rlvla_core.toy.demonstrations import TOY_NORM_STATS, Demonstrations
from rlvla_core.toy.expert import ToyExpertConfig, demonstrate

TOY = ToyConfig(max_steps=6, image_size=32)
PPO = PpoConfig(
    iterations=4,
    num_envs=8,
    minibatch=16,
    micro_batch=8,
    value_warmup_iterations=1,
    lr=1e-3,
    lr_warmup_updates=1,
    verify_episodes=8,
)
SMALL = {"iterations": 4, "num_envs": 16, "group": 4, "micro_batch": 8, "lr": 1e-3, "lr_warmup_updates": 1}
GRPO = GrpoConfig(**SMALL, minibatch=32, verify_episodes=8)
DPO = DpoConfig(**(SMALL | {"lr": 1e-4}), minibatch=1, verify_episodes=8)
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


def make_learner(config, ranks, policy=None):
    policy = policy or small_policy()
    match config:
        case PpoConfig():
            return PpoLearner(policy, config, ranks, state_dim=make_toy_env(TOY, 1).spec.state_dim)
        case GrpoConfig():
            return GrpoLearner(policy, config, ranks)
        case DpoConfig():
            return DpoLearner(policy, config, ranks)


def run_training(ranks, path, config=PPO, policy=None):
    torch.set_num_threads(1)
    env = make_toy_env(TOY, ranks.per_rank(config.num_envs, "environments"))
    with open_run(path, ranks) as run:
        return train(make_learner(config, ranks, policy), env, run, provenance={})


def play(policy, config, rank, size):
    """The rollout of one rank of `size`; the noise comes from that rank's own generator."""
    torch.set_num_threads(1)
    count = config.num_envs // size
    env = make_toy_env(TOY, count)
    ids = seeds.episode_ids(0, 1, rank * count, count, env.spec.num_episodes, envs_per_start=config.envs_per_start)
    return collect(policy, env, ids, temperature=1.0, generator=seeds.generator(0, "test", rank))


def joined(batches):
    """The rollouts of several ranks as that of one rank with all their environments."""
    over_envs = ("images", "states", "tokens", "logprobs", "values", "rewards", "terminated", "truncated", "valid")
    parts = {name: torch.cat([getattr(batch, name) for batch in batches], dim=1) for name in over_envs}
    ends = ("final_values", "final_states", "final_images", "success_at_end", "success_once")
    parts |= {name: torch.cat([getattr(batch, name) for batch in batches]) for name in ends}
    return replace(batches[0], **parts, instructions=[word for batch in batches for word in batch.instructions])


def gradients(learner):
    """The policy's gradients, left by the last optimiser step; for comparisons nothing may have been clipped."""
    return torch.cat([p.grad.flatten() for p in learner.optimizer.parameters if p.grad is not None])


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
