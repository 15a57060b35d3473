"""What the learner relies on: rollout and update agree, draws follow the distribution, weights follow the seed."""

import math
from dataclasses import replace

import pytest
import torch

from rlvla_core.errors import RlvlaError
from rlvla_core.policy.lora import LoraConfig, apply_lora
from rlvla_core.policy.models import preset
from rlvla_core.policy.norm_stats import BRIDGE_ORIG
from rlvla_core.policy.openvla.presets import tiny
from rlvla_core.policy.policy import VLAPolicy
from rlvla_core.policy.tokenizer import tiny_tokenizer


def with_decoding(decoding) -> VLAPolicy:
    return VLAPolicy.from_config(replace(tiny(), decoding=decoding), tiny_tokenizer(), BRIDGE_ORIG, seed=3)


def sharpen(policy: VLAPolicy) -> None:
    """A trained policy is far from uniform; make a fresh one so."""
    with torch.no_grad():
        policy.model.language_model.lm_head.weight.mul_(20)


@pytest.mark.parametrize("decoding", ["autoregressive", "parallel"])
def test_rollout_and_update_agree(decoding, images, instructions) -> None:
    policy = with_decoding(decoding)
    sharpen(policy)
    sample = policy.act(images, instructions, generator=torch.Generator().manual_seed(0))
    score = policy.score(images, instructions, sample.tokens)
    torch.testing.assert_close(score.logprobs, sample.logprobs, rtol=0, atol=1e-5)
    torch.testing.assert_close(score.values, sample.values, rtol=0, atol=1e-5)
    torch.testing.assert_close(policy.value(images, instructions), sample.values, rtol=0, atol=1e-5)
    torch.testing.assert_close(sample.actions, policy.codec.decode(sample.tokens))
    assert score.logits.shape == (3, 7, 256)
    assert sample.actions.dtype == sample.logprobs.dtype == sample.values.dtype == torch.float32
    assert not sample.logprobs.requires_grad


def test_autoregressive_tokens_see_earlier_ones_and_no_later_ones(images, instructions) -> None:
    policy = with_decoding("autoregressive")
    tokens = torch.full((3, 7), policy.config.action_token_begin + 9)
    changed = tokens.clone()
    changed[:, 3] += 100
    with torch.no_grad():
        a, b = (policy.score(images, instructions, t).logits for t in (tokens, changed))
    torch.testing.assert_close(a[:, :4], b[:, :4], rtol=0, atol=1e-6)
    assert ((a - b)[:, 4:].abs().amax(-1) > 1e-4).all()


def test_parallel_logits_do_not_depend_on_the_actions(images, instructions) -> None:
    policy = with_decoding("parallel")
    begin = policy.config.action_token_begin
    with torch.no_grad():
        a, b = (policy.score(images, instructions, torch.full((3, 7), begin + k)) for k in (0, 200))
    assert torch.equal(a.logits, b.logits)
    torch.testing.assert_close(a.logprobs, a.logits.log_softmax(-1)[..., 0])


@pytest.mark.parametrize("decoding", ["autoregressive", "parallel"])
def test_images_and_words_matter(decoding, images, instructions) -> None:
    policy = with_decoding(decoding)
    tokens = torch.full((3, 7), policy.config.action_token_begin)
    with torch.no_grad():
        base = policy.score(images, instructions, tokens).logits
        other_image = policy.score(255 - images, instructions, tokens).logits
        other_words = policy.score(images, ["set banana on rug"] * 3, tokens).logits
    assert ((base - other_image).abs().amax((1, 2)) > 1e-3).all()
    assert ((base - other_words).abs().amax((1, 2)) > 1e-3).all()


def test_temperature_zero_takes_the_most_likely_token(images, instructions) -> None:
    policy = with_decoding("parallel")
    sharpen(policy)
    sample = policy.act(images, instructions, temperature=0.0)
    logits = policy.score(images, instructions, sample.tokens).logits
    assert torch.equal(policy.codec.bin_of(sample.tokens), logits.argmax(-1))


@pytest.mark.parametrize("decoding", ["autoregressive", "parallel"])
def test_draws_follow_the_distribution(decoding, images) -> None:
    """Mean surprise of 200 x 7 draws equals the entropy, within five standard errors; so does it at half temperature
    against the sharper distribution."""
    policy = with_decoding(decoding)
    sharpen(policy)
    n = 200
    many = images[:1].expand(n, -1, -1, -1)
    generator = torch.Generator().manual_seed(0)
    sample = policy.act(many, ["put carrot on plate"] * n, generator=generator)
    entropy = policy.score(many, ["put carrot on plate"] * n, sample.tokens).entropies.detach()
    gap = -sample.logprobs - entropy
    assert abs(float(gap.mean())) < 5 * float(gap.std()) / math.sqrt(gap.numel())
    colder = policy.act(many, ["put carrot on plate"] * n, temperature=0.5, generator=generator)
    assert colder.logprobs.mean() > sample.logprobs.mean() + 0.1


def test_a_generator_makes_draws_repeatable(policy, images, instructions) -> None:
    draws = [policy.act(images, instructions, generator=torch.Generator().manual_seed(7)).tokens for _ in range(2)]
    assert torch.equal(*draws)


def test_weights_follow_the_seed_and_leave_the_global_state_alone() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first = VLAPolicy.from_preset("tiny", BRIDGE_ORIG, seed=5)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(99)
    second = VLAPolicy.from_preset("tiny", BRIDGE_ORIG, seed=5)
    third = VLAPolicy.from_preset("tiny", BRIDGE_ORIG, seed=6)
    pairs = list(zip(first.parameters(), second.parameters(), third.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b, _ in pairs)
    assert any(not torch.equal(a, c) for a, _, c in pairs)


def test_a_fresh_policy_is_nearly_uniform_and_every_weight_learns(policy, images, instructions) -> None:
    tokens = torch.full((3, 7), policy.config.action_token_begin + 40)
    score = policy.score(images, instructions, tokens)
    assert score.entropies.min() > 0.97 * math.log(256)
    (score.logprobs.sum() + score.values.sum()).backward()
    idle = [name for name, p in policy.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert idle == []


def test_a_fresh_adapter_changes_nothing_and_then_learns_alone(policy, images, instructions) -> None:
    tokens = torch.full((3, 7), policy.config.action_token_begin + 40)
    before = policy.score(images, instructions, tokens)
    apply_lora(policy, LoraConfig(rank=4, alpha=8))
    after = policy.score(images, instructions, tokens)
    torch.testing.assert_close(after.logits, before.logits, rtol=0, atol=1e-6)
    (after.logprobs.sum() + after.values.sum()).backward()
    learning = {name for name, parameter in policy.named_parameters() if parameter.grad is not None}
    assert all(".lora_" in name or name.startswith("value_head.") for name in learning)
    assert {name for name, p in policy.named_parameters() if p.requires_grad} == learning
    assert any("lm_head.lora_B" in name for name in learning)
    assert any("patch_embed.proj.lora_A" in name for name in learning)


def test_the_output_layers_adapter_acts_on_the_sliced_logits(policy, images, instructions) -> None:
    apply_lora(policy, LoraConfig(rank=4, alpha=8))
    with torch.no_grad():
        for parameter in policy.backbone_parameters():
            parameter.normal_(0.0, 0.1)
        hidden = policy.score(images, instructions, torch.full((3, 7), policy.config.action_token_begin)).state
        full = policy.model.all_logits(hidden)
        sliced = policy.model.action_logits(hidden)
    rows = slice(policy.config.action_token_begin, policy.config.action_token_end)
    torch.testing.assert_close(sliced, full[:, rows], rtol=1e-4, atol=1e-5)


def test_an_unknown_preset_lists_the_known_ones() -> None:
    with pytest.raises(RlvlaError, match="unknown preset 'huge': choose one of tiny, openvla-7b"):
        preset("huge")


def test_a_missing_instruction_is_named(policy, images) -> None:
    with pytest.raises(RlvlaError, match="3 images came with 1 instructions"):
        policy.act(images, ["put carrot on plate"])
