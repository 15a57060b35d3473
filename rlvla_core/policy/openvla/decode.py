"""How OpenVLA predicts seven action tokens, by one forward pass or by seven.

`autoregressive` is OpenVLA: token i is predicted from the image, the prompt and tokens 0 .. i-1, with a key-value
cache while acting and by teacher forcing while learning. `parallel` feeds the empty token at the six further
positions instead of the previous actions, so one causal forward pass gives all seven distributions, which are then
independent given the observation. The graph, the mask and the tensor names are the same in both.
Shapes: B batch, A = 7, D Llama width.
"""

import torch

from rlvla_core.policy.model import ACTION_TOKENS, DecodedTokens, InputSequence
from rlvla_core.policy.openvla.config import Decoding
from rlvla_core.policy.openvla.graph import OpenVLAGraph
from rlvla_core.policy.openvla.llama import KVCache
from rlvla_core.policy.token_distribution import draw_bins, token_logprobs


def with_action_inputs(model: OpenVLAGraph, sequence: InputSequence, ids: torch.Tensor) -> InputSequence:
    """The sequence with the embeddings of `ids` int64 [B, n] appended, all of them visible."""
    return InputSequence(
        embeddings=torch.cat((sequence.embeddings, model.embed_tokens(ids)), dim=1),
        visible=torch.cat((sequence.visible, sequence.visible.new_ones(ids.shape)), dim=1),
        patches=sequence.patches,
    )


def action_hidden(
    model: OpenVLAGraph,
    sequence: InputSequence,
    tokens: torch.Tensor | None,
    decoding: Decoding,
    empty_token_id: int,
) -> torch.Tensor:
    """Hidden states [B, A, D] that predict the seven action tokens, from one pass without a cache.

    tokens: int64 [B, A], the actions taken (teacher forcing); parallel decoding does not look at them.
    Raises ValueError for autoregressive decoding without tokens.
    """
    if decoding == "parallel":
        batch = len(sequence.embeddings)
        ids = torch.full((batch, ACTION_TOKENS - 1), empty_token_id, device=sequence.embeddings.device)
    elif tokens is None:
        raise ValueError("teacher forcing needs the action tokens")
    else:
        ids = tokens[:, :-1]
    full = with_action_inputs(model, sequence, ids)
    return model.hidden(full.embeddings, full.visible, full.positions, last=ACTION_TOKENS)


@torch.no_grad()
def decode(
    model: OpenVLAGraph,
    sequence: InputSequence,
    *,
    decoding: Decoding,
    empty_token_id: int,
    temperature: float = 1.0,
    generator: torch.Generator | None = None,
) -> DecodedTokens:
    """Draw seven action tokens for each row of the batch. temperature: 0 = greedy."""
    begin = model.config.action_token_begin
    if decoding == "parallel":
        hidden = action_hidden(model, sequence, None, decoding, empty_token_id)
        logits = model.action_logits(hidden)
        bins = draw_bins(logits, temperature, generator)
        return DecodedTokens(tokens=bins + begin, logprobs=token_logprobs(logits, bins), hidden=hidden)

    visible, positions = sequence.visible, sequence.positions
    cache = KVCache(visible.shape[1] + ACTION_TOKENS - 1)
    hidden = model.hidden(sequence.embeddings, visible, positions, last=1, cache=cache)
    position = positions[:, -1:]
    columns, logprobs, states = [], [], []
    for index in range(ACTION_TOKENS):
        states.append(hidden[:, 0])
        logits = model.action_logits(states[-1])
        bins = draw_bins(logits, temperature, generator)
        columns.append(bins + begin)
        logprobs.append(token_logprobs(logits, bins))
        if index + 1 < ACTION_TOKENS:
            visible = torch.cat((visible, visible.new_ones(len(visible), 1)), dim=1)
            position = position + 1
            hidden = model.hidden(model.embed_tokens(columns[-1][:, None]), visible, position, last=1, cache=cache)
    return DecodedTokens(
        tokens=torch.stack(columns, dim=1), logprobs=torch.stack(logprobs, dim=1), hidden=torch.stack(states, dim=1)
    )
