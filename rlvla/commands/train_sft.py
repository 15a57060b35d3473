"""`rlvla train sft`: warm a policy up on demonstrations."""

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
    """Warm a policy up on demonstrations, and write a bundle that was loaded again and checked."""

    data: Path
    """Dataset directory in LeRobot v3 layout, as `rlvla collect` writes it."""
    episodes: int = 0
    """Learn from so many of its episodes, drawn by the seed, those of a smaller number among those of a larger; 0: all.
    Action statistics are those of the whole dataset, so that two sizes differ in data alone."""
    directory: Path = Path("runs/sft")
    """Run directory: configuration, journal, checkpoints, TensorBoard, bundle."""
    policy: str = "tiny"
    """`tiny` (the base that is shipped), `tiny-from-nothing` (fresh weights), or a policy bundle directory."""
    sft: SftConfig = field(default_factory=SftConfig)
    """The training."""
    lora: bool = False
    """Train LoRA adapters instead of all parameters; needed for 7B."""
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
