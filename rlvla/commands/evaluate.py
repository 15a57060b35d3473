"""`rlvla evaluate BUNDLE`: success rates with n and interval, a video, and a paired comparison with another bundle."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.console import Console

from rlvla_core.environment import VecEnv
from rlvla_core.errors import RlvlaError
from rlvla_core.evaluation import EpisodeList, EvaluationResult, evaluate
from rlvla_core.evaluation.pool import EvaluationPool
from rlvla_core.evaluation.report import Comparison, compare, summary_markdown, summary_table
from rlvla_core.evaluation.video import contact_sheet, episode_video, paired_video
from rlvla_core.learning.distributed import default_ranks
from rlvla_core.policy.bundle import load_bundle, load_deploy
from rlvla_core.policy.deploy import DeploySpec, check_fits
from rlvla_core.policy.policy import VLAPolicy
from rlvla_core.runs.progress import Progress
from rlvla_core.storage.atomic import replace_file
from rlvla_core.storage.json_files import replace_json
from rlvla_core.toy import ToyConfig, make_toy_env
from rlvla_sim import WorldConfig, make_env
from rlvla_sim.robots import robot

VIDEO_FPS = 10.0
"""Twice the speed of the robot, so that 80 steps take 8 s."""


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Run a policy bundle on a frozen list of episodes; print and write its success rates.

    The world is built from the bundle's deploy.json. With --against, a second bundle runs the same episodes and the
    two are compared pair by pair. Writes result.json, result.md and episodes.mp4 (and comparison.*, paired.mp4 and
    sheet.png with --against).
    """

    bundle: Annotated[Path, tyro.conf.Positional]
    """Directory of the policy bundle, e.g. runs/demo/policy."""
    against: Path | None = None
    """Another bundle to compare with: the one before (a warm-up, an older run)."""
    episodes: int = 128
    """How many episodes."""
    episode_set: str = "train"
    """Grid of the put-X-on-Y world that the episodes come from: train, test (objects and tables that training never
    saw), single, or one of the sixteen tests of docs/tests.md, e.g. unseen-tables."""
    max_steps: int = 80
    """Time limit of a put-X-on-Y episode, control steps; the paper's is 80."""
    assets: Literal["procedural", "paper"] = "procedural"
    """Whose objects, tables and WidowX; `paper` reads the folder that RLVLA_ASSETS names."""
    seed: int = 0
    """Draws the episodes and the sampling noise. Compare policies with one seed only."""
    temperature: float = 0.0
    """Of the action tokens; 0 always takes the most likely one."""
    video: int = 6
    """Episodes to film; 0: none."""
    output: Path | None = None
    """Folder for the results; default: `evaluation` next to the bundle."""
    processes: int = 0
    """Worker processes; 0: one a core, at most 4. The result does not depend on it."""
    num_envs: int = 32
    """Worlds in each process."""
    device: str = "cpu"
    """Where policy and worlds live: cpu, or cuda (one process)."""

    def run(self) -> int:
        """Evaluate, print, write. Raises RlvlaError for a bundle that is missing, broken or of another world."""
        check_options(self)
        console = Console()
        bundles = [self.bundle] if self.against is None else [self.against, self.bundle]
        names = bundle_names(bundles)
        results = [evaluate_bundle(bundle, self, name) for bundle, name in zip(bundles, names, strict=True)]
        output = self.output or self.bundle.resolve().parent / "evaluation"
        output.mkdir(parents=True, exist_ok=True)
        after = results[-1]
        replace_json(output / "result.json", {"bundle": names[-1], **after.to_json()})
        replace_file(output / "result.md", summary_markdown(names[-1], after).encode())
        if self.video:
            episode_video(output / "episodes.mp4", list(after.recordings.values()), VIDEO_FPS)
        if self.against is None:
            console.print(summary_table([(names[0], after)]))
        else:
            comparison = compare(results[0], after, names=(names[0], names[1]))
            console.print(comparison.to_table())
            write_comparison(output, comparison)
        console.print(f"written to {output}", markup=False, highlight=False, soft_wrap=True)
        return 0


def evaluate_bundle(bundle: Path, options: Evaluate, name: str) -> EvaluationResult:
    """Run one bundle on the options' episodes, with a progress bar titled by `name`."""
    options = replace(options, bundle=bundle)
    _, env = build(options, 1)
    episodes = EpisodeList.draw(env.spec, options.episodes, seed=options.seed)
    env.close()
    processes = min(options.processes or default_ranks("cpu"), len(episodes.batches(options.num_envs)))
    in_this_process = options.device != "cpu" or processes == 1
    with Progress(f"evaluate {name}", total=options.episodes, unit="episodes") as progress:
        if in_this_process:
            return evaluate_list(options, episodes, None, progress.update)
        with EvaluationPool(processes) as pool:
            return evaluate_list(options, episodes, pool, progress.update)


def evaluate_list(
    options: Evaluate, episodes: EpisodeList, pool: EvaluationPool | None, progress: Callable[[int], None]
) -> EvaluationResult:
    """Run the options' bundle on these episodes: by the workers of `pool`, or without one in this process."""
    num_envs = min(options.num_envs, len(episodes))
    common: dict[str, Any] = {"temperature": options.temperature, "seed": options.seed, "record": options.video}
    if pool is not None:
        # Temperature and seed are no part of what a worker builds.
        same = replace(options, temperature=0.0, seed=0)
        return pool.evaluate(build, (same, num_envs), episodes, num_envs=num_envs, **common, progress=progress)
    policy, env = build(options, num_envs)
    try:
        return evaluate(policy, env, episodes, **common, progress=progress)
    finally:
        env.close()


def build(options: Evaluate, num_envs: int) -> tuple[VLAPolicy, VecEnv]:
    """The bundle's policy and the world that its deploy.json describes; they are checked to fit each other."""
    deploy = load_deploy(options.bundle)
    policy = load_bundle(options.bundle, device=options.device)
    env = make_world(deploy, options, num_envs)
    check_fits(deploy, env.spec)
    return policy, env


def make_world(deploy: DeploySpec, options: Evaluate, num_envs: int) -> VecEnv:
    """The simulated world of a bundle: a toy world, or put-X-on-Y with the bundle's robot, view and image size."""
    camera = deploy.camera
    if deploy.robot.startswith("toy-"):
        if options.episode_set != "train":
            raise RlvlaError(
                f"the world {deploy.robot} has one grid only: leave out --episode-set {options.episode_set}"
            )
        task: Any = deploy.robot.removeprefix("toy-")
        return make_toy_env(ToyConfig(task=task, image_size=camera.width), num_envs)
    world = world_config(deploy, episode_set=options.episode_set, max_steps=options.max_steps, assets=options.assets)
    return make_env(world, num_envs, device=options.device)


def world_config(
    deploy: DeploySpec, *, episode_set: str, max_steps: int, assets: Literal["procedural", "paper"] = "procedural"
) -> WorldConfig:
    """The put-X-on-Y world with a bundle's robot, view and image size. Raises RlvlaError for a camera that the robot
    does not have."""
    camera = deploy.camera
    return WorldConfig(
        robot=deploy.robot,
        image_width=camera.width,
        image_height=camera.height,
        view=robot(deploy.robot).view_of(camera),
        episode_set=episode_set,
        max_steps=max_steps,
        assets=assets,
    )


def write_comparison(output: Path, comparison: Comparison) -> None:
    """paired.mp4 and sheet.png where both sides were filmed, comparison.md, and last comparison.json: it means done."""
    replace_file(output / "comparison.md", comparison.to_markdown().encode())
    before, after = comparison.before.recordings, comparison.after.recordings
    pairs = [(before[episode], after[episode]) for episode in comparison.before.episodes.ids if episode in before]
    if pairs:
        paired_video(output / "paired.mp4", pairs, comparison.names, VIDEO_FPS)
        contact_sheet(output / "sheet.png", pairs[:4], comparison.names)
    replace_json(output / "comparison.json", comparison.to_json())


def bundle_names(bundles: list[Path]) -> list[str]:
    """What to call each bundle: the shortest tails of their paths that differ."""
    parts = [bundle.resolve().parts for bundle in bundles]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-length:]) for part in parts]
        if length > 1 and len(set(names)) == len(names):
            return names
    raise RlvlaError(f"--against {bundles[0]} is the same bundle: give another one")


def check_options(options: Evaluate) -> None:
    """Raises RlvlaError for bundles that are not there and for numbers that are too small."""
    for path in (options.bundle, options.against):
        if path is not None and not path.is_dir():
            raise RlvlaError(f"there is no policy bundle at {path}: give a directory such as runs/demo/policy")
    if options.against is not None and options.against.resolve() == options.bundle.resolve():
        raise RlvlaError(f"--against {options.against} is the same bundle: give another one")
    for name, least in (("episodes", 1), ("num_envs", 1), ("processes", 0), ("video", 0)):
        if getattr(options, name) < least:
            raise RlvlaError(f"--{name} {getattr(options, name)}: use {least} or more")
