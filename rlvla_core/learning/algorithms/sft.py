"""Supervised fine-tuning (SFT), the warm-up before reinforcement learning: cross-entropy on the expert's action tokens.

Departures from the paper (Liu et al. 2025: LoRA, constant rate 5e-4, batch 32, 2,000 steps), for a model of a few
million weights and minutes on a CPU:

- the learning rate rises linearly and then falls along a cosine, and gradients are clipped;
- labels may be softened over neighbouring bins (`label_sigma`). The tokens that the model reads are then drawn from the
  same softened distribution, so that sampling never leads it to inputs that it has not seen in training;
- a training-only loss may teach the vision towers to localise (`localisation_weight`);
- there is no end-of-sentence token, and brightness and colour are the only augmentation (`colour_jitter`).
"""

import contextlib
import math
import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from rlvla_core import seeds
from rlvla_core.data.frames import Frames, epoch_order, jitter, split
from rlvla_core.errors import RlvlaError
from rlvla_core.learning import losses, trainer_state
from rlvla_core.learning.algorithms.localisation import LocalisationHead, PixelLabels
from rlvla_core.learning.distributed import Ranks
from rlvla_core.learning.optimizer import sum_and_clip_gradients
from rlvla_core.policy.policy import VLAPolicy
from rlvla_core.runs import Progress, RunDirectory

LOG_EVERY = 20
"""Optimiser steps from one line of the journal to the next."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SftConfig:
    """Options of the supervised warm-up; the defaults suit `tiny` from nothing."""

    epochs: float = 10.0
    """Passes over the training frames; may be a fraction."""
    minutes: float = 0.0
    """Stop after this many minutes of training at the latest, with the learning rate brought down by then; 0 = no
    limit."""
    batch: int = 64
    """Frames in one optimiser step, over all ranks."""
    micro_batch: int = 64
    """Frames in one forward and backward pass of one rank; changes memory and speed, not what is learned."""
    lr: float = 1e-3
    """Peak learning rate, reached at the end of the linear rise."""
    lr_warmup_steps: int = 100
    """Number of optimiser steps at the start over which the learning rate rises linearly; it then falls along a cosine
    to 1 % of its peak."""
    weight_decay: float = 0.01
    """Decoupled weight decay of AdamW."""
    max_grad_norm: float = 1.0
    """Largest norm of the gradient of all trained parameters; a larger gradient is scaled down to it."""
    label_sigma: float = 0.0
    """Standard deviation, in bins, of the Gaussian that softens each action label but the gripper's; 0 = hard labels. A
    policy taught with wider labels explores more under PPO."""
    colour_jitter: float = 0.0
    """Largest random change of each image's brightness and colour gains, as a fraction; 0 = none."""
    localisation_weight: float = 0.0
    """Weight of the training-only loss that finds the environment's named points (gripper, object, receptacle) in the
    image; 0 = none. Needs data with a privileged state."""
    train_vision: bool = True
    """Train the vision towers, too. Otherwise their weights stay fixed: for pretrained towers and few
    demonstrations."""
    holdout: float = 0.02
    """Fraction of the episodes that are held out of training, to measure loss and token accuracy on."""
    holdout_every: int = 500
    """Optimiser steps from one measurement on the held-out frames to the next."""
    checkpoint_every: int = 200
    """Optimiser steps from one checkpoint to the next; a multiple of 20, the journal's interval."""
    seed: int = 0
    """Seed of the choice of held-out episodes, of shuffling, of soft labels, of colour jitter and of the localisation
    head."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch", "micro_batch", "lr", "max_grad_norm", "holdout_every", "checkpoint_every"):
            if not (getattr(self, name) > 0 and math.isfinite(getattr(self, name))):
                raise RlvlaError(f"sft.{name} must be positive and finite, got {getattr(self, name)}")
        for name in ("minutes", "weight_decay", "label_sigma", "localisation_weight", "lr_warmup_steps", "seed"):
            if not (getattr(self, name) >= 0 and math.isfinite(getattr(self, name))):
                raise RlvlaError(f"sft.{name} must be 0 or more, and finite, got {getattr(self, name)}")
        if self.checkpoint_every % LOG_EVERY:
            raise RlvlaError(f"sft.checkpoint_every must be a multiple of {LOG_EVERY}, got {self.checkpoint_every}")
        if not 0 <= self.holdout < 1 or not 0 <= self.colour_jitter < 1:
            raise RlvlaError(
                f"sft needs 0 <= holdout < 1 and 0 <= colour_jitter < 1, got {self.holdout} and {self.colour_jitter}"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class SftSummary:
    """Totals of a finished warm-up, and the last measurement on held-out frames."""

    steps: int
    """Optimiser steps, over all starts of the run."""
    seconds: float
    """Training time in seconds, summed over all starts of the run."""
    holdout_loss: float | None
    """Cross-entropy on held-out frames, nats per token; None where no frames were held out."""
    holdout_accuracy: float | None
    """Fraction of the held-out frames' action tokens whose most likely bin is the label; None as above."""

    def to_json(self) -> dict[str, float | None]:
        """The summary for a command's last line, with the time in minutes."""
        return {
            "steps": self.steps,
            "minutes": round(self.seconds / 60, 2),
            "holdout_loss": self.holdout_loss,
            "holdout_accuracy": self.holdout_accuracy,
        }


def train_sft(
    policy: VLAPolicy,
    dataset: Frames,
    config: SftConfig,
    run: RunDirectory,
    ranks: Ranks,
    *,
    labels: PixelLabels | None,
) -> SftSummary:
    """Train `policy` in place on `dataset`. labels: where named points are in the images, for the localisation loss.

    Goes on from the newest checkpoint of `run`. Without `minutes`, a CPU run that was interrupted writes the same
    journal as one that was not, bit for bit, timings apart. Raises RlvlaError for data that does not fill a batch, a
    localisation loss without labels, and a loss that is not finite.
    """
    return _Warmup(policy, dataset, config, run, ranks, labels).run()


class _Warmup:
    """One start of a warm-up run: the data split, the parameters that are trained, and the loop."""

    def __init__(
        self,
        policy: VLAPolicy,
        dataset: Frames,
        config: SftConfig,
        run: RunDirectory,
        ranks: Ranks,
        labels: PixelLabels | None,
    ) -> None:
        self.policy, self.dataset, self.config = policy, dataset, config
        self.run_directory, self.ranks = run, ranks
        self.training, self.held_out = split(dataset.episode_index, config.holdout, config.seed)
        ranks.per_rank(config.batch, "frames of a batch")
        self.steps_per_epoch = len(self.training) // config.batch
        if self.steps_per_epoch == 0:
            raise RlvlaError(f"{len(self.training)} training frames do not fill a batch of {config.batch}")
        self.total = max(1, round(config.epochs * self.steps_per_epoch))
        if not config.train_vision:
            policy.freeze_vision()
        self.modules: dict[str, nn.Module] = {"policy": policy}
        if config.localisation_weight:
            self.modules["localisation"] = self._localisation_head(labels)
        parameters = [p for module in self.modules.values() for p in module.parameters() if p.requires_grad]
        head = {id(p) for p in policy.value_head.parameters()}
        self.parameters = [p for p in parameters if id(p) not in head]  # imitation says nothing about values
        self.optimizer = torch.optim.AdamW(self.parameters, lr=config.lr, weight_decay=config.weight_decay)
        ranks.broadcast([*self.parameters, *policy.value_head.parameters()])

    def run(self) -> SftSummary:
        step, seconds = self._resume()
        start, logged = time.perf_counter() - seconds, seconds
        window: dict[str, float] = {}
        record: dict[str, Any] = {}
        held_out: tuple[float, float] | None = None
        with self._progress(step, seconds) as progress:
            done = self._done(step, seconds)
            while done < 1.0:
                lr = self._lr(step, done)
                for name, value in self._step(step, lr).items():
                    window[name] = window.get(name, 0.0) + value
                step += 1
                elapsed = time.perf_counter() - start
                done = self._done(step, elapsed)
                last = done >= 1.0
                measure = len(self.held_out) > 0 and (last or step % self.config.holdout_every == 0)
                if measure:
                    held_out = self.measure()
                if last or measure or step % LOG_EVERY == 0:
                    record = {"iteration": step, "epoch": step / self.steps_per_epoch, "lr": lr}
                    record |= {name: value / window["steps"] for name, value in window.items() if name != "steps"}
                    if measure and held_out is not None:
                        record |= {"holdout_loss": held_out[0], "holdout_accuracy": held_out[1]}
                    record["seconds"] = {"total": elapsed - logged}
                    logged, window = elapsed, {}
                    if self.ranks.is_main:
                        self.run_directory.journal.append(record)
                        metrics = {k: v for k, v in record.items() if k in ("loss", "accuracy", "localisation_loss")}
                        progress.update(step, **metrics)
                if self.ranks.is_main and (last or step % self.config.checkpoint_every == 0):
                    self._save(step, elapsed)
        if held_out is None and len(self.held_out):
            held_out = self.measure()
        loss, accuracy = held_out or (None, None)
        elapsed = time.perf_counter() - start
        return SftSummary(steps=step, seconds=elapsed, holdout_loss=loss, holdout_accuracy=accuracy)

    def _step(self, step: int, lr: float) -> dict[str, float]:
        """One optimiser step on this rank's frames of batch `step`. Returns means over the whole batch."""
        config = self.config
        epoch, position = divmod(step, self.steps_per_epoch)
        order = epoch_order(len(self.training), config.seed, epoch)
        batch = self.training[order[position * config.batch : (position + 1) * config.batch]]
        mine = batch[self.ranks.rank :: self.ranks.size]
        device = self.policy.device
        noise = seeds.generator(config.seed, "sft", step, self.ranks.rank, device=device)
        self.optimizer.zero_grad(set_to_none=True)
        sums = torch.zeros(3, dtype=torch.float64, device=device)  # read once, at the end: a GPU never waits
        for micro in mine.split(config.micro_batch):
            frames = self.dataset.frames(micro)
            images = jitter(frames.images.to(device), config.colour_jitter, noise)
            bins = self.policy.codec.bin_of(self.policy.codec.encode(frames.actions.to(device)))
            labels = losses.soft_labels(bins, sigma=config.label_sigma, num_bins=self.policy.config.n_action_bins)
            if config.label_sigma:
                bins = torch.multinomial(labels.flatten(0, 1), 1, generator=noise).view_as(bins)
            score = self.policy.score(images, frames.instructions, self.policy.codec.token_of(bins))
            token_losses = losses.sft_loss(score.logits, labels)
            loss = token_losses.sum()
            sums[0] += token_losses.detach().sum()
            sums[1] += (score.logits.argmax(-1) == labels.argmax(-1)).float().mean(-1).sum()
            if isinstance(head := self.modules.get("localisation"), LocalisationHead):
                localisation = head.loss(score.patches.float(), frames) * len(micro)
                loss = loss + config.localisation_weight * localisation
                sums[2] += localisation.detach()
            (loss / config.batch).backward()
        norm = sum_and_clip_gradients(self.parameters, self.ranks, config.max_grad_norm)
        total_loss, accuracy, localisation_loss = (self.ranks.sum(sums) / config.batch).tolist()
        if not (math.isfinite(norm) and math.isfinite(total_loss)):
            name = "gradient norm" if math.isfinite(total_loss) else "loss"
            raise RlvlaError(
                f"step {step + 1}: the {name} is not a finite number; the last checkpoint is good: "
                "start again with a smaller learning rate"
            )
        self.optimizer.param_groups[0]["lr"] = lr
        self.optimizer.step()
        metrics = {"steps": 1.0, "loss": total_loss, "accuracy": accuracy, "gradient_norm": norm}
        if "localisation" in self.modules:
            metrics["localisation_loss"] = localisation_loss
        return metrics

    def _localisation_head(self, labels: PixelLabels | None) -> LocalisationHead:
        if labels is None:
            raise RlvlaError("sft.localisation_weight needs to know where things are: set the weight to 0")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seeds.derive(self.config.seed, "localisation"))
            return LocalisationHead(self.policy.config.hidden_size, labels).to(self.ranks.device)

    @torch.no_grad()
    def measure(self, limit: int = 512) -> tuple[float, float]:
        """(cross-entropy in nats per token against hard labels, token accuracy) on at most `limit` held-out frames."""
        chosen = self.held_out[:: max(1, len(self.held_out) // limit)][:limit]
        sums = torch.zeros(3, dtype=torch.float64)
        mine = chosen[self.ranks.rank :: self.ranks.size]
        for micro in mine.split(self.config.micro_batch) if len(mine) else ():
            frames = self.dataset.frames(micro)
            tokens = self.policy.codec.encode(frames.actions).to(self.ranks.device)
            score = self.policy.score(frames.images, frames.instructions, tokens)
            hits = score.logits.argmax(-1) == self.policy.codec.bin_of(tokens)
            here = [-score.logprobs.mean(-1).sum(), hits.float().mean(-1).sum(), torch.tensor(float(len(micro)))]
            sums += torch.stack([value.double().cpu() for value in here])
        loss, accuracy, count = self.ranks.sum(sums).tolist()
        return loss / count, accuracy / count

    def _done(self, step: int, seconds: float) -> float:
        """Fraction of the training, by steps or by time, that is over; the same number on every rank."""
        by_steps = step / self.total
        if not self.config.minutes:
            return by_steps
        mine = seconds if self.ranks.is_main else 0.0
        seconds = float(self.ranks.sum(torch.tensor([mine], dtype=torch.float64)).item())
        return max(by_steps, seconds / (60.0 * self.config.minutes))

    def _lr(self, step: int, done: float) -> float:
        """Learning rate of optimiser step `step` (from 0), when the fraction `done` of the training is over."""
        warm = min(1.0, (step + 1) / max(1, self.config.lr_warmup_steps))
        return self.config.lr * warm * (0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * min(done, 1.0))))

    def _save(self, step: int, seconds: float) -> None:
        tensors, state = trainer_state.take(self.modules, self.optimizer)
        self.run_directory.checkpoints.save(step, tensors, state | {"seconds": seconds})

    def _resume(self) -> tuple[int, float]:
        """Load the newest checkpoint, if any. Returns (optimiser steps, seconds) done so far."""
        checkpoint = self.run_directory.checkpoints.latest()
        step, seconds = 0, 0.0
        if checkpoint is not None:
            trainer_state.restore(self.modules, self.optimizer, checkpoint.tensors, checkpoint.state)
            step, seconds = checkpoint.step, checkpoint.state["seconds"]
        if self.ranks.is_main:
            self.run_directory.journal.truncate_after("iteration", step)
        self.ranks.barrier()
        return step, seconds

    def _progress(self, step: int, seconds: float) -> Any:
        if not self.ranks.is_main:
            return contextlib.nullcontext()
        minutes = self.config.minutes or None
        return Progress("SFT", total=self.total, unit="updates", minutes=minutes, done=step, elapsed_seconds=seconds)
