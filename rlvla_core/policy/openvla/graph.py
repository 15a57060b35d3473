"""OpenVLA's graph: two vision towers, a projector and a Llama, with the checkpoint's tensor names.

Sequence layout of one sample: [BOS][P patch embeddings][padding][prompt without BOS][action tokens]. Padding is hidden
by the mask and does not advance the positions, so it changes nothing but the tensor shapes.
Shapes: B batch, S image side, P patches, T text tokens, D Llama width, V vocabulary.
"""

import torch
import torch.nn.functional as F
from torch import nn

from rlvla_core.policy.model import InputSequence
from rlvla_core.policy.openvla.config import OpenVLAConfig
from rlvla_core.policy.openvla.llama import KVCache, build_llama, run_llama
from rlvla_core.policy.openvla.vit import VisionTower


class VisionBackbone(nn.Module):
    """Both vision towers on 6-channel images: [B, 6, S, S] -> [B, P, sum of their widths], DINO's features first.

    with_dead_modules: also build what checkpoints hold and the forward pass never runs.
    """

    def __init__(self, config: OpenVLAConfig, *, with_dead_modules: bool = False) -> None:
        super().__init__()
        self.featurizer = VisionTower(config.dino, with_dead_modules=with_dead_modules)
        self.fused_featurizer = VisionTower(config.siglip, with_dead_modules=with_dead_modules)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return torch.cat((self.featurizer(pixels[:, :3]), self.fused_featurizer(pixels[:, 3:])), dim=-1)


class Projector(nn.Module):
    """Patch features to Llama embeddings, [B, P, feature width] -> [B, P, D]: three layers, exact GELU between them."""

    def __init__(self, config: OpenVLAConfig) -> None:
        super().__init__()
        self.fc1 = nn.Linear(config.feature_width, config.projector_width)
        self.fc2 = nn.Linear(config.projector_width, config.text.hidden_size)
        self.fc3 = nn.Linear(config.text.hidden_size, config.text.hidden_size)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.fc3(F.gelu(self.fc2(F.gelu(self.fc1(features)))))


class OpenVLAGraph(nn.Module):
    """The forward pass: pixels and ids to embeddings, to final hidden states, to logits. `decode.py` drives it."""

    def __init__(self, config: OpenVLAConfig, *, with_dead_modules: bool = False) -> None:
        super().__init__()
        self.config = config
        self.gradient_checkpointing = False
        """Recompute Llama layers in the backward pass: 7B training needs it, `tiny` does not."""
        self.vision_backbone = VisionBackbone(config, with_dead_modules=with_dead_modules)
        self.projector = Projector(config)
        self.language_model = build_llama(config.text, config.pad_token_id)

    def embed(self, pixels: torch.Tensor, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> InputSequence:
        """Insert the images [B, 6, S, S] after column 0 (BOS) of `input_ids` int64 [B, T].

        attention_mask: int64 [B, T], 0 for padding.
        """
        patches = self.patches(pixels)
        tokens = self.embed_tokens(input_ids)
        seen = attention_mask.bool()
        visible = torch.cat((seen[:, :1], seen.new_ones(patches.shape[:2]), seen[:, 1:]), dim=1)
        embeddings = torch.cat((tokens[:, :1], patches, tokens[:, 1:]), dim=1)
        return InputSequence(embeddings=embeddings, visible=visible, patches=patches)

    def patches(self, pixels: torch.Tensor) -> torch.Tensor:
        """Projected patch features [B, P, D] of images [B, 6, S, S]."""
        return self.projector(self.vision_backbone(pixels))

    def embed_tokens(self, ids: torch.Tensor) -> torch.Tensor:
        """Llama's embeddings of vocabulary ids: int64 [...] -> [..., D]."""
        return self.language_model.model.embed_tokens(ids)

    def hidden(
        self,
        embeddings: torch.Tensor,
        visible: torch.Tensor,
        positions: torch.Tensor,
        *,
        last: int,
        cache: KVCache | None = None,
    ) -> torch.Tensor:
        """Final hidden states [B, last, D] of the last `last` positions; arguments as in `llama.run_llama`."""
        return run_llama(
            self.language_model,
            embeddings,
            visible,
            positions,
            last=last,
            cache=cache,
            checkpointing=self.gradient_checkpointing,
        )

    def action_logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Float32 logits of the action tokens only: [..., D] -> [..., bins]; column j is id `action_token_begin + j`.

        Only the rows of the action tokens are multiplied, of the output layer and of its LoRA (scale * B[rows] A x).
        """
        rows = slice(self.config.action_token_begin, self.config.action_token_end)
        head = self.language_model.lm_head
        base = getattr(head, "base_layer", head)
        logits = F.linear(hidden, base.weight[rows])
        for name in getattr(head, "active_adapters", ()):
            a, b = head.lora_A[name].weight, head.lora_B[name].weight[rows]
            low = F.linear(head.lora_dropout[name](hidden).to(a.dtype), a)
            logits = logits + (F.linear(low, b) * head.scaling[name]).to(logits.dtype)
        return logits.float()

    def all_logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Float32 logits of the whole vocabulary: [..., D] -> [..., V]. Slow: parity alone needs it."""
        return self.language_model.lm_head(hidden).float()
