"""GAE and the critic-free advantages against slow loops and closed forms."""

import statistics

import pytest
import torch

from rlvla_core.learning.advantages import flat_advantages, gae, group_advantages, moments_of, normalise

GAMMA, LAM = 0.97, 0.9


def rollout(steps=12, num_envs=9, seed=0):
    """Episodes of different lengths; half of them end by termination, half by the time limit."""
    g = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, steps + 1, (num_envs,), generator=g)
    t = torch.arange(steps).unsqueeze(1)
    valid = t < lengths
    last = t == lengths - 1
    ends_by_limit = torch.rand(num_envs, generator=g) < 0.5
    noise = torch.randn(3, steps, num_envs, generator=g)
    return {
        "rewards": noise[0],
        "values": noise[1],
        "next_values": noise[2],
        "terminated": last & ~ends_by_limit,
        "truncated": last & ends_by_limit,
        "valid": valid,
    }


def slow(data, env, time_limit_as_terminal=False):
    """Â_t = Σ_k (γλ)^k δ_{t+k} within the episode, written as the definition says."""
    length = int(data["valid"][:, env].sum())
    deltas = []
    for t in range(length):
        dead = bool(data["terminated"][t, env]) or (time_limit_as_terminal and bool(data["truncated"][t, env]))
        future = 0.0 if dead else GAMMA * float(data["next_values"][t, env])
        deltas.append(float(data["rewards"][t, env]) + future - float(data["values"][t, env]))
    return [sum((GAMMA * LAM) ** k * deltas[t + k] for k in range(length - t)) for t in range(length)]


@pytest.mark.parametrize("time_limit_as_terminal", [False, True])
def test_matches_the_definition_episode_by_episode(time_limit_as_terminal):
    data = rollout()
    advantages, returns = gae(**data, gamma=GAMMA, lam=LAM, time_limit_as_terminal=time_limit_as_terminal)
    for env in range(data["rewards"].shape[1]):
        expected = torch.tensor(slow(data, env, time_limit_as_terminal))
        torch.testing.assert_close(advantages[: len(expected), env], expected, atol=1e-5, rtol=1e-5)
        assert (advantages[len(expected) :, env] == 0).all()
        assert (returns[len(expected) :, env] == 0).all()
    kept = data["valid"]
    torch.testing.assert_close((returns - advantages)[kept], data["values"][kept])


def test_lambda_one_gives_discounted_returns_plus_the_bootstrap():
    rewards = torch.tensor([[1.0], [2.0], [4.0]])
    zeros = torch.zeros(3, 1)
    next_values = torch.tensor([[0.0], [0.0], [10.0]])
    no, yes = torch.zeros(3, 1, dtype=torch.bool), torch.ones(3, 1, dtype=torch.bool)
    last = torch.tensor([[False], [False], [True]])

    def first_return(terminated, truncated, **switch):
        flags = {"terminated": terminated, "truncated": truncated, "valid": yes}
        return float(gae(rewards, zeros, next_values, **flags, gamma=0.5, lam=1.0, **switch)[1][0])

    assert first_return(last, no) == pytest.approx(1 + 1 + 1)
    assert first_return(no, last) == pytest.approx(1 + 1 + 1 + 0.125 * 10)
    assert first_return(no, last, time_limit_as_terminal=True) == pytest.approx(3)


def test_the_value_after_a_termination_is_never_read():
    data = rollout(seed=3)
    before = gae(**data, gamma=GAMMA, lam=LAM)[0]
    data["next_values"] = torch.where(data["terminated"], 1e6, data["next_values"])
    assert torch.equal(gae(**data, gamma=GAMMA, lam=LAM)[0], before)


def test_what_lies_outside_an_episode_does_not_leak_in():
    data = rollout(seed=4)
    before = gae(**data, gamma=GAMMA, lam=LAM)[0]
    for name in ("rewards", "values", "next_values"):
        data[name] = torch.where(data["valid"], data[name], 1e6)
    assert torch.equal(gae(**data, gamma=GAMMA, lam=LAM)[0], before)


def test_normalisation_is_that_of_all_ranks_together():
    samples = torch.randn(1000, generator=torch.Generator().manual_seed(0)) * 3 + 5
    whole = (samples - samples.mean()) / (samples.std(correction=0) + 1e-5)
    moments = moments_of(samples[:300]) + moments_of(samples[300:])
    torch.testing.assert_close(normalise(samples, moments), whole, atol=1e-5, rtol=1e-5)


def test_refuses_shapes_that_would_broadcast_and_other_dtypes():
    data = rollout()
    with pytest.raises(ValueError, match="one shape"):
        gae(**(data | {"values": data["values"][:, :1]}), gamma=GAMMA, lam=LAM)
    with pytest.raises(ValueError, match="float32"):
        gae(**(data | {"rewards": data["rewards"].bfloat16()}), gamma=GAMMA, lam=LAM)


def test_group_advantages_standardise_each_group_by_itself():
    outcomes = torch.randn(24, generator=torch.Generator().manual_seed(0)) * 3 + 5
    advantages, informs = group_advantages(outcomes, 8)
    assert informs.all()
    for first in range(0, 24, 8):
        group = outcomes[first : first + 8].tolist()
        mean, deviation = statistics.fmean(group), statistics.pstdev(group)
        expected = [(outcome - mean) / (deviation + 1e-5) for outcome in group]
        assert advantages[first : first + 8].tolist() == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_one_success_among_four_stands_out_by_the_root_of_three_and_equal_outcomes_say_nothing():
    # mean 1/4, deviation sqrt(3)/4: the success is (3/4) / (sqrt(3)/4) above it, each failure a third of that below.
    outcomes = torch.tensor([0.0, 1.0, 0.0, 0.0, 0.7, 0.7, 0.7, 0.7, 1.0, 1.0, 1.0, 1.0])
    outcomes[5] += 6e-8  # rewards that were added up in another order
    assert outcomes[5] != outcomes[4]
    advantages, informs = group_advantages(outcomes, 4)
    root = 3**0.5
    assert advantages[:4].tolist() == pytest.approx([-1 / root, root, -1 / root, -1 / root], rel=1e-4)
    assert (advantages[4:] == 0).all()
    assert informs.tolist() == [True] * 4 + [False] * 8


def test_flat_advantages_match_a_slow_loop():
    g = torch.Generator().manual_seed(1)
    rewards = torch.randn(12, 9, generator=g) * (torch.rand(12, 9, generator=g) < 0.3)
    given = [reward for reward in rewards.flatten().tolist() if reward != 0]
    mean, deviation = statistics.fmean(given), statistics.pstdev(given)
    # Two ranks of other sizes: the moments add up.
    moments = sum(moments_of(part[part != 0]) for part in (rewards[:, :4], rewards[:, 4:]))
    advantages = flat_advantages(rewards, moments)
    for env in range(9):
        for t in range(12):
            following = [reward for reward in rewards[t:, env].tolist() if reward != 0]
            expected = sum((reward - mean) / (deviation + 1e-5) for reward in following)
            assert float(advantages[t, env]) == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_a_single_reward_has_nothing_to_be_compared_with():
    rewards = torch.tensor([[0.0, 0.0], [0.0, 0.7]])
    assert (flat_advantages(rewards, moments_of(rewards[rewards != 0])) == 0).all()
