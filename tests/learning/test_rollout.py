"""Collecting: what the batch says happened is what happened."""

import pytest
import torch
from small_world import TOY, small_policy

from rlvla_core import seeds
from rlvla_core.learning.rollout import collect
from rlvla_core.toy import ToyConfig, make_toy_env


def rollout(policy, env, seed=0):
    ids = torch.arange(env.num_envs)
    return collect(policy, env, ids, temperature=1.0, generator=seeds.generator(seed, "test"))


@pytest.mark.parametrize("decoding", ["autoregressive", "parallel"])
def test_the_update_scores_the_tokens_as_the_rollout_did(decoding):
    env = make_toy_env(TOY, 8)
    policy = small_policy(decoding)
    batch = rollout(policy, env)
    for t in range(TOY.max_steps):
        rows = batch.valid[t].nonzero().squeeze(-1)
        score = policy.score(batch.images[t, rows], [batch.instructions[i] for i in rows], batch.tokens[t, rows])
        ratio = torch.exp(score.logprobs.sum(-1) - batch.logprobs[t, rows])
        assert (ratio - 1).abs().max() < 1e-3
        torch.testing.assert_close(score.values, batch.values[t, rows], atol=1e-5, rtol=1e-4)


def test_replaying_the_tokens_gives_the_same_images_and_rewards():
    env = make_toy_env(TOY, 8)
    policy = small_policy()
    batch = rollout(policy, env)
    observation = env.reset(torch.arange(8))
    for t in range(TOY.max_steps):
        now = batch.valid[t]
        assert torch.equal(observation.images[now], batch.images[t][now])
        assert torch.equal(observation.state[now], batch.states[t][now])
        result = env.step(policy.codec.decode(batch.tokens[t]), now)
        assert torch.equal(result.rewards[now], batch.rewards[t][now])
        assert torch.equal(result.terminated & now, batch.terminated[t])
        observation = result.observation


def test_every_episode_ends_once_and_is_valid_until_then():
    batch = rollout(small_policy(), make_toy_env(ToyConfig(max_steps=24), 64))
    ends = batch.terminated | batch.truncated
    assert (ends.sum(0) == 1).all()
    assert batch.terminated.any() and batch.truncated.any()  # a random hand finds some discs in 24 steps
    steps = torch.arange(24).unsqueeze(1)
    assert torch.equal(batch.valid, steps <= ends.int().argmax(0))
    assert torch.equal(batch.success_at_end, batch.terminated.any(0))
    assert (batch.rewards[~batch.valid] == 0).all()


def test_only_a_truncated_episode_has_a_value_after_its_end():
    env = make_toy_env(ToyConfig(max_steps=24), 64)
    policy = small_policy()
    with torch.no_grad():
        policy.value_head.head_l3.weight.add_(0.3)  # away from zero
    batch = rollout(policy, env)
    cut = batch.truncated.any(0)
    assert (batch.final_values[~cut] == 0).all() and (batch.final_values[cut] != 0).all()
    following = batch.next_values(batch.values, batch.final_values)
    t, n = batch.truncated.nonzero()[0].tolist()
    assert following[t, n] == batch.final_values[n]
    inside = batch.valid[:-1] & batch.valid[1:]
    assert torch.equal(following[:-1][inside], batch.values[1:][inside])


def test_two_ranks_of_four_environments_meet_what_one_rank_of_eight_meets():
    together = seeds.episode_ids(5, 3, 0, 8, 1000)
    apart = torch.cat([seeds.episode_ids(5, 3, first, 4, 1000) for first in (0, 4)])
    assert torch.equal(together, apart)
    assert not torch.equal(together, seeds.episode_ids(5, 4, 0, 8, 1000))


def test_neighbouring_environments_share_a_start_over_all_ranks():
    ids = seeds.episode_ids(5, 3, 0, 12, 1000, envs_per_start=4)
    assert [len(set(group)) for group in ids.view(3, 4).tolist()] == [1, 1, 1]
    assert len(set(ids.tolist())) == 3
    assert torch.equal(ids[8:], seeds.episode_ids(5, 3, 8, 4, 1000, envs_per_start=4))
    # Without groups the starts are those of runs from before there were any.
    assert torch.equal(seeds.episode_ids(5, 3, 0, 3, 1000), ids[::4])
    assert seeds.episode_ids(0, 1, 0, 2, 1 << 20).tolist() == [450969, 314418]
