"""The policy that the rest of the code uses: images and instructions in, actions, log-probabilities and values out.

`models.py` lists the models that can be inside a policy; `model.py` is the protocol that each of them keeps.
Shapes: B batch, H W image, A = 7 action tokens, 256 action bins, D width of the hidden states, P patches.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from rlvla_core.errors import RlvlaError
from rlvla_core.policy.action_codec import ActionCodec
from rlvla_core.policy.image_transform import ImageTransform
from rlvla_core.policy.model import InputSequence, VLAConfig, VLAModel
from rlvla_core.policy.models import family_of, load_config, preset
from rlvla_core.policy.norm_stats import NormStats
from rlvla_core.policy.sight import check_sight
from rlvla_core.policy.token_distribution import token_entropies, token_logprobs
from rlvla_core.policy.tokenizer import PromptTokenizer
from rlvla_core.policy.value_head import CriticInput, ValueHead, critic_state
from rlvla_core.storage.json_files import read_json


@dataclass(frozen=True, kw_only=True, slots=True)
class ActionSample:
    """The actions that a policy drew for a batch of images, without gradients."""

    actions: torch.Tensor
    """float32 [B, 7]: translation in metres, rotation in radians (XYZ Euler), gripper +1 open or -1 closed."""
    tokens: torch.Tensor
    """int64 [B, 7], vocabulary ids of the actions."""
    logprobs: torch.Tensor
    """float32 [B, 7], log-probabilities of the tokens at temperature 1 over the 256 action tokens, whatever temperature
    drew them."""
    values: torch.Tensor
    """float32 [B], the critic's estimates of the return from this observation on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenScore:
    """Log-probabilities, entropies and values of given action tokens under the current weights, all with gradients."""

    logits: torch.Tensor
    """float32 [B, 7, 256]; column j is vocabulary id `action_token_begin + j`."""
    logprobs: torch.Tensor
    """float32 [B, 7], log-probabilities of the given tokens."""
    entropies: torch.Tensor
    """float32 [B, 7], entropy of each token's distribution at temperature 1, nats."""
    values: torch.Tensor
    """float32 [B], the critic's estimates of the return from this observation on."""
    state: torch.Tensor
    """[B, D], or [B, A·D] where the critic reads all hidden states: input of the value head."""
    patches: torch.Tensor
    """[B, P, D]: projected patch features (the image as the language model gets it), for auxiliary losses."""


class VLAPolicy(nn.Module):
    """A vision-language-action model with a critic, and the codec, tokenizer and image transform of its weights."""

    def __init__(
        self,
        model: VLAModel,
        value_head: ValueHead,
        tokenizer: PromptTokenizer,
        norm_stats: NormStats,
        transform: ImageTransform | None = None,
    ) -> None:
        """transform: None = OpenVLA's image transform in float32. Raises RlvlaError for the tokenizer of another
        model."""
        super().__init__()
        config = model.config
        if tokenizer.empty_token_id >= config.action_token_begin or tokenizer.vocabulary_size > config.vocabulary_size:
            raise RlvlaError(
                f"the tokenizer ({tokenizer.vocabulary_size} ids) does not belong to this model "
                f"({config.vocabulary_size} rows): use the tokenizer.json of the same checkpoint"
            )
        self.config: VLAConfig = config
        self.model = model
        self.value_head = value_head
        self.tokenizer = tokenizer
        self.codec = ActionCodec(config, norm_stats)
        self.transform = transform or ImageTransform(size=config.image_size)
        self.base_directory: Path | None = None
        """The public checkpoint that the frozen weights come from; an adapter's bundle refers to it."""

    @classmethod
    def from_config(
        cls, config: VLAConfig, tokenizer: PromptTokenizer, norm_stats: NormStats, seed: int = 0
    ) -> "VLAPolicy":
        """A policy with fresh weights; the same seed gives the same weights, whatever the global random state is."""
        generator = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[]):
            model = family_of(config.model_type).fresh(config, generator)
            value_head = ValueHead(config.value_width, config.value_hidden)
        value_head.initialise(generator)
        return cls(model, value_head, tokenizer, norm_stats)

    @classmethod
    def from_preset(cls, name: str, norm_stats: NormStats, seed: int = 0) -> "VLAPolicy":
        """A policy with fresh weights of a preset that ships with its tokenizer. Raises RlvlaError for the others."""
        found = preset(name)
        if found.tokenizer is None:
            raise RlvlaError(f"preset {name!r} has no weights of its own: load its checkpoint directory instead")
        return cls.from_config(found.config(), found.tokenizer(), norm_stats, seed)

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
        """A policy with the weights, tokenizer and statistics of a public checkpoint; its value head starts fresh.

        unnorm_key: which action statistics of the checkpoint to use; may be left out where there is only one.
        seed: of the value head. dtype: precision of the graph and of its image transform.
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
        model = family_of(config.model_type).load(directory, config, dtype=dtype, device=device)
        check_sight(model, tokenizer.empty_token_id)
        value_head = ValueHead(config.value_width, config.value_hidden)
        value_head.initialise(torch.Generator().manual_seed(seed))
        transform = ImageTransform(size=config.image_size, dtype=dtype)
        policy = cls(model, value_head.to(device), tokenizer, statistics[key], transform)
        policy.base_directory = directory.resolve()
        return policy

    @property
    def device(self) -> torch.device:
        """Device that the weights are on."""
        return self.value_head.head_l1.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Data type of the model's weights and inputs."""
        return self.model.dtype

    def backbone_parameters(self) -> Iterator[nn.Parameter]:
        """Trainable parameters of the model: all but frozen ones, or the adapter's alone after `apply_lora`."""
        return (parameter for parameter in self.model.parameters() if parameter.requires_grad)

    def value_parameters(self) -> Iterator[nn.Parameter]:
        """Parameters of the value head: always trained, usually with their own learning rate."""
        return self.value_head.parameters()

    def freeze_vision(self) -> None:
        """Exclude the vision towers from training from now on: their weights stay as they are."""
        for parameter in self.model.vision_parameters():
            parameter.requires_grad_(False)

    def freeze_output(self) -> None:
        """Exclude the layer that gives token logits from training from now on; values do not depend on it."""
        for parameter in self.model.output_parameters():
            parameter.requires_grad_(False)

    def act(
        self,
        images: torch.Tensor,
        instructions: Sequence[str],
        *,
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> ActionSample:
        """Draw an action for each image (uint8 [B, H, W, 3]) and its instruction. No gradients.

        temperature: 0 = greedy. generator: on the policy's device; makes draws repeatable.
        Raises RlvlaError for images of another type or shape, and unless there is one instruction for each image.
        """
        with torch.no_grad():
            decoded = self.model.decode(
                self._sequence(images, instructions),
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
        """Log-probabilities, entropies and values of `tokens` int64 [B, 7], from one pass with gradients.

        images: uint8 [B, H, W, 3], with one instruction for each. Raises RlvlaError as `act` does.
        """
        sequence = self._sequence(images, instructions)
        hidden = self.model.action_hidden(sequence, tokens, empty_token_id=self.tokenizer.empty_token_id)
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
        """The critic's estimates float32 [B] of the return, for images uint8 [B, H, W, 3]. Carries gradients.

        tokens: int64 [B, 7], the action taken. Critic input `first` does not read it (no action is decoded); for the
        others None stands for the most likely action.
        """
        sequence = self._sequence(images, instructions)
        if self.config.critic_input == "first":
            hidden = self.model.first_hidden(sequence)
        else:
            hidden = self.model.action_hidden(sequence, tokens, empty_token_id=self.tokenizer.empty_token_id)
        return self.value_head(critic_state(hidden, self.config.critic_input))

    def read_values_from(self, critic_input: CriticInput, *, seed: int) -> None:
        """Make the value head read the hidden states `critic_input`: a new head, unless the present one reads them
        already."""
        if critic_input != self.config.critic_input:
            device = self.device
            self.config = replace(self.config, critic_input=critic_input)
            head = ValueHead(self.config.value_width, self.config.value_hidden)
            head.initialise(torch.Generator().manual_seed(seed))
            self.value_head = head.to(device)

    def patches(self, images: torch.Tensor) -> torch.Tensor:
        """Projected patch features [B, P, D] of images uint8 [B, H, W, 3], without the language model."""
        return self.model.patches(self._pixels(images))

    def _pixels(self, images: torch.Tensor) -> torch.Tensor:
        return self.transform(images.to(self.device)).to(self.dtype)

    def _sequence(self, images: torch.Tensor, instructions: Sequence[str]) -> InputSequence:
        if len(images) != len(instructions):
            raise RlvlaError(f"{len(images)} images came with {len(instructions)} instructions: give one for each")
        input_ids, mask = self.tokenizer.batch(instructions, self.config.pad_token_id, self.device)
        return self.model.embed(self._pixels(images), input_ids, mask)
