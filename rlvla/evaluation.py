"""Evaluation of policy bundles in their simulated worlds, and the files that hold the results."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rlvla.worlds import AnyWorldConfig, bundle_world, load_policy_and_env, make_env
from rlvla_core.devices import check_device
from rlvla_core.errors import RlvlaError
from rlvla_core.evaluation import EpisodeList, EvaluationResult, evaluate
from rlvla_core.evaluation.pool import EvaluationPool
from rlvla_core.evaluation.report import Comparison, summary_markdown
from rlvla_core.evaluation.video import contact_sheet, episode_video, paired_video
from rlvla_core.learning.distributed import default_ranks
from rlvla_core.policy.bundle import load_deploy
from rlvla_core.runs.progress import Progress
from rlvla_core.storage.atomic import replace_file
from rlvla_core.storage.json_files import replace_json

VIDEO_FPS = 10.0
"""Frames per second of videos: twice the control rate of the robot, so that an episode of 80 steps takes 8 s."""


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """How policy bundles are evaluated, whichever the bundle and the episodes."""

    max_steps: int = 80
    """Time limit of an episode in control steps; the paper's is 80."""
    assets: Literal["procedural", "paper"] = "procedural"
    """Which assets to use: `procedural` (generated, shipped) or `paper` (RL4VLA's, from the folder in
    $RLVLA_ASSETS)."""
    seed: int = 0
    """Seed of the sampling noise, and of the episodes where they are drawn at random. Compare only results that were
    measured with the same seed."""
    processes: int = 0
    """Number of worker processes; 0 = one per core, at most 4. The result does not depend on it."""
    num_envs: int = 32
    """Number of environments in each worker process."""
    device: str = "cpu"
    """Device of policy and environments: `cpu`, or `cuda` (a single process, ManiSkill's GPU simulation)."""

    def __post_init__(self) -> None:
        """Raises RlvlaError for numbers that are too small, and for a device that this machine does not have."""
        check_device(self.device)
        for option, value, least in (("--num-envs", self.num_envs, 1), ("--processes", self.processes, 0)):
            if value < least:
                raise RlvlaError(f"{option} {value}: use {least} or more")

    def world(self, bundle: Path, episode_set: str) -> AnyWorldConfig:
        """The world in which the bundle of a policy is evaluated on a set of episodes."""
        return bundle_world(load_deploy(bundle), episode_set=episode_set, max_steps=self.max_steps, assets=self.assets)

    def worker_pool(self, episodes: int) -> contextlib.AbstractContextManager[EvaluationPool | None]:
        """Worker processes for lists of so many episodes; None inside where this process should do the work itself."""
        batches = -(-episodes // self.num_envs)
        processes = min(self.processes or default_ranks("cpu"), batches)
        return EvaluationPool(processes) if self.device == "cpu" and processes > 1 else contextlib.nullcontext()


def evaluate_bundle(
    bundle: Path,
    settings: EvaluationSettings,
    *,
    name: str,
    episode_set: str,
    episodes: int,
    temperature: float,
    record: int,
) -> EvaluationResult:
    """Draw `episodes` episodes of a set by the seed and run a bundle on them, with a progress bar that shows `name`.

    temperature: sampling temperature of the action tokens, 0 = greedy. record: number of episodes to keep images of.
    """
    world = settings.world(bundle, episode_set)
    env = make_env(world, 1, settings.device)
    chosen = EpisodeList.draw(env.spec, episodes, seed=settings.seed)
    env.close()
    with (
        Progress(f"evaluate {name}", total=episodes, unit="episodes") as progress,
        settings.worker_pool(episodes) as pool,
    ):
        return evaluate_list(
            bundle, world, chosen, settings, temperature=temperature, record=record, pool=pool, progress=progress.update
        )


def evaluate_list(
    bundle: Path,
    world: AnyWorldConfig,
    episodes: EpisodeList,
    settings: EvaluationSettings,
    *,
    temperature: float,
    record: int = 0,
    pool: EvaluationPool | None = None,
    progress: Callable[[int], None] | None = None,
) -> EvaluationResult:
    """Run the policy of a bundle on a list of episodes of `world`: by the workers of `pool`, or in this process.

    temperature: sampling temperature of the action tokens, 0 = greedy. record: keep the images of the first so many
    episodes. progress: called with the number of finished episodes.
    """
    num_envs = min(settings.num_envs, len(episodes))
    wanted = (bundle, world, num_envs, settings.device)
    if pool is not None:
        return pool.evaluate(
            load_policy_and_env,
            wanted,
            episodes,
            num_envs=num_envs,
            temperature=temperature,
            seed=settings.seed,
            record=record,
            progress=progress,
        )
    policy, env = load_policy_and_env(*wanted)
    try:
        return evaluate(
            policy, env, episodes, temperature=temperature, seed=settings.seed, record=record, progress=progress
        )
    finally:
        env.close()


def check_bundle_exists(bundle: Path) -> None:
    """Raises RlvlaError where there is no directory at `bundle`."""
    if not bundle.is_dir():
        raise RlvlaError(f"there is no policy bundle at {bundle}: give a directory such as runs/demo/policy")


def bundle_names(bundles: Sequence[Path]) -> list[str]:
    """A name for each bundle: the shortest ends of their paths, of two parts or more, that differ.

    Raises RlvlaError where two paths are the same.
    """
    parts = [bundle.resolve().parts for bundle in bundles]
    for length in range(2, max(map(len, parts)) + 1):
        names = ["/".join(part[-length:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    raise RlvlaError(f"{bundles[0]} is given twice: compare it with another bundle")


def write_result(output: Path, name: str, result: EvaluationResult) -> None:
    """Write result.json and result.md of a bundle called `name`, and episodes.mp4 where episodes were recorded."""
    output.mkdir(parents=True, exist_ok=True)
    replace_json(output / "result.json", {"bundle": name, **result.to_json()})
    replace_file(output / "result.md", summary_markdown(name, result).encode())
    if result.recordings:
        episode_video(output / "episodes.mp4", list(result.recordings.values()), VIDEO_FPS)


def write_comparison(output: Path, comparison: Comparison) -> None:
    """Write comparison.md, paired.mp4 and sheet.png (where both sides were recorded), and comparison.json.

    comparison.json comes last: where it exists, the comparison is complete.
    """
    output.mkdir(parents=True, exist_ok=True)
    replace_file(output / "comparison.md", comparison.to_markdown().encode())
    before, after = comparison.before.recordings, comparison.after.recordings
    pairs = [(before[episode], after[episode]) for episode in comparison.before.episodes.ids if episode in before]
    if pairs:
        paired_video(output / "paired.mp4", pairs, comparison.names, VIDEO_FPS)
        contact_sheet(output / "sheet.png", pairs[:4], comparison.names)
    replace_json(output / "comparison.json", comparison.to_json())
