"""`rlvla train sft`: train a policy on demonstrations by supervised fine-tuning."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import torch

from rlvla.commands.command_run import open_command_run, resolved
from rlvla_core.data.dataset import Dataset
from rlvla_core.data.frames import Frames
from rlvla_core.data.subset import Subset
from rlvla_core.errors import RlvlaError
from rlvla_core.learning.algorithms.localisation import ProjectedPoints
from rlvla_core.learning.algorithms.sft import SftConfig, train_sft
from rlvla_core.learning.bundle_check import save_same_tokens_bundle
from rlvla_core.learning.distributed import Ranks, launch
from rlvla_core.policy.lora import LoraConfig
from rlvla_core.policy.norm_stats import NormStats
from rlvla_core.policy.starting import start_policy


@dataclass(frozen=True, kw_only=True)
class TrainSft:
    """Train a policy on demonstrations by supervised fine-tuning (SFT), e.g. as the warm-up for PPO.

    Reads the dataset --data and the policy --policy; writes a run directory with a policy bundle, which is loaded again
    to check that it acts as the trained policy.
    """

    data: Path
    """Directory of the demonstrations in LeRobot v3 layout, as `rlvla collect` writes it."""
    episodes: int = 0
    """Number of episodes to learn from, drawn by the seed; a smaller number is a subset of a larger one. 0 = all.
    Action statistics are always those of the whole dataset."""
    directory: Path = Path("runs/sft")
    """Run directory: configuration, journal, checkpoints, TensorBoard, and the trained bundle as `policy`."""
    policy: str = "tiny"
    """Policy to start from: `tiny` (the shipped base), `tiny-from-nothing` (random weights), or the directory of a
    policy bundle."""
    sft: SftConfig = field(default_factory=SftConfig)
    """Supervised training."""
    lora: bool = False
    """Train a LoRA adapter instead of all parameters, as a 7B model needs."""
    lora_size: LoraConfig = field(default_factory=LoraConfig)
    """Size of a new LoRA adapter."""
    ranks: int = 0
    """Number of training processes on this machine; 0 = one per core, at most 4, or one per GPU. Leave it at 0 under
    torchrun."""
    device: str = "cpu"
    """Device for training: `cpu` or `cuda`."""
    resume: bool = False
    """Continue the run in --directory from its last checkpoint."""

    def run(self) -> int:
        """Train and write the bundle; returns the exit code. Raises RlvlaError for a user's mistake."""
        launch(_train, (self,), ranks=self.ranks, device=self.device)
        return 0


def _train(ranks: Ranks, command: TrainSft) -> None:
    dataset = Dataset.open(command.data)
    spec = dataset.env_spec
    if spec is None:
        raise RlvlaError(f"{command.data} does not say which world it is from: a bundle needs robot, rate and camera")
    frames: Frames = dataset
    if command.episodes:
        frames = Subset(dataset, command.episodes, seed=command.sft.seed)
    policy = start_policy(
        command.policy,
        norm_stats=NormStats.from_json(dataset.norm_stats()),
        lora=command.lora_size if command.lora else None,
        seed=command.sft.seed,
        device=str(ranks.device),
    )
    config = resolved(command)
    with open_command_run(command, ranks, may_change=("sft.minutes", "sft.epochs")) as run:
        labels = ProjectedPoints(spec) if command.sft.localisation_weight else None
        summary = train_sft(policy, frames, command.sft, run, ranks, labels=labels)
        if ranks.is_main:
            seen = frames.frames(torch.arange(min(32, frames.num_frames)))
            provenance = {"command": "train sft", "config": config, "data": dataset.provenance}
            save_same_tokens_bundle(policy, seen, run.policy_dir, spec=spec, provenance=provenance)
            line = {
                "command": "train sft",
                **summary.to_json(),
                "ranks": ranks.size,
                "episodes": command.episodes or dataset.num_episodes,
                "frames": frames.num_frames,
                "policy": str(run.policy_dir),
            }
            print(json.dumps(line), flush=True)
        ranks.barrier()
