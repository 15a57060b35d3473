"""The losses against closed forms and slow loops."""

import math

import pytest
import torch

from rlvla_core.learning import losses
from rlvla_core.learning.advantages import moments_of


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_policy_loss_matches_a_slow_loop():
    new, old, advantage = 0.5 * draw(200), 0.5 * draw(200, seed=1), draw(200, seed=2)
    loss = losses.ppo_policy_loss(new, old, advantage, clip=0.2)
    for i in range(200):
        ratio = math.exp(float(new[i]) - float(old[i]))
        clipped = min(max(ratio, 0.8), 1.2)
        assert float(loss[i]) == pytest.approx(
            -min(ratio * float(advantage[i]), clipped * float(advantage[i])), rel=1e-5
        )


def test_policy_gradient_vanishes_exactly_where_the_clip_is_active():
    """dL/dlogp = -ρÂ inside; 0 where a good action is already more likely, or a bad one less likely, than 1 ± ε."""
    old = torch.zeros(4)
    new = torch.tensor([0.5, -0.5, 0.5, -0.5], requires_grad=True)
    advantage = torch.tensor([1.0, 1.0, -1.0, -1.0])
    losses.ppo_policy_loss(new, old, advantage, clip=0.2).sum().backward()
    expected = torch.tensor([0.0, -math.exp(-0.5), math.exp(0.5), 0.0])
    torch.testing.assert_close(new.grad, expected)


def test_value_loss_matches_a_slow_loop():
    value, old, returns = 20 * draw(200), 20 * draw(200, seed=1), 20 * draw(200, seed=2)
    loss = losses.value_loss(value, old, returns, clip=0.2, delta=10.0)

    def huber(x):
        return 0.5 * x * x if abs(x) <= 10 else 10 * (abs(x) - 5)

    for i in range(200):
        v, o, r = float(value[i]), float(old[i]), float(returns[i])
        clipped = o + min(max(v - o, -0.2), 0.2)
        assert float(loss[i]) == pytest.approx(max(huber(r - v), huber(r - clipped)), rel=1e-4, abs=1e-4)


def test_preference_loss_matches_a_slow_loop_and_its_slope_is_its_derivative():
    winner, loser = (5 * draw(200, seed=seed) for seed in (1, 2))
    winner.requires_grad_(True)
    loser.requires_grad_(True)
    loss = losses.dpo_loss(winner, loser, beta=0.3)
    for i in range(200):
        margin = 0.3 * (winner[i] - loser[i]).item()
        assert loss[i].item() == pytest.approx(math.log1p(math.exp(-margin)), rel=1e-4)
    loss.sum().backward()
    slope = losses.dpo_slope(winner.detach(), loser.detach(), beta=0.3)
    torch.testing.assert_close(slope, winner.grad)
    torch.testing.assert_close(-slope, loser.grad)


def test_preference_loss_of_no_opinion_is_log_two_and_a_wrong_one_costs_its_margin():
    zero, far = torch.zeros(1), torch.full((1,), 1e4)
    assert float(losses.dpo_loss(zero, zero, beta=0.1)) == pytest.approx(math.log(2))
    assert float(losses.dpo_slope(zero, zero, beta=0.1)) == pytest.approx(-0.05)
    assert float(losses.dpo_loss(far, zero, beta=0.1)) == pytest.approx(0.0, abs=1e-6)
    assert float(losses.dpo_loss(zero, far, beta=0.1)) == pytest.approx(1000.0)
    assert float(losses.dpo_slope(zero, far, beta=0.1)) == pytest.approx(-0.1)


def test_soft_labels_are_distributions_centred_on_the_label_and_leave_the_gripper_hard():
    bins = torch.tensor([[128, 100, 60, 40, 200, 128, 255]])
    labels = losses.soft_labels(bins, sigma=3.0, num_bins=256)
    torch.testing.assert_close(labels.sum(-1), torch.ones(1, 7))
    centre = (labels * torch.arange(256)).sum(-1)[0, :6]
    torch.testing.assert_close(centre, bins[0, :6].float(), atol=1e-3, rtol=0)
    spread = (labels * (torch.arange(256) - bins.unsqueeze(-1)) ** 2).sum(-1)[0, :6].sqrt()
    torch.testing.assert_close(spread, torch.full((6,), 3.0), atol=1e-2, rtol=0)
    assert labels[0, 6, 255] == 1.0


def test_sft_loss_of_hard_labels_is_cross_entropy_and_of_soft_ones_is_bounded_by_their_entropy():
    logits = draw(5, 7, 256)
    bins = torch.randint(0, 256, (5, 7), generator=torch.Generator().manual_seed(1))
    hard = losses.soft_labels(bins, sigma=0.0, num_bins=256)
    plain = torch.nn.functional.cross_entropy(logits.flatten(0, 1), bins.flatten(), reduction="none").view(5, 7)
    torch.testing.assert_close(losses.sft_loss(logits, hard), plain.mean(-1))
    soft = losses.soft_labels(bins, sigma=4.0, num_bins=256)
    best = losses.sft_loss(soft.clamp_min(1e-30).log(), soft)
    entropy = -(soft * soft.clamp_min(1e-30).log()).sum(-1).mean(-1)
    torch.testing.assert_close(best, entropy, atol=1e-4, rtol=1e-4)
    assert (losses.sft_loss(logits, soft) > best).all()


def test_k3_estimates_the_divergence_of_two_known_distributions():
    p, q = torch.tensor([0.7, 0.2, 0.1]), torch.tensor([0.5, 0.3, 0.2])
    exact = float((p * (p / q).log()).sum())
    estimate = float((p * losses.approx_kl(q.log(), p.log())).sum())  # expectation over old samples, in full
    assert estimate == pytest.approx(exact, rel=1e-5)
    assert (losses.approx_kl(draw(100), draw(100, seed=1)) >= 0).all()


def test_clip_fraction_counts_ratios_outside_the_range():
    log_ratio = torch.tensor([1.25, 1.15, 1.0, 0.85, 0.75]).log()
    assert losses.clipped(log_ratio, torch.zeros(5), clip=0.2).tolist() == [1.0, 0.0, 0.0, 0.0, 1.0]


def test_explained_variance_is_one_for_a_perfect_critic_zero_for_a_constant_and_splits_over_ranks():
    returns = draw(500) + 3

    def explained(values):
        parts = [slice(0, 200), slice(200, 500)]
        errors = sum(moments_of((returns - values)[part]) for part in parts)
        whole = sum(moments_of(returns[part]) for part in parts)
        return losses.explained_variance(errors, whole)

    assert explained(returns + 7) == pytest.approx(1.0)
    assert explained(torch.zeros(500)) == pytest.approx(0.0, abs=1e-9)
    noise = 0.5 * draw(500, seed=1)
    expected = 1 - float(noise.var() / returns.var())
    assert explained(returns + noise) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("bad", [torch.zeros(4, 1), torch.zeros(4, dtype=torch.bfloat16)])
def test_losses_refuse_other_shapes_and_dtypes(bad):
    good = torch.zeros(4)
    for call in (
        lambda: losses.ppo_policy_loss(good, bad, good, clip=0.2),
        lambda: losses.value_loss(good, good, bad, clip=0.2),
        lambda: losses.approx_kl(bad, good),
        lambda: losses.dpo_loss(good, bad, beta=0.1),
        lambda: losses.sft_loss(torch.zeros(1, 7, 256), torch.zeros(1, 7, 1)),
    ):
        with pytest.raises(ValueError, match="float32 tensors of one shape"):
            call()
