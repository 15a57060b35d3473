"""`rlvla train ppo`: improve a policy bundle by reinforcement learning."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rlvla_core.environment import EnvSpec, VecEnv
from rlvla_core.learning.distributed import Ranks, launch
from rlvla_core.learning.job import open_run, start_policy
from rlvla_core.learning.ppo import PpoConfig
from rlvla_core.learning.trainer import train_ppo
from rlvla_core.policy.bundle import load_deploy
from rlvla_core.policy.deploy import check_fits
from rlvla_core.policy.lora import LoraConfig
from rlvla_core.toy import ToyConfig, make_toy_env
from rlvla_sim import WorldConfig, make_env


@dataclass(frozen=True, kw_only=True)
class TrainPpo:
    """Improve a policy by PPO in a world, and write a bundle that was loaded again and checked."""

    policy: str
    """Policy bundle to start from (a directory, usually `.../policy` of a warm-up run)."""
    directory: Path = Path("runs/ppo")
    """Run directory: configuration, journal, checkpoints, TensorBoard, bundle."""
    world: Literal["sim", "toy"] = "sim"
    """Which kind of world; its options are below under the same name."""
    sim: WorldConfig = field(default_factory=WorldConfig)
    """The put-X-on-Y world."""
    toy: ToyConfig = field(default_factory=ToyConfig)
    """The small picture worlds, which need no simulator."""
    ppo: PpoConfig = field(default_factory=PpoConfig)
    """The algorithm."""
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

    def run(self) -> int:
        """Train; raises RlvlaError for anything that the user can mend."""
        launch(_train, (self,), ranks=self.ranks, device=self.device)
        return 0


def make_world(command: TrainPpo, worlds: int, device: str) -> VecEnv:
    """This rank's worlds."""
    if command.world == "toy":
        return make_toy_env(command.toy, worlds)
    return make_env(command.sim, worlds, device=device)


def resolved(command: object) -> dict:
    """The configuration as JSON values, defaults included."""
    return json.loads(json.dumps(dataclasses.asdict(command), default=str))  # type: ignore[call-overload]


def _train(ranks: Ranks, command: TrainPpo) -> None:
    device = str(ranks.device)
    env = make_world(command, ranks.share(command.ppo.worlds, "worlds"), device)
    _check_policy(command.policy, env.spec)
    policy = start_policy(
        command.policy,
        norm_stats=None,
        lora=command.lora_size if command.lora else None,
        seed=command.ppo.seed,
        device=device,
    )
    config = resolved(command)
    with open_run(
        command.directory, config, ranks, resume=command.resume, may_change=("ppo.minutes", "ppo.iterations")
    ) as run:
        provenance = {"command": "train ppo", "config": config}
        summary = train_ppo(policy, env, command.ppo, run, ranks, provenance=provenance)
        if ranks.is_main:
            success = None if summary.gate_success is None else round(summary.gate_success, 4)
            line = {
                "command": "train ppo",
                "iterations": summary.iterations,
                "env_steps": summary.env_steps,
                "minutes": round(summary.seconds / 60, 2),
                "ranks": ranks.size,
                "greedy_success": success,
                "greedy_episodes": command.ppo.gate_episodes,
                "policy": str(run.policy_dir),
            }
            print(json.dumps(line), flush=True)
    env.close()


def _check_policy(source: str, spec: EnvSpec) -> None:
    if Path(source).is_dir():
        check_fits(load_deploy(Path(source)), spec)
