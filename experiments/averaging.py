"""Compare the averaged weights in a run's bundle with the weights that the run ended with.

    python experiments/averaging.py runs/study/ppo-0 runs/study/ppo-1 [--episodes 256] [--temperature 0]

For each run directory of `rlvla train` that used `average_fraction`, both policies play the same episodes of the
training grid. Prints one table for each run and ends with one line of JSON.
Measured results: docs/results/ablations.md.
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
"""Prefix of the policy's tensor names in a checkpoint."""


def last_weights(run: Path, bundle: Path) -> int:
    """Write the weights of the newest checkpoint of `run` as a policy bundle; return the checkpoint's iteration. Raises
    RlvlaError if there is no checkpoint or if its weights equal those of the run's own bundle."""
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


def compare(run: Path, episodes: int, temperature: float) -> dict[str, Any]:
    """Play the averaged against the last weights of `run`; returns one row of the JSON line."""
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
        comparison = json.loads((output / "comparison.json").read_text(encoding="utf-8"))
    return {"run": str(run), "iterations": iteration, "T": temperature, "comparison": comparison}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+", help="run directories")
    parser.add_argument("--episodes", type=int, default=256, help="number of episodes that both policies play")
    parser.add_argument(
        "--temperature", type=float, default=0.0, help="sampling temperature of the action tokens; 0 = greedy"
    )
    given = parser.parse_args()
    try:
        rows = [compare(run, given.episodes, given.temperature) for run in given.runs]
    except RlvlaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps({"experiment": "averaging", "results": rows}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
