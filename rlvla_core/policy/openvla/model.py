"""OpenVLA as the policy sees it: the graph with its way of decoding, behind `VLAModel`."""

from collections.abc import Iterator

import torch
from torch import nn

from rlvla_core.policy.model import DecodedTokens, InputSequence, VLAModel
from rlvla_core.policy.openvla.config import OpenVLAConfig
from rlvla_core.policy.openvla.decode import action_hidden, decode
from rlvla_core.policy.openvla.graph import OpenVLAGraph


class OpenVLA(OpenVLAGraph, VLAModel):
    """OpenVLA's graph, whose `config.decoding` says how action tokens are predicted."""

    config: OpenVLAConfig
    lora_targets = (
        # vision towers (linear layers, patch embeddings, SigLIP's pooling head) and projector
        *("qkv", "proj", "fc1", "fc2", "fc3", "q", "kv"),
        # Llama
        *("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "lm_head"),
    )

    @property
    def dtype(self) -> torch.dtype:
        return self.language_model.model.embed_tokens.weight.dtype

    def first_hidden(self, sequence: InputSequence) -> torch.Tensor:
        return self.hidden(sequence.embeddings, sequence.visible, sequence.positions, last=1)

    def action_hidden(
        self, sequence: InputSequence, tokens: torch.Tensor | None, *, empty_token_id: int
    ) -> torch.Tensor:
        decoding = self.config.decoding
        if tokens is None and decoding == "autoregressive":
            tokens = self.decode(sequence, empty_token_id=empty_token_id, temperature=0.0).tokens
        return action_hidden(self, sequence, tokens, decoding, empty_token_id)

    def decode(
        self,
        sequence: InputSequence,
        *,
        empty_token_id: int,
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> DecodedTokens:
        return decode(
            self,
            sequence,
            decoding=self.config.decoding,
            empty_token_id=empty_token_id,
            temperature=temperature,
            generator=generator,
        )

    def vision_parameters(self) -> Iterator[nn.Parameter]:
        return self.vision_backbone.parameters()

    def output_parameters(self) -> Iterator[nn.Parameter]:
        return self.language_model.lm_head.parameters()

    def whole(self) -> nn.Module:
        with torch.device("meta"):
            return OpenVLA(self.config, with_dead_modules=True)
