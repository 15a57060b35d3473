"""The comparison reads every size from its files: a fixture of odd sizes, made here, must run through.

Its numbers come from transformers' Llama and from our own towers, so this proves that nothing is assumed about sizes;
that the numbers are right is proved by `test_parity.py` and `test_graph.py`.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from small_models import odd_config, random_batch, random_model, write_checkpoint

from rlvla_core.policy.action_codec import ActionCodec
from rlvla_core.policy.image_transform import ImageTransform
from rlvla_core.policy.lora import LoraConfig, inject_lora, load_adapter, save_adapter
from rlvla_core.policy.norm_stats import BRIDGE_ORIG
from rlvla_core.policy.openvla.model import OpenVLA
from rlvla_core.policy.openvla_parity import run_parity
from rlvla_core.policy.value_head import ValueHead, save_value_head

ROWS, EMPTY = 2, 17


def reference(model: OpenVLA, pixels, ids, mask) -> torch.Tensor:
    """Final hidden states of the whole padded batch by transformers' own forward pass."""
    sequence = model.embed(pixels, ids, mask)
    return model.language_model.model(
        inputs_embeds=sequence.embeddings, attention_mask=sequence.visible.long(), position_ids=sequence.positions
    ).last_hidden_state


def greedy(model: OpenVLA, pixels, ids, mask, first: int, last: int) -> torch.Tensor:
    """Seven tokens for each row, recomputing everything for each; only ids first .. last - 1 compete."""
    start = ids.shape[1]
    for _ in range(7):
        logits = model.all_logits(reference(model, pixels, ids, mask)[:, -1:])[:, 0, first:last]
        ids = torch.cat((ids, logits.argmax(-1, keepdim=True) + first), dim=1)
        mask = torch.cat((mask, torch.ones_like(mask[:, :1])), dim=1)
    return ids[:, start:]


def score(model: OpenVLA, head: ValueHead, pixels, ids, mask, tokens) -> dict[str, torch.Tensor]:
    begin, end = model.config.action_token_begin, model.config.action_token_end
    full = torch.cat((ids, tokens, torch.full((len(ids), 1), 2)), dim=1)
    full_mask = torch.cat((mask, torch.ones(len(ids), 8, dtype=mask.dtype)), dim=1)
    hidden = reference(model, pixels, full, full_mask)[:, -9:-2]
    logp = model.all_logits(hidden)[..., begin:end].log_softmax(-1)
    return {
        "eval.input_ids": full,
        "eval.attention_mask": full_mask,
        "eval.actions": tokens,
        "eval.logprob_sum": logp.gather(-1, (tokens - begin)[..., None]).sum((1, 2)),
        "eval.entropy_mean": -(logp.exp() * logp).sum(-1).mean(1),
        "eval.value": head(hidden[:, 0]),
    }


def make_fixture(directory: Path) -> None:
    config = odd_config(dino_depth=5, siglip_depth=4, layers=2)
    model = random_model(config, seed=3)
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(0.5)
    head = ValueHead(config.text.hidden_size, (40, 24))
    head.initialise(generator)
    write_checkpoint(model, directory / "checkpoint")
    save_value_head(head, directory / "value_head.safetensors")
    begin, end = config.action_token_begin, config.action_token_end

    images = torch.randint(0, 256, (ROWS, 40, 50, 3), dtype=torch.uint8, generator=generator)
    _, ids, mask = random_batch(config, (5, 9))
    ids[:, -1] = EMPTY
    pil = ImageTransform(size=config.image_size, resampler="pil")(images)
    pixels = ImageTransform(size=config.image_size)(images)
    codec = ActionCodec(config, BRIDGE_ORIG)
    tokens = torch.randint(begin, end, (ROWS, 7), generator=generator)
    arrays: dict[str, torch.Tensor] = {"img_uint8": images, "pixel_values": pil, "rl.pixel_values": pixels}
    arrays |= {"tok.values": torch.linspace(-1.1, 1.1, 9), "detok.token_ids": torch.arange(begin, end)}
    arrays["tok.ids"] = codec.tokens_of_values(arrays["tok.values"])
    arrays["detok.normalized"] = codec.values_of_tokens(arrays["detok.token_ids"])
    arrays |= {"rl.input_ids": ids, "rl.attention_mask": mask}
    with torch.no_grad():
        towers = model.vision_backbone
        arrays |= {"vis.dino": towers.featurizer(pil[:, :3]), "vis.siglip": towers.fused_featurizer(pil[:, 3:])}
        arrays["proj.out"] = model.projector(towers(pil))
        prompt = ids[1:2, :-1]
        ones = torch.ones_like(prompt)
        sequence = model.embed(pil[:1], prompt, ones)
        output = model.language_model(inputs_embeds=sequence.embeddings, output_hidden_states=True)
        arrays |= {"hf.input_ids": prompt, "hf.hidden_after_layer0": output.hidden_states[1][0]}
        arrays |= {"hf.last_hidden": output.hidden_states[-1][0], "hf.logits_last_full": output.logits[0, -1]}
        arrays["hf.logits_action_slice_last8"] = output.logits[0, -8:, begin:end]
        whole = torch.cat((prompt, torch.tensor([[EMPTY]])), dim=1)
        chosen = greedy(model, pil[:1], whole, torch.ones_like(whole), 0, config.text.vocab_size)
        arrays["hf.generated"] = torch.cat((whole, chosen), dim=1)[0]
        arrays["hf.action_bridge_orig"] = codec.unnormalise(codec.values_of_tokens(chosen[0]))
        text = torch.cat((ids[1:2], tokens[:1]), dim=1)
        labels = torch.cat((torch.full_like(ids[1:2], -100), tokens[:1]), dim=1)
        logits = model.all_logits(reference(model, pil[:1], text, torch.ones_like(text))[:, -8:-1])
        arrays |= {"sft.input_ids": text.repeat(ROWS, 1), "sft.attention_mask": torch.ones(ROWS, text.shape[1])}
        arrays["sft.labels"] = torch.cat((labels, torch.full_like(labels, -100)))
        arrays |= {"sft.loss": F.cross_entropy(logits[0], tokens[0]), "sft.action_logits": logits[..., begin:end]}

        plain = random_model(config, with_dead_modules=False)
        inject_lora(plain, LoraConfig(rank=3, alpha=2))
        for parameter in plain.parameters():
            parameter.normal_(0.0, 0.1, generator=generator)
        save_adapter(plain, directory / "adapter")
        for group in ("rl", "lora"):
            if group == "lora":
                load_adapter(live := random_model(config, with_dead_modules=False), directory / "adapter")
                weights = {name: value for name, value in live.state_dict().items() if ".lora_" in name}
                base = dict(model.state_dict())
                for name in live.state_dict():
                    if ".lora_" not in name:
                        weights[name] = base[name.replace(".base_layer.", ".")]
                live.load_state_dict(weights)
                model = live
                arrays["lora.proj_out"] = model.projector(model.vision_backbone(pixels))
            best = greedy(model, pixels, ids, mask, begin, end)
            rollout = score(model, head, pixels, ids, mask, best)
            arrays |= {f"{group}.greedy_ids": best, f"{group}.value": rollout["eval.value"]}
            arrays[f"{group}.greedy_logprob_sum"] = rollout["eval.logprob_sum"]
            arrays |= {f"{group}.{name}": x for name, x in score(model, head, pixels, ids, mask, tokens).items()}
    np.savez(directory / "parity.npz", **{name: value.numpy() for name, value in arrays.items()})  # type: ignore[arg-type]


def test_a_fixture_of_odd_sizes_runs_through(tmp_path) -> None:
    make_fixture(tmp_path)
    items = list(run_parity(tmp_path))
    assert [f"{item.group}: {item.name} {item.error:.1e}" for item in items if not item.passed] == []
    assert {"vision", "inference", "supervised", "rl", "lora"} <= {item.group for item in items}
