"""What `rlvla train ppo`, `grpo` and `dpo` share: a policy, a world, a run directory, ranks; and the work itself."""

import abc
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rlvla.commands.command_run import open_command_run, resolved
from rlvla_core.environment import EnvSpec, VecEnv
from rlvla_core.learning.algorithms.learner import Learner
from rlvla_core.learning.config import TrainingConfig
from rlvla_core.learning.distributed import Ranks, launch
from rlvla_core.learning.trainer import train
from rlvla_core.policy.bundle import load_deploy
from rlvla_core.policy.deploy import check_fits
from rlvla_core.policy.lora import LoraConfig
from rlvla_core.policy.policy import VLAPolicy
from rlvla_core.policy.starting import start_policy
from rlvla_core.toy import ToyConfig, make_toy_env
from rlvla_sim import WorldConfig, make_env


@dataclass(frozen=True, kw_only=True)
class TrainInWorld(abc.ABC):
    """A command that improves a policy by the episodes that it plays itself."""

    policy: str
    """Policy bundle to start from (a directory, usually `.../policy` of a warm-up run)."""
    directory: Path
    """Run directory: configuration, journal, checkpoints, TensorBoard, bundle."""
    world: Literal["sim", "toy"] = "sim"
    """Which kind of world; its options are below under the same name."""
    sim: WorldConfig = field(default_factory=WorldConfig)
    """The put-X-on-Y world."""
    toy: ToyConfig = field(default_factory=ToyConfig)
    """The small image worlds, which need no simulator."""
    lora: bool = False
    """Train LoRA adapters instead of all parameters; needed for 7B. A bundle that has an adapter always trains that."""
    lora_size: LoraConfig = field(default_factory=LoraConfig)
    """Size of a new adapter."""
    ranks: int = 0
    """Training processes on this machine; 0: one per core up to 4, or one per GPU. Under torchrun leave it at 0."""
    device: str = "cpu"
    """`cpu` or `cuda`."""
    resume: bool = False
    """Go on with the run in `directory`."""

    @property
    @abc.abstractmethod
    def algorithm(self) -> TrainingConfig:
        """The options of the algorithm; a field of the command has its `name`."""

    @abc.abstractmethod
    def learner(self, policy: VLAPolicy, ranks: Ranks, spec: EnvSpec) -> Learner:
        """The algorithm, about to train `policy`."""

    def run(self) -> int:
        """Train; raises RlvlaError for anything that the user can mend."""
        launch(_train, (self,), ranks=self.ranks, device=self.device)
        return 0


def make_world(command: TrainInWorld, worlds: int, device: str) -> VecEnv:
    """This rank's worlds."""
    if command.world == "toy":
        return make_toy_env(command.toy, worlds)
    return make_env(command.sim, worlds, device=device)


def _train(ranks: Ranks, command: TrainInWorld) -> None:
    algorithm, device = command.algorithm, str(ranks.device)
    env = make_world(command, ranks.per_rank(algorithm.num_envs, "environments"), device)
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
