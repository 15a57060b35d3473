"""The PPO update: its gradient, its stops, and its indifference to how the work is split."""

import json
from dataclasses import replace

import pytest
import torch
from small_world import PPO, gradients, joined, make_learner, play, run_training

from rlvla_core.errors import RlvlaError
from rlvla_core.learning.algorithms.ppo import PpoConfig, PpoLearner
from rlvla_core.learning.distributed import Ranks, launch
from rlvla_core.runs import RunDirectory


def learner_and_batch(config=PPO, ranks=None):
    ranks = ranks or Ranks()
    learner = make_learner(config, ranks)
    return learner, play(learner.policy, config, ranks.rank, ranks.size)


def weights(learner):
    return torch.cat([p.detach().flatten() for p in learner.policy.parameters()])


def one_big_step(**changes):
    """A single minibatch that holds the whole rollout, without momentum left over from before."""
    return replace(PPO, value_warmup_iterations=0, minibatch=10_000, **changes)


def test_micro_batches_do_not_change_the_update():
    results = []
    for micro_batch in (3, 1000):
        learner, batch = learner_and_batch(one_big_step(micro_batch=micro_batch))
        learner.update(batch, 1)
        results.append(gradients(learner))
    torch.testing.assert_close(*results, atol=1e-6, rtol=1e-4)


def test_a_likelier_good_action_after_the_step_and_none_touched_in_value_warm_up():
    learner, batch = learner_and_batch(one_big_step())
    before = {name: p.clone() for name, p in learner.policy.named_parameters()}
    learner.config = replace(learner.config, value_warmup_iterations=1)
    metrics = learner.update(batch, 1)
    assert metrics["kl"] == 0.0 and learner.optimizer.updates == 0
    changed = {name for name, p in learner.policy.named_parameters() if not torch.equal(p, before[name])}
    assert changed and all(name.startswith("value_head") for name in changed)
    metrics = learner.update(batch, 2)
    assert learner.optimizer.updates == 1
    assert metrics["first_ratio_error"] < 1e-3
    advantage = batch.rewards.sum(0) - batch.rewards.sum(0).mean()
    rows = batch.valid[0].nonzero().squeeze(-1)
    score = learner.policy.score(batch.images[0, rows], [batch.instructions[i] for i in rows], batch.tokens[0, rows])
    change = score.logprobs.sum(-1) - batch.logprobs[0, rows]
    assert change[advantage[rows].argmax()] > change[advantage[rows].argmin()]


def test_towers_can_be_left_as_they_are():
    learner, batch = learner_and_batch(replace(PPO, train_vision=False))
    before = {name: value.clone() for name, value in learner.policy.model.state_dict().items()}
    learner.update(batch, PPO.value_warmup_iterations + 1)
    for name, value in learner.policy.model.state_dict().items():
        assert torch.equal(value, before[name]) == name.startswith("vision_backbone."), name


def test_annealed_rates_fall_linearly_to_one_iterations_fraction():
    learner, batch = learner_and_batch(one_big_step(anneal=True, iterations=10, lr_warmup_updates=1))
    for iteration, fraction in ((1, 1.0), (6, 0.5), (10, 0.1)):
        metrics = learner.update(batch, iteration)
        assert metrics["lr"] == pytest.approx(PPO.lr * fraction)
        assert learner.optimizer.adamw.param_groups[1]["lr"] == pytest.approx(PPO.value_lr * fraction)
        learner, batch = learner_and_batch(learner.config)


def two_rank_gradients(ranks, path):
    learner, batch = learner_and_batch(one_big_step(critic="privileged"), ranks)
    learner.update(batch, 1)
    if ranks.is_main:
        path.write_text(json.dumps(gradients(learner).tolist()))


def test_two_ranks_compute_the_gradient_of_one_with_their_environments_together(tmp_path):
    launch(two_rank_gradients, (tmp_path / "gradients",), ranks=2)
    two = torch.tensor(json.loads((tmp_path / "gradients").read_text()))
    config = one_big_step(critic="privileged")
    learner = make_learner(config, Ranks())
    learner.update(joined([play(learner.policy, config, rank, 2) for rank in (0, 1)]), 1)
    torch.testing.assert_close(two, gradients(learner), atol=1e-6, rtol=0)


def test_the_released_scale_multiplies_the_policy_gradient_alone():
    found = {}
    for scale in (0.0, 1.0, 7.0):
        learner, batch = learner_and_batch(one_big_step(policy_loss_scale=scale, max_grad_norm=1e9))
        learner.update(batch, 1)
        found[scale] = gradients(learner)
    policy = found[1.0] - found[0.0]
    torch.testing.assert_close(found[7.0] - found[0.0], 7 * policy, atol=1e-5, rtol=1e-3)


def test_a_rollout_by_another_policy_is_refused():
    learner, batch = learner_and_batch(replace(PPO, value_warmup_iterations=0))
    batch.logprobs.add_(0.01)
    with pytest.raises(RlvlaError, match="ratio must be 1, it is off by"):
        learner.update(batch, 1)


@pytest.mark.parametrize(
    ("poison", "named"), [(lambda b: b.rewards.fill_(float("nan")), "loss"), (lambda b: b.logprobs.fill_(-1e9), "loss")]
)
def test_a_number_that_is_not_finite_stops_the_run_before_it_spoils_the_weights(poison, named):
    learner, batch = learner_and_batch(replace(PPO, value_warmup_iterations=0))
    before = weights(learner)
    poison(batch)
    with pytest.raises(RlvlaError, match=f"iteration 7: the .*{named} is not a finite number"):
        learner.update(batch, 7)
    assert torch.equal(weights(learner), before)


def test_a_run_that_turns_nan_leaves_its_last_checkpoint(tmp_path, monkeypatch):
    run_training(Ranks(), tmp_path / "run", replace(PPO, iterations=2))
    original = PpoLearner._losses

    def poisoned(self, steps, targets, *rest):
        targets.returns.fill_(float("inf"))
        return original(self, steps, targets, *rest)

    monkeypatch.setattr(PpoLearner, "_losses", poisoned)
    with pytest.raises(RlvlaError, match="iteration 3: the value loss is not a finite number"):
        run_training(Ranks(), tmp_path / "run", replace(PPO, iterations=4))
    latest = RunDirectory.open_read_only(tmp_path / "run").checkpoints.latest()
    assert latest.step == 2
    assert all(torch.isfinite(tensor).all() for tensor in latest.tensors.values() if tensor.is_floating_point())


def test_bad_settings_are_one_line():
    with pytest.raises(RlvlaError, match=r"ppo\.minibatch must be positive, got 0"):
        PpoConfig(minibatch=0)
    with pytest.raises(RlvlaError, match=r"clip 1\.5"):
        PpoConfig(clip=1.5)
