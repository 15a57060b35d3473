"""Translate actions to action tokens and back (OpenVLA, arXiv 2406.09246, section 3.2; RT-2, Brohan et al. 2023).

A normalised value in [-1, 1] falls into one of 256 intervals; the interval's number, counted from the end of the text
vocabulary, is the token. So a low token id stands for a high value. Decoding returns interval centres: 256 edges have
only 255 centres, hence the two lowest ids decode alike.
"""

import numpy as np
import torch

from rlvla_core.errors import RlvlaError
from rlvla_core.policy.model import ACTION_TOKENS, VLAConfig
from rlvla_core.policy.norm_stats import NormStats

GRIPPER = 6
"""Index of the gripper in an action."""
GRIPPER_OPEN_ABOVE = 0.5
"""Decoded gripper opening (0 closed .. 1 open) above which the command is +1."""


class ActionCodec:
    """Translates actions [Δx Δy Δz m, Δrotation rad, gripper ±1] to vocabulary ids and back, both [..., 7]."""

    def __init__(self, config: VLAConfig, norm_stats: NormStats) -> None:
        """Raises RlvlaError for action statistics that do not have seven dimensions."""
        if len(norm_stats.q01) != ACTION_TOKENS:
            raise RlvlaError(f"action statistics have {len(norm_stats.q01)} dimensions, an action has {ACTION_TOKENS}")
        self.norm_stats = norm_stats
        self.token_begin = config.action_token_begin
        self.token_end = config.action_token_end
        # By numpy in float64, as the original: torch.linspace differs in the last bit, which moves edge values.
        self._edges = torch.from_numpy(np.linspace(-1.0, 1.0, config.n_action_bins))
        self._centres = (self._edges[:-1] + self._edges[1:]) / 2
        self._low = torch.tensor(norm_stats.q01, dtype=torch.float64)
        self._high = torch.tensor(norm_stats.q99, dtype=torch.float64)
        self._mask = torch.tensor(norm_stats.mask)

    # normalised values <-> tokens ------------------------------------------------------------------------------------

    def tokens_of_values(self, values: torch.Tensor) -> torch.Tensor:
        """Vocabulary ids int64 [...] of normalised values [...]; values outside [-1, 1] are clipped."""
        clipped = values.double().clamp(-1.0, 1.0)
        return self.token_end - torch.bucketize(clipped, self._edges.to(values.device), right=True)

    def values_of_tokens(self, tokens: torch.Tensor) -> torch.Tensor:
        """Normalised values float64 [...] of vocabulary ids [...]; ids beyond the action range give the nearest end."""
        index = (self.token_end - tokens - 1).clamp(0, len(self._centres) - 1)
        return self._centres.to(tokens.device)[index]

    def bin_of(self, tokens: torch.Tensor) -> torch.Tensor:
        """Columns 0 .. 255 of the action logits that vocabulary ids [...] stand in."""
        return tokens - self.token_begin

    def token_of(self, bins: torch.Tensor) -> torch.Tensor:
        """Vocabulary ids of columns 0 .. 255 of the action logits, [...]."""
        return bins + self.token_begin

    # actions <-> tokens ----------------------------------------------------------------------------------------------

    def encode(self, actions: torch.Tensor) -> torch.Tensor:
        """Vocabulary ids int64 [..., 7] of actions [..., 7] in metres and radians, gripper +1 open, -1 closed."""
        raw = actions.double().clone()
        raw[..., GRIPPER] = (raw[..., GRIPPER] + 1.0) / 2.0
        low, high, mask = self._stats(raw.device)
        scaled = 2.0 * (raw - low) / torch.where(mask, high - low, 1.0) - 1.0
        return self.tokens_of_values(torch.where(mask, scaled, raw))

    def decode(self, tokens: torch.Tensor) -> torch.Tensor:
        """Actions float32 [..., 7] of vocabulary ids [..., 7]; the gripper is +1 where it opens above 0.5, else -1."""
        actions = self.unnormalise(self.values_of_tokens(tokens))
        opening = actions[..., GRIPPER]
        actions[..., GRIPPER] = torch.where(opening > GRIPPER_OPEN_ABOVE, 1.0, -1.0).to(actions.dtype)
        return actions.float()

    def unnormalise(self, values: torch.Tensor) -> torch.Tensor:
        """Normalised values [..., 7] in metres and radians, float64; dimensions outside the mask pass through."""
        low, high, mask = self._stats(values.device)
        values = values.double()
        return torch.where(mask, 0.5 * (values + 1.0) * (high - low) + low, values)

    def _stats(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return self._low.to(device), self._high.to(device), self._mask.to(device)
