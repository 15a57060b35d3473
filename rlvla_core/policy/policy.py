"""What the rest of the code uses: images and instructions in, actions, log-probabilities and values out.

Shapes: B batch, H W image, A = 7 action tokens, 256 action bins, D Llama width, P patches.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from rlvla_core.errors import RlvlaError
from rlvla_core.policy.action_codec import ActionCodec
from rlvla_core.policy.image_transform import ImageTransform
from rlvla_core.policy.norm_stats import NormStats
from rlvla_core.policy.openvla import graph
from rlvla_core.policy.openvla.checkpoint import check_sight, load_config, load_model
from rlvla_core.policy.openvla.config import CriticInput, OpenVLAConfig
from rlvla_core.policy.openvla.decode import action_hidden, decode, token_entropies, token_logprobs
from rlvla_core.policy.openvla.initialise import initialise
from rlvla_core.policy.openvla.presets import preset
from rlvla_core.policy.tokenizer import PromptTokenizer, tiny_tokenizer
from rlvla_core.policy.value_head import ValueHead, critic_state
from rlvla_core.storage.json_files import read_json


@dataclass(frozen=True, kw_only=True, slots=True)
class ActionSample:
    """One decision for each row."""

    actions: torch.Tensor
    """float32 [B, 7]: metres, radians, gripper ±1."""
    tokens: torch.Tensor
    """int64 [B, 7], vocabulary ids."""
    logprobs: torch.Tensor
    """float32 [B, 7], at temperature 1 over the 256 action tokens, whatever temperature drew them."""
    values: torch.Tensor
    """float32 [B]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenScore:
    """What the current weights say about given tokens. Carries gradients."""

    logits: torch.Tensor
    """float32 [B, 7, 256]; column j is vocabulary id `action_token_begin + j`."""
    logprobs: torch.Tensor
    """float32 [B, 7]."""
    entropies: torch.Tensor
    """float32 [B, 7], nats."""
    values: torch.Tensor
    """float32 [B]."""
    state: torch.Tensor
    """[B, D], or [B, A·D] where the critic reads all states: input of the value head."""
    patches: torch.Tensor
    """[B, P, D]: projected patch features (the image as the language model gets it), for auxiliary losses."""


class VLAPolicy(nn.Module):
    """An OpenVLA graph with a critic, and the codec, tokenizer and image transform that belong to its weights."""

    def __init__(
        self,
        model: graph.OpenVLA,
        value_head: ValueHead,
        tokenizer: PromptTokenizer,
        norm_stats: NormStats,
        transform: ImageTransform | None = None,
    ) -> None:
        super().__init__()
        config = model.config
        if tokenizer.empty_token_id >= config.action_token_begin or tokenizer.vocabulary_size > config.text.vocab_size:
            raise RlvlaError(
                f"the tokenizer ({tokenizer.vocabulary_size} ids) does not belong to this model "
                f"({config.text.vocab_size} rows): use the tokenizer.json of the same checkpoint"
            )
        self.config: OpenVLAConfig = config
        self.model = model
        self.value_head = value_head
        self.tokenizer = tokenizer
        self.codec = ActionCodec(config, norm_stats)
        self.transform = transform or ImageTransform(size=config.image_size)
        self.base_directory: Path | None = None
        """The public checkpoint that the frozen weights come from; an adapter's bundle refers to it."""

    @classmethod
    def from_config(
        cls, config: OpenVLAConfig, tokenizer: PromptTokenizer, norm_stats: NormStats, seed: int = 0
    ) -> "VLAPolicy":
        """Fresh weights; the same seed gives the same weights, whatever the global random state is."""
        generator = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[]):
            model = graph.OpenVLA(config)
            value_head = ValueHead(config.value_width, config.value_hidden)
        initialise(model, generator)
        value_head.initialise(generator)
        return cls(model, value_head, tokenizer, norm_stats)

    @classmethod
    def from_preset(cls, name: str, norm_stats: NormStats, seed: int = 0) -> "VLAPolicy":
        """Fresh weights of a preset that ships with its tokenizer. Raises RlvlaError for the others."""
        config = preset(name)
        if name != "tiny":
            raise RlvlaError(f"preset {name!r} has no weights of its own: load its checkpoint directory instead")
        return cls.from_config(config, tiny_tokenizer(), norm_stats, seed)

    @classmethod
    def from_checkpoint(
        cls,
        directory: Path,
        *,
        unnorm_key: str | None = None,
        dtype: torch.dtype = torch.bfloat16,
        device: str | torch.device = "cpu",
        seed: int = 0,
    ) -> "VLAPolicy":
        """Weights, tokenizer and statistics of a public OpenVLA directory; the value head starts fresh.

        unnorm_key: which action statistics of the checkpoint to use; may be left out where there is only one.
        Raises RlvlaError for missing or damaged files, unknown keys, and a graph that does not see its image.
        """
        config = load_config(directory)
        statistics = dict(config.norm_stats)
        added = directory / "dataset_statistics.json"  # fine-tuned checkpoints bring theirs in a file of its own
        if added.is_file():
            extra = read_json(added, "copy the checkpoint again")
            statistics |= {name: NormStats.from_json(value) for name, value in extra.items()}
        key = unnorm_key or (next(iter(statistics)) if len(statistics) == 1 else "")
        if key not in statistics:
            raise RlvlaError(f"{directory} has no action statistics {key!r}: choose one of {', '.join(statistics)}")
        tokenizer = PromptTokenizer.from_file(directory / "tokenizer.json")
        model = load_model(directory, config, dtype=dtype, device=device)
        check_sight(model, tokenizer.empty_token_id)
        value_head = ValueHead(config.value_width, config.value_hidden)
        value_head.initialise(torch.Generator().manual_seed(seed))
        transform = ImageTransform(size=config.image_size, dtype=dtype)
        policy = cls(model, value_head.to(device), tokenizer, statistics[key], transform)
        policy.base_directory = directory.resolve()
        return policy

    @property
    def device(self) -> torch.device:
        return self.value_head.head_l1.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the graph's weights and inputs."""
        return self.model.language_model.model.embed_tokens.weight.dtype

    def backbone_parameters(self) -> Iterator[nn.Parameter]:
        """Trainable parameters of the graph: all, or the adapter's alone after `apply_lora`."""
        return (parameter for parameter in self.model.parameters() if parameter.requires_grad)

    def value_parameters(self) -> Iterator[nn.Parameter]:
        """Parameters of the value head: always trained, usually with their own learning rate."""
        return self.value_head.parameters()

    def act(
        self,
        images: torch.Tensor,
        instructions: Sequence[str],
        *,
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> ActionSample:
        """Draw an action for each image (uint8 [B, H, W, 3]) and its instruction. No gradients.

        temperature: 0 takes the most likely token each time. generator: on the policy's device; makes draws repeatable.
        """
        with torch.no_grad():
            decoded = decode(
                self.model,
                self._sequence(images, instructions),
                decoding=self.config.decoding,
                empty_token_id=self.tokenizer.empty_token_id,
                temperature=temperature,
                generator=generator,
            )
            return ActionSample(
                actions=self.codec.decode(decoded.tokens),
                tokens=decoded.tokens,
                logprobs=decoded.logprobs,
                values=self.value_head(critic_state(decoded.hidden, self.config.critic_input)),
            )

    def score(self, images: torch.Tensor, instructions: Sequence[str], tokens: torch.Tensor) -> TokenScore:
        """Log-probabilities, entropies and values of `tokens` int64 [B, 7], from one pass with gradients."""
        sequence = self._sequence(images, instructions)
        hidden = action_hidden(self.model, sequence, tokens, self.config.decoding, self.tokenizer.empty_token_id)
        logits = self.model.action_logits(hidden)
        state = critic_state(hidden, self.config.critic_input)
        return TokenScore(
            logits=logits,
            logprobs=token_logprobs(logits, self.codec.bin_of(tokens)),
            entropies=token_entropies(logits),
            values=self.value_head(state),
            state=state,
            patches=sequence.patches,
        )

    def value(
        self, images: torch.Tensor, instructions: Sequence[str], tokens: torch.Tensor | None = None
    ) -> torch.Tensor:
        """float32 [B]. The `first` state needs the prompt alone: no action is decoded.

        For the other critic inputs of an autoregressive policy, `tokens` int64 [B, 7] are the action; without them it
        is the most likely one.
        """
        sequence = self._sequence(images, instructions)
        if self.config.critic_input == "first":
            hidden = self.model.hidden(sequence.embeddings, sequence.visible, sequence.positions, last=1)
        else:
            decoding, empty = self.config.decoding, self.tokenizer.empty_token_id
            if tokens is None and decoding == "autoregressive":
                tokens = decode(self.model, sequence, decoding=decoding, empty_token_id=empty, temperature=0.0).tokens
            hidden = action_hidden(self.model, sequence, tokens, decoding, empty)
        return self.value_head(critic_state(hidden, self.config.critic_input))

    def read_values_from(self, critic_input: CriticInput, *, seed: int) -> None:
        """Give the policy a fresh value head on another input; the one it has stays where its input is this already."""
        if critic_input != self.config.critic_input:
            device = self.device
            self.config = replace(self.config, critic_input=critic_input)
            head = ValueHead(self.config.value_width, self.config.value_hidden)
            head.initialise(torch.Generator().manual_seed(seed))
            self.value_head = head.to(device)

    def patches(self, images: torch.Tensor) -> torch.Tensor:
        """Projected patch features [B, P, D] of images uint8 [B, H, W, 3], without the language model."""
        return self.model.projector(self.model.vision_backbone(self._pixels(images)))

    def _pixels(self, images: torch.Tensor) -> torch.Tensor:
        return self.transform(images.to(self.device)).to(self.dtype)

    def _sequence(self, images: torch.Tensor, instructions: Sequence[str]) -> graph.Sequence:
        if len(images) != len(instructions):
            raise RlvlaError(f"{len(images)} images came with {len(instructions)} instructions: give one for each")
        input_ids, mask = self.tokenizer.batch(instructions, self.config.pad_token_id, self.device)
        return self.model.embed(self._pixels(images), input_ids, mask)
