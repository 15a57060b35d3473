"""The stage that compares two trained policies on the same episodes; shared by the scripts that train."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlvla.commands.evaluate import Evaluate
from rlvla.evaluation import EvaluationSettings
from rlvla.recipe import EVALUATION_SEED, WORLD
from rlvla.stages import Stage

EPISODES = 256
"""Default number of episodes of a comparison; enough to tell a difference of ten points from none."""


def comparison_stage(
    folder: Path,
    after: str,
    before: str,
    *,
    name: str,
    episode_set: str = "train",
    temperature: float = 0.0,
    seed: int = EVALUATION_SEED,
    episodes: int = EPISODES,
    video: int = 0,
) -> Stage:
    """A stage that plays the policies of stages `after` and `before` on the same episodes; its result is
    `folder/name/comparison.json`."""
    command = Evaluate(
        bundle=folder / after / "policy",
        against=folder / before / "policy",
        episodes=episodes,
        episode_set=episode_set,  # type: ignore[arg-type]
        temperature=temperature,
        video=video,
        output=folder / name,
        settings=EvaluationSettings(seed=seed, max_steps=WORLD.max_steps),
    )
    how = "greedy" if temperature == 0 else f"T = {temperature:g}"
    return Stage(
        name=name,
        purpose=f"{after} against {before} on {episode_set}, list {seed}, {how}",
        command=command,
        output=folder / name / "comparison.json",
        minutes=0.008 * episodes,
        needs=(after, before),
    )


def results(stages: Sequence[Stage]) -> list[dict[str, Any]]:
    """One row for each comparison among `stages`, all of which must have run."""
    commands = [stage.command for stage in stages if isinstance(stage.command, Evaluate)]
    return [
        {
            "policy": command.bundle.parent.name,
            "set": command.episode_set,
            "seed": command.settings.seed,
            "T": command.temperature,
            "comparison": json.loads((command.output / "comparison.json").read_text(encoding="utf-8")),
        }
        for command in commands
    ]
