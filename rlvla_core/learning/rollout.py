"""Rollouts: one full episode in every environment, what was recorded, and how it is cut into minibatches.

Order of use: `collect` plays and returns a `RolloutBatch`; `Steps` looks at it as single steps; `minibatches` draws
them in random order for the optimiser steps, and `micro_batches` cuts a minibatch into what fits into one pass.
Shape letters: T steps, N environments of this rank, H W image, A = 7 action tokens, S privileged state.
"""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from rlvla_core import seeds
from rlvla_core.environment import VecEnv
from rlvla_core.errors import RlvlaError
from rlvla_core.learning.config import TrainingConfig
from rlvla_core.learning.distributed import Ranks
from rlvla_core.policy.policy import TokenScore, VLAPolicy


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RolloutBatch:
    """Everything recorded in one rollout. Steps after the end of an episode hold zeros and have `valid` False."""

    images: torch.Tensor
    """uint8 [T, N, H, W, 3]: the image before the action."""
    instructions: list[str]
    """N sentences, constant over the episode."""
    states: torch.Tensor | None
    """float32 [T, N, S]: privileged state before the action, or None where the environment has none."""
    tokens: torch.Tensor
    """int64 [T, N, A]: the action tokens that were drawn, as vocabulary ids."""
    logprobs: torch.Tensor
    """float32 [T, N]: log-probability of each action, summed over its A tokens, of the softmax at temperature 1."""
    values: torch.Tensor
    """float32 [T, N]: value of each image by the policy's own value head."""
    final_values: torch.Tensor
    """float32 [N]: value of the image after the last step; 0 for episodes that terminated."""
    final_states: torch.Tensor | None
    """float32 [N, S]: privileged state after the last step, or None where the environment has none."""
    final_images: torch.Tensor
    """uint8 [N, H, W, 3]: the image after the last step."""
    rewards: torch.Tensor
    """float32 [T, N]: reward of each step."""
    terminated: torch.Tensor
    """bool [T, N]: the task itself ended with this step."""
    truncated: torch.Tensor
    """bool [T, N]: the time limit ended the episode with this step, and the task had not ended."""
    valid: torch.Tensor
    """bool [T, N]: the step was taken."""
    success_at_end: torch.Tensor
    """bool [N]: the success test held after the episode's last step."""
    success_once: torch.Tensor
    """bool [N]: the success test held after at least one step."""
    env_seconds: float
    """Seconds spent in the environment's `reset` and `step`."""
    policy_seconds: float
    """Seconds spent in the policy's `act`."""

    @property
    def steps(self) -> int:
        """Number of steps taken in all N episodes."""
        return int(self.valid.sum())

    def next_values(self, values: torch.Tensor, final_values: torch.Tensor) -> torch.Tensor:
        """Value float32 [T, N] of the observation after each step, from `values` [T, N] before each step and
        `final_values` [N] after the last one."""
        following = torch.cat([values[1:], torch.zeros_like(values[:1])])
        return torch.where(self.truncated, final_values.unsqueeze(0).expand_as(values), following)


def collect(
    policy: VLAPolicy,
    env: VecEnv,
    episode_ids: torch.Tensor,
    *,
    temperature: float,
    generator: torch.Generator,
) -> RolloutBatch:
    """Play the episodes `episode_ids` int64 [N] to their ends, with action tokens sampled at `temperature`.

    The policy sees only environments that are still running; one that ends early costs nothing afterwards.
    """
    horizon, count = env.spec.max_steps, env.num_envs
    clock = _Clock()
    with clock.measure("env"):
        observation = env.reset(episode_ids)
    device = observation.images.device
    images = torch.zeros((horizon, *observation.images.shape), dtype=torch.uint8, device=device)
    states = None
    if observation.state is not None:
        states = torch.zeros((horizon, *observation.state.shape), dtype=torch.float32, device=device)
    tokens = torch.zeros((horizon, count, 7), dtype=torch.int64, device=device)
    floats = torch.zeros((3, horizon, count), dtype=torch.float32, device=device)
    flags = torch.zeros((3, horizon, count), dtype=torch.bool, device=device)
    logprobs, values, rewards = floats
    terminated, truncated, valid = flags
    active = torch.ones(count, dtype=torch.bool, device=device)
    success_at_end, success_once = torch.zeros_like(active), torch.zeros_like(active)
    actions = torch.zeros((count, 7), dtype=torch.float32, device=device)
    instructions = list(observation.instructions)
    for t in range(horizon):
        running = active.nonzero().squeeze(-1)
        with clock.measure("policy"):
            sample = policy.act(
                observation.images[running],
                [instructions[i] for i in running.tolist()],
                temperature=temperature,
                generator=generator,
            )
        images[t] = observation.images
        if states is not None and observation.state is not None:
            states[t] = observation.state
        actions[running] = sample.actions.to(device)
        tokens[t, running] = sample.tokens.to(device)
        logprobs[t, running] = sample.logprobs.sum(-1).to(device)
        values[t, running] = sample.values.to(device)
        valid[t] = active
        with clock.measure("env"):
            result = env.step(actions, active)
        rewards[t] = result.rewards * active
        terminated[t] = result.terminated & active
        truncated[t] = result.truncated & active & ~result.terminated
        success_once |= result.success & active
        ends = terminated[t] | truncated[t]
        success_at_end = torch.where(active, result.success, success_at_end)
        active = active & ~ends
        observation = result.observation
        if not active.any():
            break
    cut = truncated.any(0)
    final_values = torch.zeros(count, dtype=torch.float32, device=device)
    if cut.any():
        # A truncated environment stays as it is, so the last observation is the one after its last step.
        open_ended = cut.nonzero().squeeze(-1)
        with clock.measure("policy"):
            sentences = [instructions[i] for i in open_ended.tolist()]
            final_values[open_ended] = policy.value(observation.images[open_ended], sentences).detach().to(device)
    return RolloutBatch(
        images=images,
        instructions=instructions,
        states=states,
        tokens=tokens,
        logprobs=logprobs,
        values=values,
        final_values=final_values,
        final_states=observation.state,
        final_images=observation.images,
        rewards=rewards,
        terminated=terminated,
        truncated=truncated,
        valid=valid,
        success_at_end=success_at_end,
        success_once=success_once,
        env_seconds=clock.seconds["env"],
        policy_seconds=clock.seconds["policy"],
    )


class _Clock:
    """Adds up the seconds spent in the environment and in the policy."""

    def __init__(self) -> None:
        self.seconds = {"env": 0.0, "policy": 0.0}

    @contextlib.contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Add the seconds of the `with` block to `name`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - start


class Steps:
    """A rollout seen as T·N single steps in any order; images stay uint8 on the environment's device.

    Step t of environment n has the index t·N + n. All indices are int64 [b].
    """

    def __init__(self, batch: RolloutBatch) -> None:
        self.batch = batch
        self.logprobs = batch.logprobs.flatten()
        """float32 [T·N]: log-probability of each action when it was drawn."""
        self.valid = batch.valid.flatten().nonzero().squeeze(-1)
        """int64 [M]: indices of the steps that were taken."""
        self._tokens = batch.tokens.flatten(0, 1)
        self._images = batch.images.flatten(0, 1)
        self._states = None if batch.states is None else batch.states.flatten(0, 1)

    def score(self, policy: VLAPolicy, index: torch.Tensor) -> TokenScore:
        """Log-probabilities, entropies and values that `policy` gives now to the actions taken in steps `index`."""
        return policy.score(self.images(index), self.instructions(index), self.tokens(index))

    def images(self, index: torch.Tensor) -> torch.Tensor:
        """uint8 [b, H, W, 3]: images before the actions of steps `index`."""
        return self._images[index]

    def tokens(self, index: torch.Tensor) -> torch.Tensor:
        """int64 [b, A]: action tokens drawn in steps `index`."""
        return self._tokens[index]

    def instructions(self, index: torch.Tensor) -> list[str]:
        """The b instructions of steps `index`."""
        return [self.batch.instructions[i] for i in self.envs(index).tolist()]

    def states(self, index: torch.Tensor) -> torch.Tensor:
        """Privileged states float32 [b, S] of steps `index`. Raises RlvlaError where the environment has none."""
        if self._states is None:
            raise RlvlaError("critic `privileged` needs an environment that gives a state: use critic `shared`")
        return self._states[index]

    def envs(self, index: torch.Tensor) -> torch.Tensor:
        """int64 [b]: number of the environment, 0 .. N - 1, in which each of the steps `index` was taken."""
        return index % len(self.batch.instructions)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Minibatch:
    """The samples of one optimiser step."""

    items: torch.Tensor
    """int64 [m]: this rank's items; there may be none."""
    count: float
    """Items on all ranks: losses are divided by it, so that the split of the work never changes the gradient."""
    is_first: bool
    """No step has been taken since the rollout: the policy is still the one that played it."""


def minibatches(
    items: torch.Tensor, total: int, config: TrainingConfig, ranks: Ranks, iteration: int
) -> Iterator[Minibatch]:
    """`config.epochs` passes over this rank's `items` int64 [M], each in a random order of its own.

    total: number of items on all ranks. An item is what the algorithm draws: a step, or a start with all its episodes.
    Every rank gets the same number of minibatches, of `config.minibatch` items over all ranks as nearly as it divides;
    none where no rank has items. The order depends on seed, iteration, rank and epoch alone, so a resumed run repeats
    it.
    """
    if total == 0:
        return
    for epoch in range(config.epochs):
        order = seeds.generator(config.seed, "shuffle", iteration, ranks.rank, epoch)
        mine = items.cpu()[torch.randperm(len(items), generator=order)].to(items.device)
        chunks = mine.tensor_split(max(1, round(total / config.minibatch)))
        counts = ranks.sum(torch.tensor([float(len(chunk)) for chunk in chunks])).tolist()
        for index, (chunk, count) in enumerate(zip(chunks, counts, strict=True)):
            if count:
                yield Minibatch(items=chunk, count=count, is_first=epoch == 0 and index == 0)


def micro_batches(items: torch.Tensor, size: int) -> Iterator[torch.Tensor]:
    """`items` int64 [m] in pieces of at most `size`; nothing for none (`Tensor.split` would give one empty piece)."""
    for first in range(0, len(items), size):
        yield items[first : first + size]
