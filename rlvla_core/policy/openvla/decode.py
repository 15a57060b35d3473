"""How seven action tokens come out of one forward pass (or seven).

`autoregressive` is OpenVLA: token i is predicted from the image, the prompt and tokens 0 .. i-1, with a key-value
cache while acting and by teacher forcing while learning. `parallel` feeds the empty token at the six further
positions instead of the previous actions, so one causal forward pass gives all seven distributions, which are then
independent given the observation. The graph, the mask and the tensor names are the same in both.
Shapes: B batch, A = 7, D Llama width; "bins" is the number of action tokens (256).
"""

from dataclasses import dataclass

import torch

from rlvla_core.policy.openvla.config import ACTION_TOKENS, Decoding
from rlvla_core.policy.openvla.graph import OpenVLA, Sequence
from rlvla_core.policy.openvla.llama import KVCache


@dataclass(kw_only=True, slots=True)
class Decoded:
    """Sampled tokens and what the critic reads."""

    tokens: torch.Tensor
    """int64 [B, A], vocabulary ids."""
    logprobs: torch.Tensor
    """float32 [B, A], at temperature 1 over the action tokens."""
    hidden: torch.Tensor
    """[B, A, D]: the final hidden states that predict the action tokens."""


def token_logprobs(logits: torch.Tensor, bins: torch.Tensor) -> torch.Tensor:
    """Log-probability of `bins` int64 [...] under float32 `logits` [..., bins]."""
    return logits.log_softmax(dim=-1).gather(-1, bins.unsqueeze(-1)).squeeze(-1)


def token_entropies(logits: torch.Tensor) -> torch.Tensor:
    """Entropy in nats of each distribution: [..., bins] -> [...]."""
    logp = logits.log_softmax(dim=-1)
    return -(logp.exp() * logp).sum(dim=-1)


def pick_bins(logits: torch.Tensor, temperature: float, generator: torch.Generator | None) -> torch.Tensor:
    """Sample one bin of each row [..., bins] -> int64 [...]; temperature 0 takes the most likely one."""
    if temperature == 0.0:
        return logits.argmax(dim=-1)
    probabilities = (logits / temperature).softmax(dim=-1).flatten(0, -2)
    return torch.multinomial(probabilities, 1, generator=generator).view(logits.shape[:-1])


def with_action_inputs(model: OpenVLA, sequence: Sequence, ids: torch.Tensor) -> Sequence:
    """Append the embeddings of `ids` int64 [B, n], all visible."""
    return Sequence(
        embeddings=torch.cat((sequence.embeddings, model.embed_tokens(ids)), dim=1),
        visible=torch.cat((sequence.visible, sequence.visible.new_ones(ids.shape)), dim=1),
        patches=sequence.patches,
    )


def action_hidden(
    model: OpenVLA, sequence: Sequence, tokens: torch.Tensor | None, decoding: Decoding, empty_token_id: int
) -> torch.Tensor:
    """Hidden states [B, A, D] that predict the seven action tokens, from one pass without a cache.

    `tokens` [B, A] are the actions taken (teacher forcing); parallel decoding does not look at them.
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
    model: OpenVLA,
    sequence: Sequence,
    *,
    decoding: Decoding,
    empty_token_id: int,
    temperature: float = 1.0,
    generator: torch.Generator | None = None,
) -> Decoded:
    """Draw seven action tokens for each row of the batch."""
    begin = model.config.action_token_begin
    if decoding == "parallel":
        hidden = action_hidden(model, sequence, None, decoding, empty_token_id)
        logits = model.action_logits(hidden)
        bins = pick_bins(logits, temperature, generator)
        return Decoded(tokens=bins + begin, logprobs=token_logprobs(logits, bins), hidden=hidden)

    visible, positions = sequence.visible, sequence.positions
    cache = KVCache(visible.shape[1] + ACTION_TOKENS - 1)
    hidden = model.hidden(sequence.embeddings, visible, positions, last=1, cache=cache)
    position = positions[:, -1:]
    columns, logprobs, states = [], [], []
    for index in range(ACTION_TOKENS):
        states.append(hidden[:, 0])
        logits = model.action_logits(states[-1])
        bins = pick_bins(logits, temperature, generator)
        columns.append(bins + begin)
        logprobs.append(token_logprobs(logits, bins))
        if index + 1 < ACTION_TOKENS:
            visible = torch.cat((visible, visible.new_ones(len(visible), 1)), dim=1)
            position = position + 1
            hidden = model.hidden(model.embed_tokens(columns[-1][:, None]), visible, position, last=1, cache=cache)
    return Decoded(
        tokens=torch.stack(columns, dim=1), logprobs=torch.stack(logprobs, dim=1), hidden=torch.stack(states, dim=1)
    )
