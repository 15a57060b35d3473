"""Proximal policy optimisation as in the paper (Liu et al. 2025, sections 3-4): one update from one rollout.

Departures from the released code, each on purpose: the policy loss is not multiplied by seven (`policy_loss_scale`),
log-probabilities and advantages stay float32, and a time limit is not a terminal (`time_limit_as_terminal`).
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch

from rlvla_core.errors import RlvlaError
from rlvla_core.learning import losses, seeds
from rlvla_core.learning.advantages import gae, moments_of, normalise
from rlvla_core.learning.critic import PrivilegedCritic, state_moments
from rlvla_core.learning.distributed import Ranks
from rlvla_core.learning.rollout import RolloutBatch
from rlvla_core.learning.snapshot import reduce_and_clip
from rlvla_core.policy.policy import VLAPolicy


@dataclass(frozen=True, kw_only=True, slots=True)
class PpoConfig:
    """The paper's recipe."""

    iterations: int = 390
    """Rollouts; each plays one full episode in every world. 390 x 5,120 steps are the paper's two million."""
    minutes: float = 0.0
    """Stop after the iteration that passes this many minutes; 0: no limit. Resuming counts on."""
    worlds: int = 64
    """Worlds over all ranks."""
    seed: int = 0
    """Seed of episode ids, sampling and shuffling."""
    gamma: float = 0.99
    """Discount."""
    lam: float = 0.95
    """λ of generalised advantage estimation."""
    time_limit_as_terminal: bool = False
    """True: no bootstrap at the time limit, as in the paper."""
    epochs: int = 1
    """Passes over each rollout."""
    minibatch: int = 160
    """Steps in one optimiser step, over all ranks and micro-batches."""
    micro_batch: int = 40
    """Steps in one forward and backward pass of one rank: memory, not learning."""
    clip: float = 0.2
    """ε of the policy ratio and of the value change."""
    policy_loss_scale: float = 1.0
    """1: the loss of the formula. 7: what the released code computes by summing seven equal columns."""
    entropy_coefficient: float = 0.0
    """Weight of the mean token entropy."""
    max_grad_norm: float = 10.0
    """The gradient of all trainable parameters together is scaled down to this norm."""
    lr: float = 1e-4
    """Learning rate of the policy (LoRA or all parameters)."""
    value_lr: float = 3e-3
    """Learning rate of the value head, or of the privileged critic."""
    weight_decay: float = 0.01
    """AdamW's decoupled decay."""
    lr_warmup_updates: int = 10
    """The policy's rate rises linearly over its first updates."""
    anneal: bool = False
    """Let both rates fall linearly to zero over `iterations`. The paper does not. Once nearly every episode succeeds,
    standardised advantages are mostly noise, and full steps along it can undo what was learned."""
    value_warmup_iterations: int = 2
    """First iterations that train only the critic, so that the first policy steps follow real advantages."""
    temperature: float = 1.0
    """Sampling temperature of rollouts."""
    critic: Literal["shared", "privileged"] = "shared"
    """shared: the policy's value head. privileged: a small network on simulator state, for training only."""
    train_vision: bool = True
    """False: the towers stay as they are, which saves their part of the backward pass."""
    checkpoint_every: int = 1
    """Iterations between checkpoints."""
    gate_episodes: int = 64
    """Episodes of the greedy evaluation that the reloaded bundle must repeat exactly; 0: none."""

    def __post_init__(self) -> None:
        positive = ("iterations", "worlds", "epochs", "minibatch", "micro_batch", "lr", "value_lr", "checkpoint_every")
        for name in positive:
            if getattr(self, name) <= 0:
                raise RlvlaError(f"ppo.{name} must be positive, got {getattr(self, name)}")
        if not (0 < self.gamma <= 1 and 0 <= self.lam <= 1 and 0 < self.clip < 1 and self.temperature > 0):
            raise RlvlaError(
                f"ppo needs 0 < gamma <= 1, 0 <= lam <= 1, 0 < clip < 1 and temperature > 0, got gamma {self.gamma}, "
                f"lam {self.lam}, clip {self.clip}, temperature {self.temperature}"
            )


class PpoLearner:
    """Policy, critic and optimiser; `update` learns from one rollout. `updates` counts steps of the policy."""

    def __init__(self, policy: VLAPolicy, config: PpoConfig, ranks: Ranks, *, state_dim: int) -> None:
        self.policy, self.config, self.ranks = policy, config, ranks
        self.critic: PrivilegedCritic | None = None
        if config.critic == "privileged":
            self.critic = PrivilegedCritic(state_dim, seed=seeds.derive(config.seed, "critic")).to(ranks.device)
        if not config.train_vision:
            policy.model.vision_backbone.requires_grad_(False)
        head = {id(p) for p in policy.value_head.parameters()}
        self.policy_parameters = [p for p in policy.parameters() if p.requires_grad and id(p) not in head]
        source = policy.value_head if self.critic is None else self.critic
        self.value_parameters = [p for p in source.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": self.policy_parameters, "lr": config.lr},
                {"params": self.value_parameters, "lr": config.value_lr},
            ],
            weight_decay=config.weight_decay,
        )
        self.updates = 0
        ranks.broadcast([*self.policy_parameters, *policy.value_head.parameters()])

    def update(self, batch: RolloutBatch, iteration: int) -> dict[str, float]:
        """One pass of PPO over `batch`; `iteration` counts from 1. Returns the figures of the journal.

        Raises RlvlaError, before any parameter is touched by it, for a loss or gradient that is not finite, and for
        a policy whose rollout and update disagree about log-probabilities.
        """
        config, ranks = self.config, self.ranks
        values, final_values = self._values(batch)
        advantages, returns = gae(
            batch.rewards,
            values,
            batch.next_values(values, final_values),
            terminated=batch.terminated,
            truncated=batch.truncated,
            valid=batch.valid,
            gamma=config.gamma,
            lam=config.lam,
            time_limit_as_terminal=config.time_limit_as_terminal,
        )
        valid = batch.valid
        summed = ranks.sum(
            torch.stack([moments_of(x) for x in (advantages[valid], (returns - values)[valid], returns[valid])])
        )
        advantages = normalise(advantages, summed[0])
        steps = _Steps(batch, values.flatten(), advantages.flatten(), returns.flatten())
        policy_learns = iteration > config.value_warmup_iterations
        total_steps = int(summed[0, 0].item())
        tally = _Tally(ranks.device)
        first_ratio_error = 0.0
        for epoch in range(config.epochs):
            order = seeds.generator(config.seed, "shuffle", iteration, ranks.rank, epoch)
            mine = valid.flatten().nonzero().squeeze(-1).cpu()
            mine = mine[torch.randperm(len(mine), generator=order)].to(valid.device)
            chunks = mine.tensor_split(max(1, round(total_steps / config.minibatch)))
            counts = ranks.sum(torch.tensor([float(len(chunk)) for chunk in chunks])).tolist()
            for index, (chunk, count) in enumerate(zip(chunks, counts, strict=True)):
                error = self._minibatch(steps, chunk, count, policy_learns, tally, iteration)
                if policy_learns and epoch == 0 and index == 0:
                    first_ratio_error = self._check_first_ratio(error, iteration)
        figures = tally.means(ranks)
        figures["explained_variance"] = losses.explained_variance(summed[1], summed[2])
        figures["first_ratio_error"] = first_ratio_error
        figures["lr"] = self._lr(iteration) if policy_learns else 0.0
        return figures

    def _values(self, batch: RolloutBatch) -> tuple[torch.Tensor, torch.Tensor]:
        if self.critic is None:
            return batch.values, batch.final_values
        assert batch.states is not None and batch.final_states is not None
        if not self.critic.is_standardised:
            # Every rank must see the same scale, or the replicas of the critic would differ.
            self.critic.standardise(self.ranks.sum(state_moments(batch.states[batch.valid])))
        with torch.no_grad():
            return self.critic(batch.states), self.critic(batch.final_states)

    def _minibatch(
        self, steps: "_Steps", chunk: torch.Tensor, count: float, policy_learns: bool, tally: "_Tally", iteration: int
    ) -> float:
        """One optimiser step. Returns the largest |ratio - 1| that this rank saw before it."""
        config = self.config
        self.optimizer.zero_grad(set_to_none=True)
        ratio_error = 0.0
        finite = {"policy loss": True, "value loss": True}
        for micro in chunk.split(config.micro_batch) if len(chunk) else ():  # a rank may have fewer steps left
            old_values, returns = steps.values[micro], steps.returns[micro]
            loss = torch.zeros((), device=returns.device)
            values, score = self._forward(steps, micro, policy_learns)
            value_losses = losses.value_loss(values, old_values, returns, clip=config.clip)
            loss = loss + value_losses.sum() / count
            figures = {"value_loss": value_losses}
            finite["value loss"] &= bool(torch.isfinite(value_losses).all())
            if score is not None:
                logprobs, entropies = score
                old = steps.logprobs[micro]
                policy_losses = losses.ppo_policy_loss(logprobs, old, steps.advantages[micro], clip=config.clip)
                loss = loss + config.policy_loss_scale * policy_losses.sum() / count
                if config.entropy_coefficient:
                    loss = loss - config.entropy_coefficient * entropies.sum() / count
                finite["policy loss"] &= bool(torch.isfinite(policy_losses).all())
                now = logprobs.detach()
                figures["policy_loss"] = policy_losses
                figures["entropy"] = entropies
                figures["kl"] = losses.approx_kl(now, old)
                figures["clip_fraction"] = losses.clipped(now, old, clip=config.clip)
                ratio_error = max(ratio_error, float((torch.exp(now - old) - 1.0).abs().max()))
            loss.backward()
            tally.add(figures)
        trained = [*self.policy_parameters, *self.value_parameters] if policy_learns else self.value_parameters
        norm = reduce_and_clip(trained, self.ranks, config.max_grad_norm)
        # A loss can be infinite while its gradient is not (Huber's), so both are looked at.
        broken = [name for name, good in finite.items() if not good]
        if broken or not math.isfinite(norm):
            raise RlvlaError(
                f"iteration {iteration}: the {(broken or ['gradient norm'])[0]} is not a finite number; the last "
                "checkpoint is good: start again from it with a smaller learning rate"
            )
        tally.add_norm(norm)
        policy_group, value_group = self.optimizer.param_groups
        policy_group["lr"] = self._lr(iteration) if policy_learns else 0.0
        value_group["lr"] = config.value_lr * self._annealing(iteration)
        self.optimizer.step()
        self.updates += policy_learns
        return ratio_error

    def _forward(
        self, steps: "_Steps", micro: torch.Tensor, policy_learns: bool
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor] | None]:
        """Values [b] and, where the policy learns, (summed log-probs [b], mean token entropies [b])."""
        if self.critic is not None and not policy_learns:
            return self.critic(steps.states(micro)), None
        with torch.set_grad_enabled(policy_learns):
            score = self.policy.score(steps.images(micro), steps.instructions(micro), steps.tokens[micro])
        if self.critic is not None:
            values = self.critic(steps.states(micro))
        else:
            values = score.values if policy_learns else self.policy.value_head(score.state)
        if not policy_learns:
            return values, None
        return values, (score.logprobs.sum(-1), score.entropies.mean(-1))

    def _lr(self, iteration: int) -> float:
        warmup = max(self.config.lr_warmup_updates, 1)
        return self.config.lr * min(1.0, (self.updates + 1) / warmup) * self._annealing(iteration)

    def _annealing(self, iteration: int) -> float:
        """Factor of both rates: 1 in the first iteration, 1 / iterations in the last."""
        return 1.0 - (iteration - 1) / self.config.iterations if self.config.anneal else 1.0

    def _check_first_ratio(self, error: float, iteration: int) -> float:
        worst = float(self.ranks.gather(torch.tensor([error])).max())
        exact = all(p.dtype == torch.float32 for p in self.policy.parameters())
        if exact and worst > 1e-3:
            raise RlvlaError(
                f"iteration {iteration}: before the first update the PPO ratio must be 1, it is off by {worst:.2g}: "
                "the rollout and the update compute different log-probabilities"
            )
        return worst


class _Steps:
    """A rollout seen as T·N single steps; pictures stay uint8 where they are."""

    def __init__(
        self, batch: RolloutBatch, values: torch.Tensor, advantages: torch.Tensor, returns: torch.Tensor
    ) -> None:
        self.batch, self.values, self.advantages, self.returns = batch, values, advantages, returns
        self.logprobs = batch.logprobs.flatten()
        self.tokens = batch.tokens.flatten(0, 1)
        self._images = batch.images.flatten(0, 1)
        self._states = None if batch.states is None else batch.states.flatten(0, 1)

    def images(self, index: torch.Tensor) -> torch.Tensor:
        return self._images[index]

    def instructions(self, index: torch.Tensor) -> list[str]:
        worlds = len(self.batch.instructions)
        return [self.batch.instructions[i % worlds] for i in index.tolist()]

    def states(self, index: torch.Tensor) -> torch.Tensor:
        if self._states is None:
            raise RlvlaError("critic `privileged` needs a world that gives a state: use critic `shared`")
        return self._states[index]


class _Tally:
    """Sums of per-step figures over an iteration, and their means over all ranks."""

    NAMES = ("policy_loss", "value_loss", "entropy", "kl", "clip_fraction")

    def __init__(self, device: torch.device) -> None:
        self.sums = torch.zeros(len(self.NAMES), 2, dtype=torch.float64, device=device)
        self.norms: list[float] = []

    def add(self, figures: dict[str, torch.Tensor]) -> None:
        for name, figure in figures.items():
            wide = figure.detach().double()
            self.sums[self.NAMES.index(name)] += torch.stack([wide.sum(), wide.new_tensor(float(wide.numel()))])

    def add_norm(self, norm: float) -> None:
        self.norms.append(norm)

    def means(self, ranks: Ranks) -> dict[str, float]:
        sums = ranks.sum(self.sums).tolist()
        figures = {name: total / count if count else 0.0 for name, (total, count) in zip(self.NAMES, sums, strict=True)}
        figures["gradient_norm"] = sum(self.norms) / len(self.norms)
        return figures
