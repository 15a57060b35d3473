"""DPO of whole episodes: its pairs, its gradient against autograd of the direct loss, its reference, its ranks."""

import json
from dataclasses import replace

import pytest
import torch
from small_world import DPO, gradients, joined, make_learner, play, small_policy

from rlvla_core.errors import RlvlaError
from rlvla_core.learning.algorithms.dpo import DpoConfig, Preferences
from rlvla_core.learning.distributed import Ranks, launch
from rlvla_core.learning.rollout import Steps
from rlvla_core.learning.weight_copies import ReferenceWeights
from rlvla_core.policy.lora import LoraConfig, apply_lora

ONE_STEP = replace(DPO, minibatch=10_000, max_grad_norm=1e9, beta=0.3)
"""A single minibatch that holds all starts, with nothing clipped."""
SUCCESS = [0, 1, 0, 0] + [0] * 4 + [1, 1, 0, 1] + [1] * 4
"""Groups of four: three pairs, none, three pairs, none."""


def with_success(batch, success=SUCCESS):
    return replace(batch, success_at_end=torch.tensor(success, dtype=torch.bool))


def moved(policy, seed=7):
    """The policy after it has gone some way from where it was."""
    noise = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in policy.backbone_parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=noise))
    return policy


def moved_learner(config, ranks=None):
    """A learner whose policy is no longer its reference."""
    learner = make_learner(config, ranks or Ranks())
    moved(learner.policy)
    return learner


def episode_logprob(policy, batch, env):
    """log π(ζ), by one graph."""
    taken = batch.valid[:, env].nonzero().squeeze(-1)
    words = [batch.instructions[env]] * len(taken)
    return policy.score(batch.images[taken, env], words, batch.tokens[taken, env]).logprobs.sum()


def direct_loss(policy, reference, batch, success, group, beta):
    """The loss as its definition says: loops over starts and pairs."""
    with torch.no_grad():
        before = [episode_logprob(reference, batch, env) for env in range(len(success))]
    now = [episode_logprob(policy, batch, env) for env in range(len(success))]
    of_starts = []
    for first in range(0, len(success), group):
        envs = range(first, first + group)
        pairs = [(w, v) for w in envs for v in envs if success[w] and not success[v]]
        margins = [beta * ((now[w] - before[w]) - (now[v] - before[v])) for w, v in pairs]
        if pairs:
            of_starts.append(sum(-torch.log(torch.sigmoid(margin)) for margin in margins) / len(pairs))
    return sum(of_starts) / len(of_starts)


def test_pairs_are_every_success_with_every_failure_of_its_start():
    success = torch.rand(40, generator=torch.Generator().manual_seed(0)) < 0.4
    success[8:16], success[16:24] = True, False
    preferences = Preferences(success, 8)
    expected = [
        (w, v) for w in range(40) for v in range(40) if w // 8 == v // 8 and bool(success[w]) and not bool(success[v])
    ]
    assert sorted(map(tuple, preferences.pairs.tolist())) == expected
    assert preferences.has_pairs.tolist() == [True, False, False, True, True]
    assert float(preferences.pair_weights.sum()) == pytest.approx(3)


def test_weights_of_episodes_are_the_derivatives_of_the_loss():
    g = torch.Generator().manual_seed(1)
    ratios = (4 * torch.randn(32, generator=g)).requires_grad_(True)
    success = (torch.rand(32, generator=g) < 0.4).tolist()
    total = torch.zeros(())
    for first in (8, 24):  # of the four starts, the minibatch has two
        envs = range(first, first + 8)
        pairs = [(w, v) for w in envs for v in envs if success[w] and not success[v]]
        total = total + sum(-torch.log(torch.sigmoid(0.3 * (ratios[w] - ratios[v]))) for w, v in pairs) / len(pairs)
    total.backward()
    weights, metrics = Preferences(torch.tensor(success), 8).weigh(ratios.detach(), torch.tensor([3, 1]), beta=0.3)
    torch.testing.assert_close(weights, ratios.grad, atol=1e-6, rtol=1e-4)
    assert (weights[:8] == 0).all() and (weights[16:24] == 0).all()
    assert float(metrics["policy_loss"].sum()) == pytest.approx(total.item(), rel=1e-5)


@pytest.mark.parametrize("micro_batch", [3, 1000])
def test_two_passes_give_the_gradient_of_the_direct_loss(micro_batch):
    learner = moved_learner(replace(ONE_STEP, micro_batch=micro_batch))
    batch = with_success(play(learner.policy, ONE_STEP, 0, 1))
    twin = moved(small_policy())
    loss = direct_loss(twin, small_policy(), batch, SUCCESS, 4, ONE_STEP.beta)
    loss.backward()
    expected = torch.cat([p.grad.flatten() for p in twin.backbone_parameters() if p.grad is not None])
    metrics = learner.update(batch, 1)
    assert metrics["policy_loss"] == pytest.approx(loss.item(), rel=1e-4)
    assert abs(metrics["policy_loss"] - 0.6931) > 0.01  # the policy has an opinion, so the slopes differ
    assert metrics["informative_starts"] == 0.5 and metrics["first_ratio_error"] < 1e-3
    torch.testing.assert_close(gradients(learner), expected, atol=1e-5 * float(expected.abs().max()), rtol=1e-4)


def two_rank_gradients(ranks, path):
    learner = moved_learner(ONE_STEP, ranks)
    batch = play(learner.policy, ONE_STEP, ranks.rank, ranks.size)
    learner.update(with_success(batch, SUCCESS[8 * ranks.rank :][:8]), 1)
    if ranks.is_main:
        path.write_text(json.dumps(gradients(learner).tolist()))


def test_two_ranks_compute_the_gradient_of_one_with_their_environments_together(tmp_path):
    launch(two_rank_gradients, (tmp_path / "gradients",), ranks=2)
    two = torch.tensor(json.loads((tmp_path / "gradients").read_text()))
    learner = moved_learner(ONE_STEP)
    learner.update(with_success(joined([play(learner.policy, ONE_STEP, rank, 2) for rank in (0, 1)])), 1)
    one = gradients(learner)
    torch.testing.assert_close(two, one, atol=1e-5 * float(one.abs().max()), rtol=0)


def test_successes_become_likelier_than_failures_of_the_same_start():
    learner = make_learner(replace(ONE_STEP, beta=0.1), Ranks())
    batch = with_success(play(learner.policy, ONE_STEP, 0, 1))
    first, second = learner.update(batch, 1), learner.update(batch_of(learner.policy, batch), 2)
    assert first["preference_accuracy"] == 0.5 and first["margin"] == 0.0  # the policy is its reference
    assert first["policy_loss"] == pytest.approx(0.6931, abs=1e-4)
    assert second["margin"] > 0.0 and second["policy_loss"] < first["policy_loss"]


def batch_of(policy, batch):
    """The same episodes, as if the policy had played them as it is now."""
    steps = Steps(batch)
    scored = torch.zeros_like(steps.logprobs)
    with torch.no_grad():
        scored[steps.valid] = steps.score(policy, steps.valid).logprobs.sum(-1)
    return replace(batch, logprobs=scored.view_as(batch.logprobs))


def test_without_a_pair_nothing_happens():
    learner = make_learner(DPO, Ranks())
    batch = with_success(play(learner.policy, DPO, 0, 1), [0] * 8 + [1] * 8)
    before = {name: value.clone() for name, value in learner.policy.state_dict().items()}
    metrics = learner.update(batch, 1)
    assert metrics["informative_starts"] == 0.0 and metrics["lr"] == 0.0 and learner.optimizer.updates == 0
    assert all(torch.equal(value, before[name]) for name, value in learner.policy.state_dict().items())


@pytest.mark.parametrize("lora", [False, True])
def test_the_reference_is_the_start_and_the_policy_comes_back(lora):
    policy = small_policy()
    if lora:
        apply_lora(policy, LoraConfig(rank=4))
        moved(policy, seed=3)  # an adapter that has been trained before belongs to the start
    start = {name: value.clone() for name, value in policy.model.state_dict().items()}
    reference = ReferenceWeights(list(policy.backbone_parameters()))
    now = {name: value.clone() for name, value in moved(policy).model.state_dict().items()}
    with reference.applied():
        assert all(torch.equal(value, start[name]) for name, value in policy.model.state_dict().items())
    assert all(torch.equal(value, now[name]) for name, value in policy.model.state_dict().items())
    assert any(not torch.equal(now[name], start[name]) for name in now)


def test_a_rollout_by_another_policy_is_refused():
    learner = make_learner(DPO, Ranks())
    batch = with_success(play(learner.policy, DPO, 0, 1))
    batch.logprobs.add_(0.01)
    with pytest.raises(RlvlaError, match="ratio must be 1, it is off by"):
        learner.update(batch, 1)


def test_mistakes_are_one_line():
    with pytest.raises(RlvlaError, match=r"dpo\.group must be at least 2, got 1"):
        DpoConfig(group=1)
    with pytest.raises(RlvlaError, match=r"dpo\.beta must be positive, got 0"):
        DpoConfig(beta=0.0)
    with pytest.raises(RlvlaError, match=r"dpo\.group 8 does not divide a rank's 4 environments"):
        make_learner(replace(DPO, group=8, num_envs=4), Ranks())
