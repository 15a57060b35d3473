"""Is the mean of the weights, which a run's bundle holds, better than the weights that the run ended with?

    python experiments/averaging.py runs/study/ppo-0 runs/study/ppo-1 [--episodes 256] [--temperature 0]

For each run directory of `rlvla train` with an `average_fraction`: both policies meet the same episodes of the training
grid. Prints a table for each and ends with one line of JSON.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from rlvla.commands.evaluate import Evaluate
from rlvla.evaluation import EvaluationSettings
from rlvla.recipe import EVALUATION_SEED, WORLD
from rlvla_core.errors import RlvlaError
from rlvla_core.policy.bundle import load_bundle, load_deploy, save_bundle
from rlvla_core.runs import RunDirectory

PREFIX = "policy."
"""Of the policy's tensors in a checkpoint."""


def last_weights(run: Path, bundle: Path) -> int:
    """Write a bundle of the weights in the newest checkpoint of `run`; returns their iteration. Raises RlvlaError where
    there is no checkpoint, or where its weights are the bundle's own."""
    checkpoint = RunDirectory.open_read_only(run).checkpoints.latest()
    if checkpoint is None:
        raise RlvlaError(f"{run} holds no checkpoint: name a run of `rlvla train ppo`, grpo or dpo")
    policy = load_bundle(run / "policy")
    mean = policy.state_dict()
    learned = {
        name.removeprefix(PREFIX): tensor for name, tensor in checkpoint.tensors.items() if name.startswith(PREFIX)
    }
    if all(torch.equal(mean[name], tensor) for name, tensor in learned.items()):
        raise RlvlaError(f"{run} was not averaged: its bundle holds the weights of its last iteration")
    for name, tensor in learned.items():
        mean[name].copy_(tensor)
    facts = {"weights": f"iteration {checkpoint.step} of {run}"}
    save_bundle(policy, bundle, deploy=load_deploy(run / "policy"), provenance=facts)
    return checkpoint.step


def compared(run: Path, episodes: int, temperature: float) -> dict[str, Any]:
    """One row."""
    with tempfile.TemporaryDirectory() as folder:
        bundle, output = Path(folder) / f"{run.name}-last" / "policy", Path(folder) / "comparison"
        iteration = last_weights(run, bundle)
        Evaluate(
            bundle=run / "policy",
            against=bundle,
            episodes=episodes,
            temperature=temperature,
            video=0,
            output=output,
            settings=EvaluationSettings(seed=EVALUATION_SEED, max_steps=WORLD.max_steps),
        ).run()
        comparison = json.loads((output / "comparison.json").read_text())
    return {"run": str(run), "iterations": iteration, "T": temperature, "comparison": comparison}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+", help="run directories")
    parser.add_argument("--episodes", type=int, default=256, help="that both policies meet")
    parser.add_argument("--temperature", type=float, default=0.0, help="of the action tokens; 0 is greedy")
    given = parser.parse_args()
    try:
        rows = [compared(run, given.episodes, given.temperature) for run in given.runs]
    except RlvlaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps({"benchmark": "averaging", "results": rows}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
