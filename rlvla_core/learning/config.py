"""What can be told to every algorithm that learns from its own episodes. Each names the defaults that are its own."""

from dataclasses import dataclass

from rlvla_core.errors import RlvlaError


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingConfig:
    """Loop, optimiser and rollouts; the defaults are those of the paper's PPO."""

    iterations: int = 390
    """Rollouts; each plays one full episode in every world. 390 x 5,120 steps are the paper's two million."""
    minutes: float = 0.0
    """Stop after the iteration that passes this many minutes; 0: no limit. Resuming counts on."""
    num_envs: int = 64
    """Worlds over all ranks."""
    seed: int = 0
    """Seed of episode ids, sampling and shuffling."""
    epochs: int = 1
    """Passes over each rollout."""
    minibatch: int = 160
    """Steps in one optimiser step, over all ranks and micro-batches."""
    micro_batch: int = 40
    """Steps in one forward and backward pass of one rank: memory, not learning."""
    max_grad_norm: float = 10.0
    """The gradient of all trainable parameters together is scaled down to this norm."""
    lr: float = 1e-4
    """Learning rate of the policy (LoRA or all parameters)."""
    weight_decay: float = 0.01
    """AdamW's decoupled decay."""
    lr_warmup_updates: int = 10
    """The policy's rate rises linearly over its first updates."""
    anneal: bool = False
    """Let all rates fall linearly to zero over `iterations`. The paper does not. Once nearly every episode succeeds,
    standardised advantages are mostly noise, and full steps along it can undo what was learned."""
    average_fraction: float = 0.0
    """The bundle gets the mean of the policy's weights over about this last share of the iterations (`averaging`);
    0: the weights of the last one. Rollouts and learning do not change."""
    temperature: float = 1.0
    """Sampling temperature of rollouts."""
    train_vision: bool = True
    """False: the towers stay as they are, which saves their part of the backward pass."""
    checkpoint_every: int = 1
    """Iterations between checkpoints."""
    gate_episodes: int = 64
    """Episodes of the greedy evaluation that the reloaded bundle must repeat exactly; 0: none."""

    def __post_init__(self) -> None:
        self.check_positive("iterations", "num_envs", "epochs", "minibatch", "micro_batch", "lr", "checkpoint_every")
        self.check_positive("max_grad_norm", "temperature")
        if not 0 <= self.average_fraction <= 1:
            raise RlvlaError(f"{self.name}.average_fraction must be from 0 to 1, got {self.average_fraction}")

    @property
    def name(self) -> str:
        """What the command line calls it: `ppo` for PpoConfig."""
        return type(self).__name__.removesuffix("Config").lower()

    @property
    def envs_per_start(self) -> int:
        """How many neighbouring worlds play the same start."""
        return 1

    def check_at_least(self, least: int, *fields: str) -> None:
        """Raise RlvlaError where a named field is below `least`."""
        for field in fields:
            if getattr(self, field) < least:
                raise RlvlaError(f"{self.name}.{field} must be at least {least}, got {getattr(self, field)}")

    def check_positive(self, *fields: str) -> None:
        """Raise RlvlaError unless the named fields are above 0."""
        for field in fields:
            if getattr(self, field) <= 0:
                raise RlvlaError(f"{self.name}.{field} must be positive, got {getattr(self, field)}")
