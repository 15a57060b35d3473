"""The short version of benchmarks/positive_control.py: each algorithm must lift a policy that mostly fails, with
certainty.

Eight starts with images, 4 steps each, a demonstrator that is too slow to arrive in time, and a policy of the real
class that is small enough for a minute on one core. The loop is `train` itself. GRPO and DPO, which have no critic and
compare outcomes alone, get a demonstrator that is a little less slow: their first episodes must differ somewhere.
"""

import copy
import functools

import pytest
import torch
from small_world import make_learner, small_policy

from rlvla_core import seeds
from rlvla_core.evaluation import wilson
from rlvla_core.learning.algorithms.dpo import DpoConfig
from rlvla_core.learning.algorithms.grpo import GrpoConfig
from rlvla_core.learning.algorithms.localisation import ProjectedPoints
from rlvla_core.learning.algorithms.ppo import PpoConfig
from rlvla_core.learning.algorithms.sft import SftConfig, train_sft
from rlvla_core.learning.distributed import Ranks
from rlvla_core.learning.rollout import collect
from rlvla_core.learning.trainer import train
from rlvla_core.runs import RunDirectory
from rlvla_core.toy import ToyConfig, make_toy_env
from rlvla_core.toy.demonstrations import Demonstrations
from rlvla_core.toy.expert import ToyExpertConfig, demonstrate

TOY = ToyConfig(max_steps=4, image_size=32, num_episodes=8)
SFT = SftConfig(epochs=30.0, batch=32, lr=3e-3, lr_warmup_steps=10, label_sigma=16.0, localisation_weight=0.5)
# Rates at which other seeds pass as well: at 1e-3 some runs of PPO and GRPO tear the policy in their first updates.
COMMON = {"num_envs": 64, "micro_batch": 64, "lr_warmup_updates": 5, "verify_episodes": 8}
PPO = PpoConfig(
    **COMMON, lr=5e-4, iterations=50, minibatch=64, gamma=0.8, lam=0.8, value_warmup_iterations=2, checkpoint_every=50
)
GRPO = GrpoConfig(**COMMON, lr=5e-4, anneal=True, iterations=30, minibatch=64, checkpoint_every=30)
DPO = DpoConfig(**COMMON, lr=1e-3, anneal=True, iterations=45, minibatch=8, checkpoint_every=45)


@pytest.fixture(scope="module")
def warm(tmp_path_factory):
    """Warm-ups by the speed of their demonstrator, each made once."""
    torch.set_num_threads(1)
    return functools.cache(lambda speed: warmed_up(tmp_path_factory.mktemp("sft"), make_toy_env(TOY, 64), speed))


def warmed_up(folder, env, speed):
    """A policy that has imitated a slow demonstrator, and how often that one succeeds."""
    noise = torch.Generator().manual_seed(0)
    teacher = ToyExpertConfig(speed=speed, noise=0.006)
    episodes = demonstrate(env, torch.arange(128) % TOY.num_episodes, teacher, generator=noise)
    policy = small_policy()
    with RunDirectory.create(folder / "sft", {}) as run:
        train_sft(policy, Demonstrations(episodes), SFT, run, Ranks(), labels=ProjectedPoints(env.spec))
    return policy, sum(episode.success for episode in episodes) / len(episodes)


def success(policy, env):
    """Wilson interval over 256 episodes at temperature 1, every start 32 times."""
    ids = torch.arange(env.num_envs) % TOY.num_episodes
    noise = seeds.generator(0, "measure")
    played = [collect(policy, env, ids, temperature=1.0, generator=noise).success_at_end for _ in range(4)]
    return wilson(int(torch.cat(played).sum()), 256)


@pytest.mark.parametrize(
    ("config", "speed", "rise"), [(PPO, 0.008, 0.2), (GRPO, 0.012, 0.1), (DPO, 0.012, 0.0)], ids=["ppo", "grpo", "dpo"]
)
def test_it_lifts_a_policy_far_beyond_its_demonstrator(config, speed, rise, warm, tmp_path):
    start, taught = warm(speed)
    policy, env = copy.deepcopy(start), make_toy_env(TOY, config.num_envs)
    before = success(policy, env)
    with RunDirectory.create(tmp_path / config.name, {}) as run:
        train(make_learner(config, Ranks(), policy), env, run, provenance={})
        journal = run.journal.read()
    after = success(policy, env)
    assert before[1] < 0.45
    assert after[0] > before[1] + rise
    assert sum(after) / 2 > taught
    assert max(record["first_ratio_error"] for record in journal) < 1e-3
