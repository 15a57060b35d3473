"""Who estimates values, and from what: the paper's ablations of the critic."""

import json
from dataclasses import replace

import pytest
import torch
from small_world import PPO, gradients, journal, make_learner, play, run_training, small_policy

from rlvla_core.errors import RlvlaError
from rlvla_core.learning.algorithms.ppo import PpoConfig
from rlvla_core.learning.distributed import Ranks
from rlvla_core.learning.rollout import Steps
from rlvla_core.policy.bundle import load_bundle, save_bundle
from rlvla_core.runs import RunDirectory

INPUTS = ("first", "last", "all")
ONE_STEP = replace(PPO, value_warmup_iterations=0, minibatch=10_000, max_grad_norm=1e9)


@pytest.mark.parametrize("decoding", ["autoregressive", "parallel"])
@pytest.mark.parametrize("critic_input", INPUTS)
def test_the_head_reads_the_states_it_is_told_to(decoding, critic_input):
    policy = small_policy(decoding)
    policy.read_values_from(critic_input, seed=1)
    batch = play(policy, PPO, 0, 1)
    rows = batch.valid[0].nonzero().squeeze(-1)
    words = [batch.instructions[i] for i in rows]
    images, tokens = batch.images[0, rows], batch.tokens[0, rows]
    score = policy.score(images, words, tokens)
    torch.testing.assert_close(score.values, batch.values[0, rows], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(policy.value(images, words, tokens), score.values, atol=1e-5, rtol=1e-4)
    assert score.state.shape[1] == policy.config.text.hidden_size * (7 if critic_input == "all" else 1)
    # What has been chosen can only be seen by the later states, and only where they are fed the choices.
    others = torch.full_like(tokens, policy.config.action_token_begin)
    same = torch.allclose(policy.score(images, words, others).values, score.values, atol=1e-6)
    assert same == (critic_input == "first" or decoding == "parallel")


def test_without_an_action_the_value_is_that_of_the_most_likely_one():
    policy = small_policy("autoregressive")
    policy.read_values_from("last", seed=1)
    batch = play(policy, PPO, 0, 1)
    images, words = batch.images[0], batch.instructions
    greedy = policy.act(images, words, temperature=0.0)
    torch.testing.assert_close(policy.value(images, words), greedy.values, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("critic_input", INPUTS)
def test_a_bundle_records_what_its_head_reads(critic_input, tmp_path):
    policy = small_policy()
    policy.read_values_from(critic_input, seed=1)
    save_bundle(policy, tmp_path / "bundle", deploy=None, provenance={})
    loaded = load_bundle(tmp_path / "bundle")
    assert loaded.config == policy.config
    images = torch.randint(0, 256, (3, 32, 32, 3), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    assert torch.equal(policy.value(images, ["move"] * 3), loaded.value(images, ["move"] * 3))


def test_a_bundle_from_before_there_was_a_choice_reads_the_first_state(tmp_path):
    policy = small_policy()
    save_bundle(policy, tmp_path / "bundle", deploy=None, provenance={})
    for name, forget in (("config.json", lambda d: d["rlvla"].pop("critic_input")), ("provenance.json", forget_hash)):
        data = json.loads((tmp_path / "bundle" / name).read_text())
        forget(data)
        (tmp_path / "bundle" / name).write_text(json.dumps(data))
    loaded = load_bundle(tmp_path / "bundle")
    assert loaded.config == policy.config and loaded.config.critic_input == "first"


def forget_hash(provenance):
    provenance["files"].pop("config.json")


def test_a_head_that_reads_the_right_thing_already_is_kept():
    policy = small_policy()
    head = policy.value_head
    policy.read_values_from("first", seed=5)
    assert policy.value_head is head


@pytest.mark.parametrize("critic", ["shared", "separate"])
def test_a_critic_on_the_backbone_starts_with_the_policys_values(critic):
    learner = make_learner(replace(ONE_STEP, critic=critic), Ranks())
    batch = play(learner.policy, ONE_STEP, 0, 1)
    values, final_values = learner.critic.rollout_values(batch, Ranks())
    torch.testing.assert_close(values, batch.values, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(final_values, batch.final_values, atol=1e-5, rtol=1e-4)
    steps = Steps(batch)
    of_steps = learner.critic.values(steps, steps.valid)
    torch.testing.assert_close(of_steps, values.flatten()[steps.valid], atol=1e-5, rtol=1e-4)


def test_a_separate_critic_shares_no_gradient_with_the_policy():
    """Without a policy loss, what reaches the policy's graph is the value loss: all of it, or none."""
    reached = {}
    for critic in ("shared", "separate"):
        config = replace(ONE_STEP, critic=critic, policy_loss_scale=0.0)
        learner = make_learner(config, Ranks())
        learner.update(play(learner.policy, config, 0, 1), 1)
        reached[critic] = float(gradients(learner).abs().max())
    assert reached["shared"] > 0.0 and reached["separate"] == 0.0
    backbone, head = (group["params"] for group in learner.optimizer.adamw.param_groups[1:])
    assert max(float(p.grad.abs().max()) for p in backbone if p.grad is not None) > 0.0
    assert all(p.grad is not None for p in head)
    own = {id(p) for p in learner.policy.parameters()}
    assert not own & {id(p) for p in [*backbone, *head]}
    assert [group["lr"] for group in learner.optimizer.adamw.param_groups] == [PPO.lr, PPO.lr, PPO.value_lr]


@pytest.mark.parametrize(
    "changes", [{"critic": "separate"}, {"critic_input": "all"}, {"critic": "separate", "critic_input": "last"}]
)
def test_runs_with_other_critics_resume_exactly_and_leave_them_out_of_the_bundle(changes, tmp_path):
    config = replace(PPO, iterations=3, verify_episodes=0, **changes)
    run_training(Ranks(), tmp_path / "whole", config)
    run_training(Ranks(), tmp_path / "parts", replace(config, iterations=2))
    run_training(Ranks(), tmp_path / "parts", config)
    assert journal(tmp_path / "whole") == journal(tmp_path / "parts")
    whole, parts = (load_bundle(tmp_path / name / "policy") for name in ("whole", "parts"))
    assert whole.config.critic_input == ("first" if "critic" in changes else config.critic_input)
    assert all(torch.equal(value, parts.state_dict()[name]) for name, value in whole.state_dict().items())
    expected = small_policy()
    expected.read_values_from(whole.config.critic_input, seed=0)
    assert whole.state_dict().keys() == expected.state_dict().keys()
    records = RunDirectory.open_read_only(tmp_path / "whole").journal.read()
    assert records[1]["value_loss"] != records[0]["value_loss"]


def test_an_input_for_a_critic_that_reads_no_image_is_refused():
    with pytest.raises(RlvlaError, match=r"ppo\.critic_input last has no meaning for critic `privileged`"):
        PpoConfig(critic="privileged", critic_input="last")
