"""What VLAPolicy asks of a model: its sizes, and the few calls that turn an image and a prompt into action tokens.

A model is a folder (`openvla/` is one) with one subclass of each class here and a `ModelFamily` that `models.py` lists.
Nothing else outside the folder knows which model it holds.

Shapes: B batch, S image side, P patches, T text tokens, L positions, A = 7 action tokens, D width of the hidden states,
and `bins` the number of action tokens to choose from (256).
"""

import abc
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar, get_args

import torch
from torch import nn

from rlvla_core.errors import RlvlaError
from rlvla_core.policy.norm_stats import NormStats
from rlvla_core.policy.tokenizer import PromptTokenizer
from rlvla_core.policy.value_head import CriticInput

ACTION_TOKENS = 7
"""Tokens of one action: Δx, Δy, Δz, three rotations, gripper."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VLAConfig(abc.ABC):
    """The sizes of a model that the policy, its codec and its bundle read; a model's own configuration extends it."""

    pad_token_id: int
    """Vocabulary id that fills short prompts of a batch."""
    n_action_bins: int = 256
    """Action tokens to choose from, for each of the seven."""
    norm_stats: Mapping[str, NormStats] = field(default_factory=dict)
    """Action statistics by dataset name, as a public checkpoint carries them."""
    value_hidden: tuple[int, int] = (512, 128)
    """Widths of the value head's two hidden layers."""
    critic_input: CriticInput = "first"
    """Which final hidden states the value head reads: the one that predicts the first action token, the one that
    predicts the last, or all seven side by side."""

    def __post_init__(self) -> None:
        if self.critic_input not in get_args(CriticInput):
            raise RlvlaError(f"critic_input {self.critic_input!r}: use first, last or all")

    @property
    @abc.abstractmethod
    def model_type(self) -> str:
        """Name of the model in `models.FAMILIES` and in config.json."""

    @property
    @abc.abstractmethod
    def image_size(self) -> int:
        """Side S of the model's square input image, pixels."""

    @property
    @abc.abstractmethod
    def hidden_size(self) -> int:
        """Width D of the language model's hidden states and of the projected patch features."""

    @property
    @abc.abstractmethod
    def vocabulary_size(self) -> int:
        """Rows of the token embedding, padding rows included."""

    @property
    @abc.abstractmethod
    def bos_token_id(self) -> int:
        """Vocabulary id that every prompt begins with."""

    @property
    @abc.abstractmethod
    def action_token_end(self) -> int:
        """One past the last action token's id."""

    @property
    def action_token_begin(self) -> int:
        """Id of the first action token, which stands for the highest value."""
        return self.action_token_end - self.n_action_bins

    @property
    def value_width(self) -> int:
        """Width of the value head's input."""
        return self.hidden_size * (ACTION_TOKENS if self.critic_input == "all" else 1)

    @abc.abstractmethod
    def to_json(self) -> dict[str, Any]:
        """The content of config.json. What the public file of this model does not know stands under `rlvla`."""


@dataclass(kw_only=True, slots=True)
class InputSequence:
    """The language model's input for a batch: image patches and prompts as embeddings."""

    embeddings: torch.Tensor
    """[B, L, D]."""
    visible: torch.Tensor
    """bool [B, L]; False for padding."""
    patches: torch.Tensor
    """[B, P, D]: the projected patch features among the embeddings."""

    @property
    def positions(self) -> torch.Tensor:
        """int64 [B, L]: visible positions counted from 0; padding repeats the number before it."""
        return self.visible.long().cumsum(dim=1) - 1


@dataclass(kw_only=True, slots=True)
class DecodedTokens:
    """The action tokens that a model drew, and the hidden states that predict them."""

    tokens: torch.Tensor
    """int64 [B, A], vocabulary ids."""
    logprobs: torch.Tensor
    """float32 [B, A], at temperature 1 over the action tokens."""
    hidden: torch.Tensor
    """[B, A, D]: the final hidden states that predict the action tokens."""


class VLAModel(nn.Module, abc.ABC):
    """A graph from pixels and prompt ids to action tokens. An abstract class, as a Protocol cannot be an nn.Module."""

    config: VLAConfig
    lora_targets: ClassVar[tuple[str, ...]]
    """Last parts of the names of the modules that a LoRA adapter changes."""

    @property
    @abc.abstractmethod
    def dtype(self) -> torch.dtype:
        """Precision of the weights and of the pixels that `embed` takes."""

    @abc.abstractmethod
    def embed(self, pixels: torch.Tensor, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> InputSequence:
        """Images [B, C, S, S] and prompts (ids and mask, int64 [B, T] each) as one input sequence."""

    @abc.abstractmethod
    def patches(self, pixels: torch.Tensor) -> torch.Tensor:
        """Projected patch features [B, P, D] of images [B, C, S, S], without the language model."""

    @abc.abstractmethod
    def first_hidden(self, sequence: InputSequence) -> torch.Tensor:
        """Final hidden state [B, 1, D] that predicts the first action token; no action is decoded."""

    @abc.abstractmethod
    def action_hidden(
        self, sequence: InputSequence, tokens: torch.Tensor | None, *, empty_token_id: int
    ) -> torch.Tensor:
        """Final hidden states [B, A, D] that predict the seven action tokens, from one pass that carries gradients.

        tokens: the actions, int64 [B, A], which the model reads by teacher forcing. None: the most likely ones.
        """

    @abc.abstractmethod
    def action_logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Float32 logits of the action tokens: [..., D] -> [..., bins]; column j is id `action_token_begin + j`."""

    @abc.abstractmethod
    def decode(
        self,
        sequence: InputSequence,
        *,
        empty_token_id: int,
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> DecodedTokens:
        """Draw seven action tokens for each row, without gradients. temperature: 0 = greedy."""

    @abc.abstractmethod
    def vision_parameters(self) -> Iterator[nn.Parameter]:
        """Parameters of the vision towers, their adapters included."""

    @abc.abstractmethod
    def output_parameters(self) -> Iterator[nn.Parameter]:
        """Parameters of the layer that turns hidden states into token logits, its adapter included."""

    @abc.abstractmethod
    def whole(self) -> nn.Module:
        """This graph on the meta device, with the modules that checkpoints and adapters hold but no pass ever runs."""


ConfigT = TypeVar("ConfigT", bound=VLAConfig)
ConfigT_contra = TypeVar("ConfigT_contra", bound=VLAConfig, contravariant=True)


class LoadModel(Protocol[ConfigT_contra]):
    """A function that loads the weights of a checkpoint directory."""

    def __call__(
        self, directory: Path, config: ConfigT_contra, *, dtype: torch.dtype | None, device: str | torch.device
    ) -> VLAModel:
        """The model of `config` with the directory's weights. dtype: None keeps the stored precision.

        Raises RlvlaError for missing, unknown or misshapen tensors.
        """


@dataclass(frozen=True, kw_only=True, slots=True)
class Preset(Generic[ConfigT]):
    """A named size of a model."""

    config: Callable[[], ConfigT]
    tokenizer: Callable[[], PromptTokenizer] | None = None
    """Loads the tokenizer that ships with the preset. None: the preset's checkpoint brings tokenizer and weights."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelFamily(Generic[ConfigT]):
    """The functions of one model's folder that the rest of the code calls."""

    read_config: Callable[[Mapping[str, Any]], ConfigT]
    """Parse the content of config.json. Raises RlvlaError for sizes or variants that the graph does not have."""
    fresh: Callable[[ConfigT, torch.Generator], VLAModel]
    """Build the model with weights to learn from nothing, drawn from a CPU generator."""
    load: LoadModel[ConfigT]
    presets: Mapping[str, Preset[ConfigT]]
