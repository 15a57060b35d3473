"""Options and run of the commands that train a policy on its own episodes: `rlvla train ppo`, `grpo`, `dpo`."""

import abc
import json
from dataclasses import dataclass, field
from pathlib import Path

from rlvla.commands.command_run import open_command_run, resolved
from rlvla.worlds import AnyWorldConfig, make_env
from rlvla_core.environment import EnvSpec
from rlvla_core.learning.algorithms.learner import Learner
from rlvla_core.learning.config import TrainingConfig
from rlvla_core.learning.distributed import Ranks, launch
from rlvla_core.learning.trainer import train
from rlvla_core.policy.bundle import load_deploy
from rlvla_core.policy.deploy import check_fits
from rlvla_core.policy.lora import LoraConfig
from rlvla_core.policy.policy import VLAPolicy
from rlvla_core.policy.starting import start_policy
from rlvla_sim import WorldConfig


@dataclass(frozen=True, kw_only=True)
class TrainInWorld(abc.ABC):
    """Base class of the commands that train a policy by reinforcement learning in simulation."""

    policy: str
    """Directory of the policy bundle to start from, usually `policy` of a run of `rlvla train sft`."""
    directory: Path
    """Run directory: configuration, journal, checkpoints, TensorBoard, and the trained bundle as `policy`."""
    sim: WorldConfig = field(default_factory=WorldConfig)
    """The simulated world in which the policy learns."""
    lora: bool = False
    """Train a LoRA adapter instead of all parameters, as a 7B model needs; a bundle that has an adapter trains it
    without this option."""
    lora_size: LoraConfig = field(default_factory=LoraConfig)
    """Size of a new LoRA adapter."""
    ranks: int = 0
    """Number of training processes on this machine; 0 = one per core, at most 4, or one per GPU. Leave it at 0 under
    torchrun."""
    device: str = "cpu"
    """Device of policy and environments: `cpu` or `cuda`."""
    resume: bool = False
    """Continue the run in --directory from its last checkpoint."""

    @property
    def world(self) -> AnyWorldConfig:
        """Configuration of the environments to train in; tests override it with a toy task."""
        return self.sim

    @property
    @abc.abstractmethod
    def algorithm(self) -> TrainingConfig:
        """Configuration of the algorithm; the command has a field with its `name`."""

    @abc.abstractmethod
    def learner(self, policy: VLAPolicy, ranks: Ranks, spec: EnvSpec) -> Learner:
        """The learner of the algorithm for `policy` in environments of `spec`."""

    def run(self) -> int:
        """Train and write the bundle; returns the exit code. Raises RlvlaError for a user's mistake."""
        if self.ranks > 0:
            Ranks(size=self.ranks).per_rank(self.algorithm.num_envs, "environments")  # before processes start
        launch(_train, (self,), ranks=self.ranks, device=self.device)
        return 0


def _train(ranks: Ranks, command: TrainInWorld) -> None:
    algorithm, device = command.algorithm, str(ranks.device)
    env = make_env(command.world, ranks.per_rank(algorithm.num_envs, "environments"), device)
    _check_policy(command.policy, env.spec)
    policy = start_policy(
        command.policy,
        norm_stats=None,
        lora=command.lora_size if command.lora else None,
        seed=algorithm.seed,
        device=device,
    )
    config, name = resolved(command), f"train {algorithm.name}"
    learner = command.learner(policy, ranks, env.spec)
    may_change = (f"{algorithm.name}.minutes", f"{algorithm.name}.iterations")
    with open_command_run(command, ranks, may_change=may_change) as run:
        summary = train(learner, env, run, provenance={"command": name, "config": config})
        if ranks.is_main:
            success = None if summary.verified_success is None else round(summary.verified_success, 4)
            line = {
                "command": name,
                "iterations": summary.iterations,
                "env_steps": summary.env_steps,
                "minutes": round(summary.seconds / 60, 2),
                "ranks": ranks.size,
                "greedy_success": success,
                "greedy_episodes": algorithm.verify_episodes,
                "policy": str(run.policy_dir),
            }
            print(json.dumps(line), flush=True)
    env.close()


def _check_policy(source: str, spec: EnvSpec) -> None:
    if Path(source).is_dir():
        check_fits(load_deploy(Path(source)), spec)
