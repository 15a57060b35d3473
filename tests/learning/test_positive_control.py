"""The short version of benchmarks/positive_control.py: PPO must lift a policy that mostly fails, with certainty.

Eight starts with pictures, 4 steps each, a demonstrator that is too slow to arrive in time, and a policy of the real
class that is small enough for a minute on one core. The learner is `train_ppo` itself.
"""

import torch
from small_world import small_policy

from rlvla_core.evaluation import wilson
from rlvla_core.learning.distributed import Ranks
from rlvla_core.learning.localisation import ProjectedPoints
from rlvla_core.learning.ppo import PpoConfig
from rlvla_core.learning.sft import SftConfig, train_sft
from rlvla_core.learning.trainer import train_ppo
from rlvla_core.runs import RunDirectory
from rlvla_core.toy import ToyConfig, make_toy_env
from rlvla_core.toy.demonstrations import Demonstrations
from rlvla_core.toy.expert import ToyExpertConfig, demonstrate

TOY = ToyConfig(max_steps=4, picture_size=32, num_episodes=8)
TEACHER = ToyExpertConfig(speed=0.008, noise=0.006)
SFT = SftConfig(epochs=30.0, batch=32, lr=3e-3, lr_warmup_steps=10, label_sigma=16.0, localisation_weight=0.5)
PPO = PpoConfig(
    iterations=60,
    worlds=64,
    minibatch=64,
    micro_batch=64,
    lr=1e-3,
    lr_warmup_updates=5,
    gamma=0.8,
    lam=0.8,
    value_warmup_iterations=2,
    checkpoint_every=60,
    gate_episodes=8,
)


def test_ppo_lifts_a_policy_far_beyond_its_demonstrator(tmp_path):
    torch.set_num_threads(1)
    env = make_toy_env(TOY, PPO.worlds)
    noise = torch.Generator().manual_seed(0)
    episodes = demonstrate(env, torch.arange(128) % TOY.num_episodes, TEACHER, generator=noise)
    policy = small_policy()
    with RunDirectory.create(tmp_path / "sft", {}) as run:
        train_sft(policy, Demonstrations(episodes), SFT, run, Ranks(), labels=ProjectedPoints(env.spec))
    with RunDirectory.create(tmp_path / "ppo", {}) as run:
        train_ppo(policy, env, PPO, run, Ranks(), provenance={})
        journal = run.journal.read()

    # The critic alone learns in the first two iterations, so they measure the policy before PPO.
    def interval(records):
        return wilson(round(sum(r["success_at_end"] * r["episodes"] for r in records)), 64 * len(records))

    before, after = interval(journal[:2]), interval(journal[-5:])
    assert before[1] < 0.4
    assert after[0] > before[1] + 0.2
    assert sum(episode.success for episode in episodes) / len(episodes) < after[0]
    assert max(record["first_ratio_error"] for record in journal) < 1e-3
