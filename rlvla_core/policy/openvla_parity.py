"""Compare this implementation's numbers with recorded numbers of the original OpenVLA classes, item by item.

It stands above the folder of the model, because it looks at the whole policy: image transform, codec, LoRA, critic.

A fixture is a directory with `checkpoint/`, `value_head.safetensors`, `adapter/`, `parity.npz` and optional name lists
of the 7B model. Every size is read from it, so any depth, width and seed will do. docs/reference/model.md lists the
arrays.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from rlvla_core.errors import RlvlaError
from rlvla_core.policy.action_codec import ActionCodec
from rlvla_core.policy.image_transform import ImageTransform
from rlvla_core.policy.lora import load_adapter, lora_modules
from rlvla_core.policy.norm_stats import BRIDGE_ORIG
from rlvla_core.policy.openvla.checkpoint import load_model
from rlvla_core.policy.openvla.decode import action_hidden, decode
from rlvla_core.policy.openvla.llama import KVCache, causal_mask, decoder_layer
from rlvla_core.policy.openvla.model import OpenVLA
from rlvla_core.policy.openvla.presets import openvla_7b
from rlvla_core.policy.openvla.tensors import expected_tensors, meta_model
from rlvla_core.policy.sight import MIN_IMAGE_EFFECT, image_effect
from rlvla_core.policy.token_distribution import token_entropies, token_logprobs
from rlvla_core.policy.tokenizer import PromptTokenizer
from rlvla_core.policy.value_head import ValueHead, load_value_head
from rlvla_core.storage.json_files import read_json, read_json_value

LOGITS = 5e-5
"""Largest allowed error of logits, log-probabilities and hidden states. The smallest real mistake that was tried (a
wrong RMSNorm epsilon) gives 1.3e-4."""
LOGPROB_SUM = 1e-4
"""Largest allowed error of the sum of seven log-probabilities, each of which may be off by `LOGITS`."""
VALUES = 1e-5
"""Largest allowed error of pixels, critic values and sliced logits, which take few steps of arithmetic."""
LORA_PROJECTOR = 2e-4
"""Largest allowed error of the adapted projector's output."""
RECORD_AGAIN = "record the fixture again"
"""What a user can do about a damaged file of a fixture."""
BF16_FRACTION = 1e-4
"""Fraction of bfloat16 pixels that may differ, each by one unit in the last place."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One compared quantity: its largest error and the allowed one."""

    group: str
    """Part of the policy, e.g. `vision`."""
    name: str
    """What is compared."""
    error: float
    """Largest absolute error; for tokens and names, the number of differences."""
    tolerance: float
    """Largest allowed error; 0 for tokens and names."""

    @property
    def passed(self) -> bool:
        """Whether the error is allowed."""
        return self.error <= self.tolerance  # False for NaN


class Arrays:
    """The arrays of parity.npz as tensors, by name. Raises RlvlaError for a missing file or array."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise RlvlaError(f"{path} is missing: name a parity fixture directory")
        try:
            with np.load(path, allow_pickle=False) as file:
                self._data = {name: file[name] for name in file.files}
        except (ValueError, OSError) as error:
            raise RlvlaError(f"{path} is not a readable npz file: {error}") from None

    def __getitem__(self, name: str) -> torch.Tensor:
        if name not in self._data:
            raise RlvlaError(f"parity.npz lacks the array {name}")
        return torch.from_numpy(np.array(self._data[name]))

    def __contains__(self, name: str) -> bool:
        return name in self._data

    def names(self, prefix: str) -> list[str]:
        """Array names that start with `prefix`, sorted."""
        return sorted(name for name in self._data if name.startswith(prefix))

    def strings(self, name: str) -> list[str]:
        """An array of text as a list."""
        return [str(x) for x in self._data[name]]


def _difference(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    if ours.numel() != theirs.numel():
        return math.inf
    return float((ours.detach().double().reshape(-1) - theirs.double().reshape(-1)).abs().max())


def _close(group: str, name: str, ours: torch.Tensor, theirs: torch.Tensor, tolerance: float = LOGITS) -> Item:
    return Item(group=group, name=name, error=_difference(ours, theirs), tolerance=tolerance)


def _scaled(group: str, name: str, ours: torch.Tensor, theirs: torch.Tensor, tolerance: float = LOGITS) -> Item:
    """Compare tensors of any magnitude: the tolerance grows with the largest recorded value beyond 1."""
    return _close(group, name, ours, theirs, tolerance * max(1.0, float(theirs.double().abs().max())))


def _equal(group: str, name: str, ours: torch.Tensor, theirs: torch.Tensor) -> Item:
    differences = math.inf if ours.numel() != theirs.numel() else float((ours.reshape(-1) != theirs.reshape(-1)).sum())
    return Item(group=group, name=name, error=differences, tolerance=0)


def run_parity(directory: Path, tokenizer_file: Path | None = None) -> Iterator[Item]:
    """Compare everything that the fixture holds, in the order in which an image passes through the model.

    tokenizer_file: a Llama-2 tokenizer.json, to compare prompt ids too. Raises RlvlaError for an unreadable fixture.
    """
    arrays = Arrays(directory / "parity.npz")
    model = load_model(directory / "checkpoint")
    value_head = load_value_head(directory / "value_head.safetensors")
    yield from _images(arrays, model)
    yield from _tokens(arrays, model)
    if tokenizer_file is not None:
        yield from _prompts(directory, tokenizer_file)
    with torch.no_grad():
        yield from _vision(arrays, model)
        yield from _inference(arrays, model)
        yield from _supervised(arrays, model)
        yield from _rollout("rl", arrays, model, value_head)
        if "rl.eval_greedy.actions" in arrays:
            yield from _evaluation("rl", "eval_greedy", arrays, model, value_head)
    yield from _evaluation("rl", "eval", arrays, model, value_head)
    with torch.no_grad():
        load_adapter(model, directory / "adapter")
        patches = model.patches(arrays["rl.pixel_values"])
        yield _scaled("lora", "projector", patches, arrays["lora.proj_out"], LORA_PROJECTOR)
        yield from _rollout("lora", arrays, model, value_head)
        yield from _evaluation("lora", "eval", arrays, model, value_head)
    yield from _names(directory)


def _images(arrays: Arrays, model: OpenVLA) -> Iterator[Item]:
    size = model.config.image_size
    images = arrays["img_uint8"]
    tensor, pil = ImageTransform(size=size), ImageTransform(size=size, resampler="pil")
    yield _close("images", "tensor path, float32", tensor(images), arrays["rl.pixel_values"], VALUES)
    yield _close("images", "PIL path", pil(images), arrays["pixel_values"], VALUES)
    for name in arrays.names("pre.letterbox"):
        box = ImageTransform(size=arrays[name].shape[-1], resampler="pil", strategy="letterbox")
        yield _close("images", "PIL path, letterbox", box(images[:1]), arrays[name], VALUES)
    for frame_name in arrays.names("pre.img_uint8_"):
        frame = arrays[frame_name][None]
        for name in arrays.names("pre.pil_resized_uint8_"):
            resized = ImageTransform(size=arrays[name].shape[0], resampler="pil").resize(frame)
            theirs = arrays[name].permute(2, 0, 1)
            yield _equal("images", "PIL resize of a frame, grey levels", resized, theirs)
        for name in arrays.names("pre.tensor_f32_resized"):
            resized = ImageTransform(size=arrays[name].shape[-1]).resize(frame)
            # Recorded as float16: half a unit in the last place at 256 is 0.125.
            yield _close("images", "tensor resize of a frame, grey levels", resized, arrays[name].float(), 0.13)
        for name in arrays.names("pre.tensor_bf16_bits"):
            bits = arrays[name]
            ours = ImageTransform(size=bits.shape[-1], dtype=torch.bfloat16)(frame)[0]
            theirs = bits.view(torch.bfloat16)
            fraction = float((ours != theirs).float().mean())
            unit = 2.0**-7 * float(theirs.float().abs().max())
            yield _close("images", "tensor path, bfloat16", ours, theirs, unit)
            yield Item(group="images", name="tensor path, bfloat16: fraction", error=fraction, tolerance=BF16_FRACTION)


def _tokens(arrays: Arrays, model: OpenVLA) -> Iterator[Item]:
    codec = ActionCodec(model.config, BRIDGE_ORIG)
    yield _equal("tokens", "value -> token table", codec.tokens_of_values(arrays["tok.values"]), arrays["tok.ids"])
    values = codec.values_of_tokens(arrays["detok.token_ids"])
    yield _close("tokens", "token -> value table", values, arrays["detok.normalized"], 1e-12)
    if "detok.vocab_size" in arrays:
        end = torch.tensor(model.config.action_token_end)
        yield _equal("tokens", "end of the action tokens", end, arrays["detok.vocab_size"])


def _prompts(directory: Path, tokenizer_file: Path) -> Iterator[Item]:
    tokenizer = PromptTokenizer.from_file(tokenizer_file)
    prompts = read_json(directory / "prompt_ids.json", RECORD_AGAIN)["prompts"]
    wrong = sum(list(tokenizer.prompt_ids(text)) != ids["with_space"] for text, ids in prompts.items())
    yield Item(group="tokens", name=f"ids of {len(prompts)} prompts", error=wrong, tolerance=0)


def _vision(arrays: Arrays, model: OpenVLA) -> Iterator[Item]:
    pixels = arrays["pixel_values"]
    towers = model.vision_backbone
    yield _scaled("vision", "DINO tower", towers.featurizer(pixels[:, :3]), arrays["vis.dino"])
    yield _scaled("vision", "SigLIP tower", towers.fused_featurizer(pixels[:, 3:]), arrays["vis.siglip"])
    yield _scaled("vision", "projector", model.patches(pixels), arrays["proj.out"])
    empty = int(arrays["rl.input_ids"][0, -1])
    blind = not image_effect(model, empty) > MIN_IMAGE_EFFECT
    yield Item(group="vision", name="black and white images give equal logits", error=float(blind), tolerance=0)


def _inference(arrays: Arrays, model: OpenVLA) -> Iterator[Item]:
    """Compare the original batch of one, decoded greedily over the whole vocabulary."""
    begin, end = model.config.action_token_begin, model.config.action_token_end
    pixels, ids = arrays["pixel_values"][:1], arrays["hf.input_ids"]
    sequence = model.embed(pixels, ids, torch.ones_like(ids))
    length = sequence.embeddings.shape[1]
    llama = model.language_model.model
    cos, sin = (x[:, None] for x in llama.rotary_emb(sequence.embeddings, sequence.positions))
    mask = causal_mask(sequence.visible, length, sequence.embeddings.dtype)
    first = decoder_layer(llama.layers[0], 0, sequence.embeddings, cos, sin, mask, None, length)
    yield _scaled("inference", "hidden states after layer 0", first, arrays["hf.hidden_after_layer0"])
    hidden = model.hidden(sequence.embeddings, sequence.visible, sequence.positions, last=length)
    yield _scaled("inference", "final hidden states", hidden, arrays["hf.last_hidden"])
    recorded = arrays["hf.logits_action_slice_last8"]
    logits = model.all_logits(hidden[:, -len(recorded) :])
    yield _close("inference", "action logits", logits[..., begin:end], recorded)
    yield _close("inference", "logits, whole vocabulary", logits[:, -1], arrays["hf.logits_last_full"])
    yield _close("inference", "sliced logits", model.action_logits(hidden[:, -1]), logits[:, -1, begin:end], VALUES)

    generated = arrays["hf.generated"]
    prompt = torch.cat((ids[0], generated[ids.shape[1] : ids.shape[1] + 1]))  # the original appends the empty token
    tokens = _greedy_full(model, pixels, prompt[None], len(generated) - len(prompt))
    yield _equal("inference", "greedy tokens", torch.cat((prompt, tokens)), generated)
    for name in arrays.names("hf.action_"):
        key = name.removeprefix("hf.action_")
        if key not in model.config.norm_stats:
            raise RlvlaError(f"config.json holds no norm_stats called {key}, which parity.npz has an action for")
        codec = ActionCodec(model.config, model.config.norm_stats[key])
        action = codec.unnormalise(codec.values_of_tokens(tokens))
        yield _close("inference", f"predicted action, {key}", action, arrays[name], 1e-9)


def _greedy_full(model: OpenVLA, pixels: torch.Tensor, ids: torch.Tensor, count: int) -> torch.Tensor:
    sequence = model.embed(pixels, ids, torch.ones_like(ids))
    visible, position = sequence.visible, sequence.positions
    cache = KVCache(visible.shape[1] + count)
    embeddings, tokens = sequence.embeddings, []
    for _ in range(count):
        hidden = model.hidden(embeddings, visible, position, last=1, cache=cache)
        tokens.append(model.all_logits(hidden[:, -1]).argmax(-1))
        embeddings = model.embed_tokens(tokens[-1][:, None])
        visible = torch.cat((visible, visible.new_ones(1, 1)), dim=1)
        position = position[:, -1:] + 1
    return torch.cat(tokens)


def _supervised(arrays: Arrays, model: OpenVLA) -> Iterator[Item]:
    """Compare a right-padded batch with labels: cross-entropy over the whole vocabulary."""
    begin, end = model.config.action_token_begin, model.config.action_token_end
    labels = arrays["sft.labels"]
    sequence = model.embed(arrays["pixel_values"], arrays["sft.input_ids"], arrays["sft.attention_mask"])
    hidden = model.hidden(sequence.embeddings, sequence.visible, sequence.positions, last=sequence.embeddings.shape[1])
    gap = labels.new_full((len(labels), model.config.patches), -100)
    spliced = torch.cat((labels[:, :1], gap, labels[:, 1:]), dim=1)
    logits = model.all_logits(hidden[:, :-1])
    loss = F.cross_entropy(logits.flatten(0, 1), spliced[:, 1:].flatten(), ignore_index=-100)
    yield _close("supervised", "loss", loss, arrays["sft.loss"])
    is_action = (spliced[:, 1:] >= begin) & (spliced[:, 1:] < end)
    yield _close("supervised", "action logits", logits[is_action][:, begin:end], arrays["sft.action_logits"])


def _rollout(group: str, arrays: Arrays, model: OpenVLA, value_head: ValueHead) -> Iterator[Item]:
    """Compare the left-padded batch, decoded with the cache over the action tokens only."""
    sequence = model.embed(arrays["rl.pixel_values"], arrays["rl.input_ids"], arrays["rl.attention_mask"])
    empty = int(arrays["rl.input_ids"][0, -1])
    result = decode(model, sequence, decoding="autoregressive", empty_token_id=empty, temperature=0.0)
    yield _equal(group, "rollout: greedy tokens", result.tokens, arrays[f"{group}.greedy_ids"])
    yield _close(
        group, "rollout: log-probability", result.logprobs.sum(1), arrays[f"{group}.greedy_logprob_sum"], LOGPROB_SUM
    )
    yield _scaled(group, "rollout: value", value_head(result.hidden[:, 0]), arrays[f"{group}.value"], VALUES)


def _evaluation(group: str, part: str, arrays: Arrays, model: OpenVLA, value_head: ValueHead) -> Iterator[Item]:
    """Compare teacher forcing on recorded actions; where gradients are recorded, the backward pass too."""
    key = f"{group}.{part}"
    label = "evaluation" if part == "eval" else "evaluation of greedy actions"
    ids, mask, tokens = (arrays[f"{key}.{name}"] for name in ("input_ids", "attention_mask", "actions"))
    text = ids.shape[1] - tokens.shape[1]  # columns before the actions; one less where an end token follows them
    if not torch.equal(ids[:, text:], tokens):
        text -= 1
    pixels = arrays["rl.pixel_values"]
    sequence = model.embed(pixels, ids[:, :text], mask[:, :text])
    hidden = action_hidden(model, sequence, tokens, "autoregressive", int(ids[0, text - 1]))
    logits = model.action_logits(hidden)
    logprobs = token_logprobs(logits, tokens - model.config.action_token_begin)
    entropies = token_entropies(logits)
    values = value_head(hidden[:, 0])
    compared: dict[str, tuple[torch.Tensor, Callable[..., Item], float]] = {
        "action_logits": (logits, _close, LOGITS),
        "token_logprobs": (logprobs, _close, LOGITS),
        "logprob_sum": (logprobs.sum(1), _close, LOGPROB_SUM),
        "entropy_mean": (entropies.mean(1), _close, LOGITS),
        "value": (values, _scaled, VALUES),
        "value_hidden": (hidden[:, 0], _scaled, LOGITS),
    }
    for name, (ours, compare, tolerance) in compared.items():
        if f"{key}.{name}" in arrays:
            yield compare(group, f"{label}: {name}", ours, arrays[f"{key}.{name}"], tolerance)
    if f"{key}.position_ids" in arrays:
        with torch.no_grad():
            positions = model.embed(pixels, ids, mask).positions
        yield _equal(group, f"{label}: position ids", positions, arrays[f"{key}.position_ids"])
    if f"{key}.scalar" in arrays:
        scalar = 0.7 * logprobs.sum(1).mean() + values.pow(2).mean() - 0.1 * entropies.mean(1).mean()
        yield _scaled(group, f"{label}: scalar", scalar, arrays[f"{key}.scalar"])
        scalar.backward()
        yield from _gradients(group, arrays, model, value_head)


def _gradients(group: str, arrays: Arrays, model: OpenVLA, value_head: ValueHead) -> Iterator[Item]:
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    gradients |= {f"value_head.{name}": parameter.grad for name, parameter in value_head.named_parameters()}
    head = gradients["language_model.lm_head.weight"]
    if head is not None:
        rows = slice(model.config.action_token_begin, model.config.action_token_end)
        gradients["lm_head_action_rows"] = head[rows]
    for key in arrays.names(f"{group}.grad."):
        name = key.removeprefix(f"{group}.grad.")
        ours = gradients.get(name)
        if ours is None:
            yield Item(group="gradients", name=name, error=math.inf, tolerance=LOGITS)
        else:
            yield _scaled("gradients", name, ours, arrays[key])
    if f"{group}.grad_none" in arrays:
        names = arrays.strings(f"{group}.grad_none")
        wrong = sum(gradients.get(name) is not None for name in names)
        yield Item(group="gradients", name=f"{len(names)} unused tensors have none", error=wrong, tolerance=0)
    model.zero_grad(set_to_none=True)
    value_head.zero_grad(set_to_none=True)


def _names(directory: Path) -> Iterator[Item]:
    """Compare the 7B model's tensor and LoRA module names, without its weights."""
    config = openvla_7b()
    keys, modules = directory / "keys_full_7b.json", directory / "lora_modules_full_7b.json"
    if keys.is_file():
        theirs = {name: tuple(shape) for name, shape in read_json(keys, RECORD_AGAIN).items()}
        differences = len(set(theirs.items()) ^ set(expected_tensors(config).all.items()))
        yield Item(group="7B", name=f"{len(theirs)} tensor names and shapes", error=differences, tolerance=0)
    if modules.is_file():
        listed = set(read_json_value(modules, RECORD_AGAIN))
        ours = set(lora_modules(meta_model(config, with_dead_modules=True), OpenVLA.lora_targets))
        yield Item(group="7B", name=f"{len(listed)} LoRA modules", error=len(listed ^ ours), tolerance=0)
