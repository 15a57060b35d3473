"""`rlvla pretrain`: train a new base policy to locate objects in images, before it learns a task."""

import functools
import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from rlvla.commands.command_run import open_command_run, resolved
from rlvla_core.devices import check_device
from rlvla_core.errors import RlvlaError
from rlvla_core.learning.algorithms.sft import SftConfig, train_sft
from rlvla_core.learning.distributed import Ranks, launch
from rlvla_core.policy.bundle import save_bundle
from rlvla_core.policy.starting import FROM_NOTHING, start_policy
from rlvla_core.runs.progress import Progress
from rlvla_sim.config import WorldConfig
from rlvla_sim.pretraining.dataset import SceneDataset, ScenePlan, collect_scenes
from rlvla_sim.robots import robot


@dataclass(frozen=True, kw_only=True)
class Pretrain:
    """Train a new base policy to locate objects, relative to the gripper, in images of the simulator.

    Renders images of arms, objects and receptacles of the training split into --data, except those that are there
    already, trains the `tiny` model on them in --directory, and writes the base as DIRECTORY/policy, for `rlvla train
    sft --policy`. The base has the whole graph of a policy but has not learned any action of the task.
    """

    directory: Path = Path("runs/pretrain")
    """Run directory: configuration, journal, checkpoints, TensorBoard, and the base as `policy`."""
    data: Path = Path("data/scenes")
    """Folder of the images; images that are there already are not rendered again."""
    robots: tuple[str, ...] = ("widowx250s", "panda")
    """Arms to show in the images, each with its own camera."""
    scenes: tuple[int, ...] = (80_000, 32_000)
    """Number of images for each of --robots."""
    policy: str = FROM_NOTHING
    """Policy to start from: `tiny-from-nothing` (random weights), `tiny` (the shipped base), or the directory of
    another base, which then learns other arms, assets or views."""
    sim: WorldConfig = field(default_factory=WorldConfig)
    """Simulated world of the images: view, image size and assets; --sim.robot is replaced by each of --robots."""
    sft: SftConfig = field(
        default_factory=lambda: SftConfig(
            minutes=40.0,
            epochs=1000.0,
            batch=128,
            lr=2e-3,
            label_sigma=3.0,
            colour_jitter=0.1,
            localisation_weight=1.0,
            weight_decay=0.02,
            holdout=0.01,
        )
    )
    """Supervised training, as in `rlvla train sft`."""
    ranks: int = 0
    """Number of training processes on this machine; 0 = one per core, at most 4, or one per GPU. Leave it at 0 under
    torchrun."""
    device: str = "cpu"
    """Device for training: `cpu` or `cuda`."""
    resume: bool = False
    """Continue the run in --directory from its last checkpoint."""

    def run(self) -> int:
        """Draw the images, train, write the base; returns the exit code. Raises RlvlaError for a user's mistake."""
        if len(self.robots) != len(self.scenes) or not self.robots:
            raise RlvlaError(
                f"{len(self.robots)} --robots, but {len(self.scenes)} numbers in --scenes: give one for each"
            )
        check_device(self.device)  # drawing takes minutes
        for name in self.robots:
            robot(name)  # an unknown one is an error here, not in a worker process
        for name, scenes in zip(self.robots, self.scenes, strict=True):
            self._draw(name, scenes)
        launch(_train, (self,), ranks=self.ranks, device=self.device)
        return 0

    def folder(self, name: str) -> Path:
        """Folder of the images of a robot."""
        return self.data / name

    def _draw(self, name: str, scenes: int) -> None:
        from rlvla_sim.pretraining.scenes import Scenes

        world = replace(self.sim, robot=name)
        plan = ScenePlan(scenes=scenes, seed=self.sft.seed, settings=asdict(world))
        processes = len(os.sched_getaffinity(0))
        counts = collect_scenes(functools.partial(Scenes, world), plan, self.folder(name), processes=processes)
        with Progress(f"Scenes of {name}", total=scenes, unit="scenes", done=next(counts)) as progress:
            for done in counts:
                progress.update(done)


def _train(ranks: Ranks, command: Pretrain) -> None:
    from rlvla_sim.pretraining.questions import ANSWER

    dataset = SceneDataset([command.folder(name) for name in command.robots], ranks.device)
    device = str(ranks.device)
    policy = start_policy(command.policy, norm_stats=ANSWER, lora=None, seed=command.sft.seed, device=device)
    if policy.codec.norm_stats != ANSWER:
        raise RlvlaError(f"{command.policy} has learned a task: start from a base, e.g. `tiny`, or `{FROM_NOTHING}`")
    config = resolved(command)
    with open_command_run(command, ranks, may_change=("sft.minutes", "sft.epochs")) as run:
        summary = train_sft(policy, dataset, command.sft, run, ranks, labels=dataset)
        if ranks.is_main:
            save_bundle(policy, run.policy_dir, deploy=None, provenance={"command": "pretrain", "config": config})
            line = {
                "command": "pretrain",
                **summary.to_json(),
                "ranks": ranks.size,
                "scenes": dataset.num_frames,
                "policy": str(run.policy_dir),
            }
            print(json.dumps(line), flush=True)
        ranks.barrier()
