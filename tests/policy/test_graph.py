"""The graph against independent computations: written-out formulas, transformers' own forward pass, public counts."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from small_models import odd_config, random_batch, random_model

from rlvla_core.policy.lora import LoraConfig, adapted_modules, inject_lora, lora_modules
from rlvla_core.policy.openvla.decode import action_hidden, decode
from rlvla_core.policy.openvla.model import OpenVLA
from rlvla_core.policy.openvla.presets import openvla_7b
from rlvla_core.policy.openvla.tensors import expected_tensors, meta_model
from rlvla_core.policy.openvla.vit import VisionTower

CLOSE: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-4}


def slow_tower(tower: VisionTower, pixels: torch.Tensor) -> torch.Tensor:
    """One image [3, S, S] -> [P, D]: patch by patch, head by head, from the definition."""
    w = dict(tower.state_dict())
    c = tower.config
    side = c.image_size // c.patch_size

    def norm(x, name):
        x = (x - x.mean(-1, keepdim=True)) / torch.sqrt(x.var(-1, keepdim=True, unbiased=False) + 1e-6)
        return x * w[f"{name}.weight"] + w[f"{name}.bias"]

    def linear(x, name):
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    rows = []
    for r in range(side):
        for q in range(side):
            patch = pixels[:, r * c.patch_size : (r + 1) * c.patch_size, q * c.patch_size : (q + 1) * c.patch_size]
            rows.append(w["patch_embed.proj.weight"].flatten(1) @ patch.flatten() + w["patch_embed.proj.bias"])
    x = torch.stack(rows) + w["pos_embed"][0]
    prefix = [w[name][0] for name in ("cls_token", "reg_token") if name in w]
    x = torch.cat([*prefix, x])
    for index in range(c.depth - 1):
        block = f"blocks.{index}"
        q, k, v = linear(norm(x, f"{block}.norm1"), f"{block}.attn.qkv").chunk(3, dim=-1)
        d = c.width // c.heads
        heads = []
        for h in range(c.heads):
            part = slice(h * d, (h + 1) * d)
            heads.append(torch.softmax(q[:, part] @ k[:, part].T / math.sqrt(d), dim=-1) @ v[:, part])
        branch = linear(torch.cat(heads, dim=-1), f"{block}.attn.proj")
        x = x + branch * w.get(f"{block}.ls1.scale_factor", 1.0)
        y = linear(norm(x, f"{block}.norm2"), f"{block}.mlp.fc1")
        y = y * 0.5 * (1 + torch.erf(y / math.sqrt(2)))
        x = x + linear(y, f"{block}.mlp.fc2") * w.get(f"{block}.ls2.scale_factor", 1.0)
    return x[c.class_token + c.registers :]


def test_towers_match_the_written_out_formula() -> None:
    model = random_model(odd_config())
    pixels, _, _ = random_batch(model.config)
    with torch.no_grad():
        dino = model.vision_backbone.featurizer(pixels[:, :3])
        siglip = model.vision_backbone.fused_featurizer(pixels[:, 3:])
        torch.testing.assert_close(dino[1], slow_tower(model.vision_backbone.featurizer, pixels[1, :3]), **CLOSE)
        torch.testing.assert_close(
            siglip[1], slow_tower(model.vision_backbone.fused_featurizer, pixels[1, 3:]), **CLOSE
        )
        both = model.vision_backbone(pixels)
    assert torch.equal(both, torch.cat((dino, siglip), dim=-1))


@pytest.mark.parametrize("kv_heads", [3, 1])
def test_our_llama_order_of_calls_matches_transformers(kv_heads: int) -> None:
    model = random_model(odd_config(kv_heads=kv_heads))
    with torch.no_grad():
        sequence = model.embed(*random_batch(model.config))
        reference = model.language_model(
            inputs_embeds=sequence.embeddings,
            attention_mask=sequence.visible.long(),
            position_ids=sequence.positions,
            output_hidden_states=True,
        )
        hidden = model.hidden(sequence.embeddings, sequence.visible, sequence.positions, last=3)
    torch.testing.assert_close(hidden, reference.hidden_states[-1][:, -3:], **CLOSE)
    begin, end = model.config.action_token_begin, model.config.action_token_end
    expected = reference.logits[:, -3:, begin:end]
    torch.testing.assert_close(model.action_logits(hidden), expected, **CLOSE)


@pytest.mark.parametrize("decoding", ["autoregressive", "parallel"])
def test_cached_decoding_matches_greedy_search_without_a_cache(decoding) -> None:
    """The slow way: one sample at a time, no padding, the whole sequence through transformers for each token."""
    model = random_model(odd_config())
    begin, end = model.config.action_token_begin, model.config.action_token_end
    pixels, ids, mask = random_batch(model.config)
    empty = 17
    with torch.no_grad():
        fast = decode(model, model.embed(pixels, ids, mask), decoding=decoding, empty_token_id=empty, temperature=0.0)
        for row in range(len(ids)):
            prompt = ids[row][mask[row].bool()]
            tokens: list[int] = []
            logprob = []
            for _ in range(7):
                text = torch.cat(
                    (prompt, torch.tensor(tokens if decoding == "autoregressive" else [empty] * len(tokens)))
                )
                embedded = model.language_model.model.embed_tokens(text.long())
                patches = model.projector(model.vision_backbone(pixels[row : row + 1]))[0]
                whole = torch.cat((embedded[:1], patches, embedded[1:]))[None]
                logits = model.language_model(inputs_embeds=whole).logits[0, -1, begin:end]
                tokens.append(begin + int(logits.argmax()))
                logprob.append(F.log_softmax(logits, -1).max())
            assert fast.tokens[row].tolist() == tokens
            torch.testing.assert_close(fast.logprobs[row], torch.stack(logprob), **CLOSE)


def test_padding_changes_nothing() -> None:
    model = random_model(odd_config())
    pixels, ids, mask = random_batch(model.config)
    tokens = torch.full((3, 7), model.config.action_token_begin + 5)
    with torch.no_grad():
        together = action_hidden(model, model.embed(pixels, ids, mask), tokens, "autoregressive", 0)
        for row in range(3):
            prompt = ids[row][mask[row].bool()][None]
            alone = model.embed(pixels[row : row + 1], prompt, torch.ones_like(prompt))
            single = action_hidden(model, alone, tokens[:1], "autoregressive", 0)
            torch.testing.assert_close(together[row], single[0], **CLOSE)


def test_layer_recomputation_gives_the_same_gradients() -> None:
    model = random_model(odd_config(), with_dead_modules=False)
    batch = random_batch(model.config)

    def gradients() -> list[torch.Tensor]:
        hidden = action_hidden(model, model.embed(*batch), None, "parallel", 17)
        return list(torch.autograd.grad(model.action_logits(hidden).logsumexp(-1).sum(), list(model.parameters())))

    plain = gradients()
    model.gradient_checkpointing = True
    for ours, theirs in zip(gradients(), plain, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_all_tensors_of_the_7b() -> None:
    expected = expected_tensors(openvla_7b())
    assert len(expected.all) == 982
    assert sum(math.prod(shape) for shape in expected.all.values()) == 7_541_237_184
    assert expected.all["vision_backbone.fused_featurizer.blocks.26.mlp.fc1.weight"] == (4304, 1152)
    assert expected.all["projector.fc1.weight"] == (8704, 2176)
    assert all(
        ".blocks.23." in name or ".blocks.26." in name or ".norm." in name or ".attn_pool." in name
        for name in expected.dead
    )


def test_all_lora_modules_of_the_7b() -> None:
    model: OpenVLA = meta_model(openvla_7b(), with_dead_modules=True)
    names = lora_modules(model, OpenVLA.lora_targets)
    assert len(names) == 439
    inject_lora(model, LoraConfig(rank=32))
    assert adapted_modules(model) == names
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == 110_828_288
