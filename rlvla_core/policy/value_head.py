"""The critic: one number from the hidden states that predict the action tokens (paper, section 3).

The paper's choice is the first of them alone, which has seen the image and the prompt and no action yet; the last one
and all seven side by side are its ablations (figure 4).
"""

from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

from rlvla_core.errors import RlvlaError
from rlvla_core.storage.tensor_files import read_tensors

CriticInput = Literal["first", "last", "all"]
"""Which of the seven hidden states that predict the action tokens a value head reads: `all` side by side."""


class ValueHead(nn.Module):
    """The critic's network: state [..., width] -> value float32 [...], by two hidden layers with exact GELU.

    The last layer has no bias. hidden: widths of the hidden layers.
    """

    def __init__(self, width: int, hidden: tuple[int, int] = (512, 128)) -> None:
        super().__init__()
        self.head_l1 = nn.Linear(width, hidden[0])
        self.head_l2 = nn.Linear(hidden[0], hidden[1])
        self.head_l3 = nn.Linear(hidden[1], 1, bias=False)

    def forward(self, state: torch.Tensor) -> torch.Tensor:
        x = F.gelu(self.head_l1(state.to(self.head_l1.weight.dtype)))
        return self.head_l3(F.gelu(self.head_l2(x))).squeeze(-1).float()

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Draw N(0, 0.02) weights and set biases to zero, which is what the paper's head starts from in effect.

        generator: a CPU's, so that every device starts from the same numbers.
        """
        for layer in (self.head_l1, self.head_l2, self.head_l3):
            layer.weight.copy_(torch.normal(0.0, 0.02, layer.weight.shape, generator=generator))
            if layer.bias is not None:
                layer.bias.zero_()


def critic_state(hidden: torch.Tensor, critic_input: CriticInput) -> torch.Tensor:
    """The value head's input [B, D], or [B, A·D] for `all`, out of the hidden states [B, A, D] of the action tokens."""
    if critic_input == "all":
        return hidden.flatten(1)
    return hidden[:, 0 if critic_input == "first" else -1]


def load_value_head(path: Path) -> ValueHead:
    """Read a value head's safetensors file; the widths are the tensors' own. Raises RlvlaError for other tensors."""
    tensors = {name.removeprefix("value_head."): tensor.float() for name, tensor in read_tensors(path)}
    names = {"head_l1.weight", "head_l1.bias", "head_l2.weight", "head_l2.bias", "head_l3.weight"}
    if tensors.keys() != names:
        raise RlvlaError(f"{path} is not a value head: it holds {sorted(tensors)}")
    first, second = tensors["head_l1.weight"], tensors["head_l2.weight"]
    if first.ndim != 2 or second.ndim != 2:
        raise RlvlaError(f"{path} is not a value head: its weights are no matrices: save the policy again")
    head = ValueHead(first.shape[1], (first.shape[0], second.shape[0]))
    try:
        head.load_state_dict(tensors)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise RlvlaError(f"{path} is not a value head: {reason}: save the policy again") from None
    if not all(tensor.isfinite().all() for tensor in tensors.values()):
        raise RlvlaError(f"{path} holds numbers that are not finite: take an earlier checkpoint, or train again")
    return head


def save_value_head(head: ValueHead, path: Path) -> None:
    """Write the safetensors file that `load_value_head` reads."""
    tensors = {f"value_head.{name}": value.detach().cpu().contiguous() for name, value in head.state_dict().items()}
    save_file(tensors, str(path))
