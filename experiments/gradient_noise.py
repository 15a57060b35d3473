"""Measure how much of a PPO update is signal: compare the gradients of several rollouts of one fixed policy.

    python experiments/gradient_noise.py runs/early runs/late [--rollouts 8] [--num-envs 0] [--lam 0.95 0.8] [--ranks 0]

For each run of `rlvla train ppo`, policy, critic and optimiser are loaded from the newest checkpoint and play new
episodes. Every rollout gives one gradient of the policy's loss over all its steps; no weight is changed. The expected
cosine of two such gradients is |signal|² / (|signal|² + |noise|²). From it follows the number of episodes at which
signal and noise are equal (the simple noise scale of McCandlish et al. 2018, arXiv 1812.06162, appendix A.1). `plain`
is the gradient itself; `scaled` is what Adam follows: each component divided by the root of its running mean square.

With several values of `--lam` (λ of generalised advantage estimation), each λ is applied to the same rollouts, and its
gradients are compared with the gradients of the first λ of *other* rollouts. That cosine is the progress which a step
of unit length makes along the average gradient of the first λ. A smaller λ has less noise but more of the critic's
bias; this cosine weighs the two.

Prints two lines for each run and λ, and one line of JSON for each run. Measured results: docs/results/past-90.md.
"""

import argparse
import json
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from rlvla.commands.train_ppo import TrainPpo
from rlvla.worlds import make_env
from rlvla_core.errors import RlvlaError
from rlvla_core.learning import trainer_state
from rlvla_core.learning.algorithms.ppo import PpoConfig
from rlvla_core.learning.distributed import Ranks, launch
from rlvla_core.learning.trainer import play
from rlvla_core.policy.policy import VLAPolicy
from rlvla_core.policy.starting import start_policy
from rlvla_core.runs import RunDirectory
from rlvla_sim import WorldConfig

SEED = 777
"""Seed of the episode starts and of the sampling; no training run uses it."""
WHOLE_ROLLOUT = 10**9
"""Minibatch size in steps that exceeds every rollout, so that one rollout gives one gradient."""


def agreement(gradients: list[torch.Tensor], others: list[torch.Tensor]) -> tuple[float, float]:
    """(cosine, its standard error) between `gradients` and `others`, each K >= 3 vectors [P] of the same K rollouts.

    The cosine is the mean dot product of vectors from different rollouts, which share no noise, divided by the root
    mean squares. The standard error is a jackknife over rollouts. Both lists may be the same."""
    products = torch.stack([torch.stack([torch.dot(a, b) for b in others]) for a in gradients]).double()
    squares = torch.stack([torch.stack([a.square().sum() for a in some]) for some in (gradients, others)]).double()

    def ratio(kept: list[int]) -> float:
        part, k = products[kept][:, kept], len(kept)
        product = (float(part.sum()) - float(part.trace())) / (k * (k - 1))
        return product / math.sqrt(float(squares[:, kept].mean(dim=1).prod()))

    everyone = list(range(len(gradients)))
    without = [ratio([i for i in everyone if i != left]) for left in everyone]
    mean, k = sum(without) / len(without), len(without)
    return ratio(everyone), math.sqrt((k - 1) / k * sum((x - mean) ** 2 for x in without))


def episodes_at_par(cosine: float, episodes: int) -> float | None:
    """Number of episodes whose gradient is half signal and half noise; None if no signal was found (cosine <= 0)."""
    return episodes * (1.0 / cosine - 1.0) if cosine > 0 else None


def command_of(run: Path, num_envs: int) -> TrainPpo:
    """The command that made `run`, changed to one optimiser step a rollout, without clipping of gradients."""
    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    if "ppo" not in config:
        raise RlvlaError(f"{run} is not a run of `rlvla train ppo`: name one")
    ppo = PpoConfig(**config["ppo"])
    ppo = replace(
        ppo,
        seed=SEED,
        num_envs=num_envs or ppo.num_envs,
        minibatch=WHOLE_ROLLOUT,
        max_grad_norm=1e9,
        value_warmup_iterations=0,
        epochs=1,
    )
    return TrainPpo(policy=config["policy"], directory=run, sim=WorldConfig(**config["sim"]), ppo=ppo)


def gradients_of(ranks: Ranks, run: Path, rollouts: int, num_envs: int, lams: list[float]) -> None:
    """Measure one run on all ranks; rank 0 prints the result."""
    command = command_of(run, num_envs)
    configs = {lam: replace(command.ppo, lam=lam) for lam in lams or [command.ppo.lam]}
    env = make_env(command.world, ranks.per_rank(command.ppo.num_envs, "environments"), "cpu")
    policy = start_policy(command.policy, norm_stats=None, lora=None, seed=command.ppo.seed, device="cpu")
    learner = command.learner(policy, ranks, env.spec)
    checkpoint = RunDirectory.open_read_only(run).checkpoints.latest()
    if checkpoint is None:
        raise RlvlaError(f"{run} holds no checkpoint: name a run of `rlvla train ppo`")
    found: list[torch.Tensor] = []
    learner.optimizer.adamw.register_step_pre_hook(lambda *_: found.append(flat_gradient(policy)))
    gradients: dict[float, list[torch.Tensor]] = {lam: [] for lam in configs}
    trainer_state.restore(learner.modules(), learner.optimizer.adamw, checkpoint.tensors, checkpoint.state)
    scale, successes = adams_scale(policy, learner.optimizer.adamw), 0.0
    for number in range(1, rollouts + 1):
        batch = play(learner, env, number)
        for lam, learner.config in configs.items():
            learner.update(batch, number)
            trainer_state.restore(learner.modules(), learner.optimizer.adamw, checkpoint.tensors, checkpoint.state)
            gradients[lam].append(found.pop())
        successes += float(ranks.sum(batch.success_at_end.sum().double().reshape(1)).item())
    if ranks.is_main:
        success = successes / (rollouts * command.ppo.num_envs)
        report(run, checkpoint.step, command.ppo.num_envs, success, gradients, scale)
    env.close()


def flat_gradient(policy: VLAPolicy) -> torch.Tensor:
    """Gradient of all trained parameters as one float32 vector [P]."""
    return torch.cat([p.grad.flatten().clone() for p in policy.backbone_parameters() if p.grad is not None])


def adams_scale(policy: VLAPolicy, optimizer: torch.optim.Optimizer) -> torch.Tensor:
    """float32 [P]: what Adam divides the gradient by, the root of its running mean square, for the same parameters."""
    (_, beta), parts = optimizer.param_groups[0]["betas"], []
    for state in (optimizer.state[p] for p in policy.backbone_parameters() if p in optimizer.state):
        mean_square = state["exp_avg_sq"] / (1 - beta ** float(state["step"]))
        parts.append(mean_square.sqrt().flatten() + optimizer.param_groups[0]["eps"])
    return torch.cat(parts)


def report(
    run: Path,
    iteration: int,
    episodes: int,
    success: float,
    gradients: dict[float, list[torch.Tensor]],
    scale: torch.Tensor,
) -> None:
    """Print two lines for each λ (plain and scaled gradients) and one line of JSON."""
    first, rollouts = next(iter(gradients)), len(next(iter(gradients.values())))
    metrics: dict[str, Any] = {"experiment": "gradient_noise", "run": str(run), "iteration": iteration}
    metrics |= {"episodes": episodes, "rollouts": rollouts, "success": round(success, 4)}
    print(f"{run}, iteration {iteration}: {success:.1%} of {rollouts} x {episodes} episodes succeed")
    for name, divisor in (("plain", torch.ones_like(scale)), ("scaled", scale)):
        of = {lam: [gradient / divisor for gradient in found] for lam, found in gradients.items()}
        for lam, found in of.items():
            cosine, error = agreement(found, found)
            along, along_error = agreement(found, of[first])
            par = episodes_at_par(cosine, episodes)
            print(
                f"  lam {lam:<5g} {name:<7} cosine {cosine:+.4f} +- {error:.4f}   with lam {first:g} {along:+.4f} +- "
                f"{along_error:.4f}   signal = noise at {par and round(par)} episodes"
            )
            metrics.setdefault(name, {})[f"{lam:g}"] = {
                "cosine": round(cosine, 5),
                "error": round(error, 5),
                "along": round(along, 5),
                "along_error": round(along_error, 5),
                "par": par and round(par),
            }
    print(json.dumps(metrics), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+", help="run directories of `rlvla train ppo`")
    parser.add_argument(
        "--rollouts", type=int, default=8, help="number of rollouts, and so of gradients, that are compared; at least 3"
    )
    parser.add_argument(
        "--num-envs", type=int, default=0, help="parallel environments = episodes of a rollout; 0: as in the run"
    )
    parser.add_argument(
        "--lam", type=float, nargs="+", default=[], help="values of λ for the advantages; default: the run's own"
    )
    parser.add_argument("--ranks", type=int, default=0, help="processes; 0: one per core, at most 4")
    given = parser.parse_args()
    try:
        if given.rollouts < 3:
            raise RlvlaError(f"two gradients give no error bar: --rollouts must be at least 3, got {given.rollouts}")
        for run in given.runs:
            launch(gradients_of, (run, given.rollouts, given.num_envs, given.lam), ranks=given.ranks)
    except RlvlaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
