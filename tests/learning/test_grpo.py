"""GRPO: its gradient, where its starts come from, and its indifference to how the work is split."""

import json
from dataclasses import replace

import pytest
import torch
from small_world import GRPO, gradients, joined, make_learner, play

from rlvla_core.errors import RlvlaError
from rlvla_core.learning.algorithms.grpo import GrpoConfig
from rlvla_core.learning.distributed import Ranks, launch

ONE_STEP = replace(GRPO, minibatch=10_000, max_grad_norm=1e9)
"""A single minibatch that holds the whole rollout, with nothing clipped."""


def with_outcomes(batch, outcomes):
    """The same images and actions, but each episode earns its outcome with its last step."""
    ends = batch.terminated | batch.truncated
    return replace(batch, rewards=ends * torch.tensor(outcomes), success_at_end=torch.tensor(outcomes) > 0.5)


OUTCOMES = [0.0, 1.0, 0.0, 0.0] + [0.2] * 4 + [1.0] * 4 + [0.6, 0.0, 0.0, 1.0]
"""Groups of four: one success, no spread, no spread, three levels."""


def test_the_first_step_is_reinforce_with_the_groups_advantages():
    """At ρ = 1 the surrogate's gradient is -mean(Â ∇log π), over the steps of groups with spread."""
    learner = make_learner(ONE_STEP, Ranks())
    batch = with_outcomes(play(learner.policy, ONE_STEP, 0, 1), OUTCOMES)
    twin = make_learner(ONE_STEP, Ranks()).policy
    metrics = learner.update(batch, 1)
    total, count = torch.zeros(()), 0
    for env in [*range(4), *range(12, 16)]:
        group = torch.tensor(OUTCOMES[env // 4 * 4 : env // 4 * 4 + 4])
        advantage = (OUTCOMES[env] - group.mean()) / (group.std(correction=0) + 1e-5)
        taken = batch.valid[:, env].nonzero().squeeze(-1)
        words = [batch.instructions[env]] * len(taken)
        score = twin.score(batch.images[taken, env], words, batch.tokens[taken, env])
        total = total - advantage * score.logprobs.sum()
        count += len(taken)
    (total / count).backward()
    expected = torch.cat([p.grad.flatten() for p in twin.backbone_parameters() if p.grad is not None])
    torch.testing.assert_close(gradients(learner), expected, atol=1e-6, rtol=1e-4)
    assert metrics["informative_starts"] == 0.5
    assert metrics["first_ratio_error"] < 1e-3 and learner.optimizer.updates == 1


def test_groups_without_spread_contribute_nothing():
    learner = make_learner(GRPO, Ranks())
    batch = play(learner.policy, GRPO, 0, 1)
    before = {name: value.clone() for name, value in learner.policy.state_dict().items()}
    metrics = learner.update(with_outcomes(batch, [0.0] * 8 + [1.0] * 8), 1)
    assert metrics["informative_starts"] == 0.0 and metrics["gradient_norm"] == 0.0 and metrics["lr"] == 0.0
    assert learner.optimizer.updates == 0
    assert all(torch.equal(value, before[name]) for name, value in learner.policy.state_dict().items())


@pytest.mark.parametrize(("variant", "starts"), [("grouped", 4), ("flat", 16), ("flat_same_start", 1)])
def test_which_environments_share_a_start(variant, starts):
    config = replace(GRPO, variant=variant)
    batch = play(make_learner(config, Ranks()).policy, config, 0, 1)
    first = batch.images[0].flatten(1)
    assert len(first.unique(dim=0)) == starts
    assert len({image.numpy().tobytes() for image in first[: 16 // starts]}) == 1
    assert not torch.equal(batch.tokens[0, 0], batch.tokens[0, 1])  # but each env its own actions


def test_flat_advantages_reach_the_update(tmp_path):
    """One reward of 1 at the end and one of 0.2: standardised to +1 and -1, for all steps of their episodes."""
    config = replace(ONE_STEP, variant="flat")
    learner = make_learner(config, Ranks())
    batch = with_outcomes(play(learner.policy, config, 0, 1), [1.0] + [0.0] * 14 + [0.2])
    twin = make_learner(config, Ranks()).policy
    learner.update(batch, 1)
    total = torch.zeros(())
    for env, advantage in ((0, 1.0), (15, -1.0)):
        taken = batch.valid[:, env].nonzero().squeeze(-1)
        words = [batch.instructions[env]] * len(taken)
        score = twin.score(batch.images[taken, env], words, batch.tokens[taken, env])
        total = total - advantage * score.logprobs.sum()
    (total / batch.steps).backward()
    expected = torch.cat([p.grad.flatten() for p in twin.backbone_parameters() if p.grad is not None])
    torch.testing.assert_close(gradients(learner), expected, atol=1e-6, rtol=1e-3)


def two_rank_gradients(ranks, folder):
    for variant in ("grouped", "flat"):
        config = replace(ONE_STEP, variant=variant)
        learner = make_learner(config, ranks)
        learner.update(play(learner.policy, config, ranks.rank, ranks.size), 1)
        if ranks.is_main:
            (folder / variant).write_text(json.dumps(gradients(learner).tolist()))


def test_two_ranks_compute_the_gradient_of_one_with_their_environments_together(tmp_path):
    launch(two_rank_gradients, (tmp_path,), ranks=2)
    for variant in ("grouped", "flat"):
        config = replace(ONE_STEP, variant=variant)
        learner = make_learner(config, Ranks())
        learner.update(joined([play(learner.policy, config, rank, 2) for rank in (0, 1)]), 1)
        two = torch.tensor(json.loads((tmp_path / variant).read_text()))
        assert two.abs().max() > 0
        torch.testing.assert_close(two, gradients(learner), atol=1e-6, rtol=0)


def test_mistakes_are_one_line():
    with pytest.raises(RlvlaError, match=r"grpo\.group must be at least 2, got 1"):
        GrpoConfig(group=1)
    with pytest.raises(RlvlaError, match=r"grpo\.minibatch must be positive, got 0"):
        GrpoConfig(minibatch=0)
    with pytest.raises(RlvlaError, match=r"grpo\.group 8 does not divide a rank's 12 environments.*of 16"):
        make_learner(replace(GRPO, group=8, num_envs=24), Ranks(0, 2))
