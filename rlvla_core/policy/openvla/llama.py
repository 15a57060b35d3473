"""The language model's forward pass over the weights of transformers' `LlamaForCausalLM`.

The module tree, the tensor names and every parameter belong to transformers; only the order of calls is ours. That
buys two things that matter here: the last layer runs only at the positions whose output is read (7 of about 80 for
`tiny`, which is 27 % less work), and the key-value cache is two plain tensors per layer. Sub-modules are called as
modules, so LoRA adapters act. Shapes: B batch, L positions, H heads, D head width.

transformers is imported only when a model is built: that takes seconds, and many processes hand a policy on without
loading it.
"""

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

from rlvla_core.policy.openvla.config import TextConfig

if TYPE_CHECKING:
    from transformers import LlamaConfig, LlamaForCausalLM
    from transformers.models.llama.modeling_llama import LlamaDecoderLayer


def build_llama(config: TextConfig, pad_token_id: int) -> "LlamaForCausalLM":
    """transformers' Llama of these sizes with random weights; output layer not tied to the embeddings, no biases."""
    from transformers import LlamaForCausalLM

    return LlamaForCausalLM(_hf_config(config, pad_token_id))


def _hf_config(config: TextConfig, pad_token_id: int) -> "LlamaConfig":
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=config.vocab_size,
        hidden_size=config.hidden_size,
        intermediate_size=config.intermediate_size,
        num_hidden_layers=config.num_hidden_layers,
        num_attention_heads=config.num_attention_heads,
        num_key_value_heads=config.kv_heads,
        rms_norm_eps=config.rms_norm_eps,
        rope_parameters={"rope_type": "default", "rope_theta": config.rope_theta},
        max_position_embeddings=config.max_position_embeddings,
        bos_token_id=config.bos_token_id,
        eos_token_id=config.eos_token_id,
        pad_token_id=pad_token_id,
    )


def restore_rotary_buffers(llama: "LlamaForCausalLM") -> None:
    """Recompute the rotary frequencies of a model that was built on the meta device.

    They are no tensors of the checkpoint, so loading one does not fill them in.
    """
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

    llama.model.rotary_emb = LlamaRotaryEmbedding(llama.config)


class KVCache:
    """Keys and values of all layers, [B, H, capacity, D] each, filled from the left. For inference only."""

    def __init__(self, capacity: int) -> None:
        """capacity: the most positions that it can hold."""
        self.capacity = capacity
        self.length = 0
        """Number of positions filled by completed forward passes."""
        self._layers: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def extend(self, layer: int, k: torch.Tensor, v: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Store keys and values [B, H, n, D] of `layer` behind its `length` positions; returns all of them so far."""
        if layer not in self._layers:
            batch, heads, _, width = k.shape
            shape = (batch, heads, self.capacity, width)
            self._layers[layer] = (k.new_empty(shape), v.new_empty(shape))
        keys, values = self._layers[layer]
        end = self.length + k.shape[2]
        keys[:, :, self.length : end] = k
        values[:, :, self.length : end] = v
        return keys[:, :, :end], values[:, :, :end]


def causal_mask(visible: torch.Tensor, queries: int, dtype: torch.dtype) -> torch.Tensor:
    """Additive mask [B, 1, queries, K]: the last `queries` of K positions see themselves and what lies before them.

    `visible` is bool [B, K], False for padding. Column 0 (BOS) must be visible, so that no row is empty.
    """
    keys = visible.shape[1]
    causal = torch.ones(queries, keys, dtype=torch.bool, device=visible.device).tril(keys - queries)
    allowed = causal & visible[:, None, None, :]
    return torch.zeros(allowed.shape, dtype=dtype, device=visible.device).masked_fill_(~allowed, float("-inf"))


def _rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    half = x.shape[-1] // 2
    rotated = torch.cat((-x[..., half:], x[..., :half]), dim=-1)
    return x * cos + rotated * sin


def decoder_layer(
    layer: "LlamaDecoderLayer",
    index: int,
    x: torch.Tensor,
    cos: torch.Tensor,
    sin: torch.Tensor,
    mask: torch.Tensor,
    cache: KVCache | None,
    last: int,
) -> torch.Tensor:
    """Run one decoder layer: [B, L, hidden] -> [B, last, hidden], the outputs of the last `last` positions.

    index: the layer's number in the cache. cos, sin: [B, 1, L, D]. mask: as `causal_mask` gives it.
    """
    attention = layer.self_attn
    normed = layer.input_layernorm(x)
    shape = (*x.shape[:-1], -1, attention.head_dim)
    k = _rotate(attention.k_proj(normed).view(shape).transpose(1, 2), cos, sin)
    v = attention.v_proj(normed).view(shape).transpose(1, 2)
    if cache is not None:
        k, v = cache.extend(index, k, v)
    if last < x.shape[1]:
        x, normed, mask = x[:, -last:], normed[:, -last:], mask[:, :, -last:]
        cos, sin = cos[:, :, -last:], sin[:, :, -last:]
    q = _rotate(attention.q_proj(normed).view(*normed.shape[:-1], -1, attention.head_dim).transpose(1, 2), cos, sin)
    grouped = q.shape[1] != k.shape[1]
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=grouped)
    x = x + attention.o_proj(mixed.transpose(1, 2).flatten(2))
    return x + layer.mlp(layer.post_attention_layernorm(x))


def run_llama(
    llama: "LlamaForCausalLM",
    embeddings: torch.Tensor,
    visible: torch.Tensor,
    positions: torch.Tensor,
    *,
    last: int,
    cache: KVCache | None = None,
    checkpointing: bool = False,
) -> torch.Tensor:
    """Final hidden states (after the last norm) of the last `last` positions: [B, last, hidden].

    Parameters
    ----------
    embeddings: [B, L, hidden].
    visible: bool [B, cached + L]; False hides a position (padding).
    positions: int64 [B, L], rotary positions of the new embeddings.
    last: how many trailing positions to return, 1 .. L.
    cache: read and extended in place when given.
    checkpointing: recompute layers in the backward pass instead of keeping their activations.
    """
    model = llama.model
    cos, sin = model.rotary_emb(embeddings, positions)
    cos, sin = cos[:, None], sin[:, None]
    mask = causal_mask(visible, embeddings.shape[1], embeddings.dtype)
    x = embeddings
    final = len(model.layers) - 1
    for index, layer in enumerate(model.layers):
        keep = last if index == final else x.shape[1]
        if checkpointing and torch.is_grad_enabled():
            x = checkpoint(decoder_layer, layer, index, x, cos, sin, mask, cache, keep, use_reentrant=False)
        else:
            x = decoder_layer(layer, index, x, cos, sin, mask, cache, keep)
    if cache is not None:
        cache.length += embeddings.shape[1]
    return model.norm(x)
