"""Run a policy on a list of episodes and record the outcome of every episode."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import torch

from rlvla_core.environment import StepResult, VecEnv
from rlvla_core.errors import RlvlaError
from rlvla_core.evaluation.episode_list import EpisodeList
from rlvla_core.evaluation.statistics import wilson

METRICS = ("success_at_end", "success_once", "grasped", "grasped_firmly")
"""Names of the outcomes. `success_at_end` is the headline; some publications report `success_once`, which is never
smaller."""


class Policy(Protocol):
    """The one method of a policy that evaluation calls."""

    def act(
        self,
        images: torch.Tensor,
        instructions: list[str],
        *,
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Any:
        """Sample actions for images uint8 [N, H, W, 3]; returns an object with `.actions`, float32 [N, 7]."""
        ...


@dataclass(frozen=True, kw_only=True)
class Recording:
    """The images of one episode, for videos."""

    instruction: str
    """Instruction that the policy was given, e.g. `put carrot on plate`."""
    frames: np.ndarray
    """uint8 [T + 1, H, W, 3], RGB: the first image and the one after every step."""
    success: np.ndarray
    """bool [T + 1]: whether the success test held at that image."""


@dataclass(frozen=True, kw_only=True)
class EvaluationResult:
    """Outcome of every episode of a list; all arrays are numpy [n] in the order of the list."""

    episodes: EpisodeList
    """The episodes that were run."""
    temperature: float
    """Sampling temperature of the action tokens; 0 = greedy."""
    seed: int
    """Seed of the sampling noise; without effect at temperature 0."""
    success_at_end: np.ndarray
    """bool: the success test held at the episode's last step."""
    success_once: np.ndarray
    """bool: the success test held at some step."""
    returns: np.ndarray
    """float64: undiscounted sum of the rewards of the episode."""
    lengths: np.ndarray
    """int64: number of control steps of the episode."""
    grasped: np.ndarray | None = None
    """bool: something was grasped at some step; None if the environment does not report it."""
    grasped_firmly: np.ndarray | None = None
    """bool: something was grasped at some step by the environment's stricter test; None if it is not reported."""
    seconds: float = 0.0
    """Wall time of the evaluation in seconds (of the slowest part, if parts ran in parallel)."""
    recordings: dict[int, Recording] = field(default_factory=dict)
    """Images of the recorded episodes, by episode id; not part of the JSON."""

    @property
    def n(self) -> int:
        """Number of episodes."""
        return len(self.episodes)

    def outcomes(self, metric: str) -> np.ndarray:
        """Values of one of METRICS, bool [n]. Raises RlvlaError if the environment did not report it."""
        values = getattr(self, metric) if metric in METRICS else None
        if values is None:
            raise RlvlaError(f"the result has no metric `{metric}`: use one of {', '.join(self.metrics())}")
        return values

    def metrics(self) -> tuple[str, ...]:
        """Those of METRICS that this result has."""
        return tuple(metric for metric in METRICS if getattr(self, metric) is not None)

    def to_json(self) -> dict[str, Any]:
        """The result as JSON values: rates with n and 95 % Wilson intervals, the list with its hash, every outcome."""
        rates = {}
        for metric in self.metrics():
            successes = int(self.outcomes(metric).sum())
            low, high = wilson(successes, self.n)
            rates[metric] = {"successes": successes, "n": self.n, "rate": successes / self.n, "wilson95": [low, high]}
        columns: dict[str, list] = {metric: self.outcomes(metric).astype(int).tolist() for metric in self.metrics()}
        return {
            "n": self.n,
            **rates,
            "return_mean": float(self.returns.mean()),
            "length_mean": float(self.lengths.mean()),
            "temperature": self.temperature,
            "seed": self.seed,
            "seconds": round(self.seconds, 3),
            "episode_set": self.episodes.episode_set,
            "num_episodes": self.episodes.num_episodes,
            "list_sha256": self.episodes.sha256,
            "episodes": {
                "ids": list(self.episodes.ids),
                **columns,
                "returns": self.returns.tolist(),
                "lengths": self.lengths.tolist(),
            },
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "EvaluationResult":
        """The result that `to_json` wrote. Raises RlvlaError if entries are missing or ids do not match their hash."""
        try:
            columns = value["episodes"]
            episodes = EpisodeList(
                episode_set=value["episode_set"], num_episodes=value["num_episodes"], ids=tuple(columns["ids"])
            )
            flags: dict[str, Any] = {
                metric: np.array(columns[metric], dtype=bool) for metric in METRICS if metric in columns
            }
            result = cls(
                episodes=episodes,
                temperature=value["temperature"],
                seed=value["seed"],
                returns=np.array(columns["returns"], dtype=np.float64),
                lengths=np.array(columns["lengths"], dtype=np.int64),
                seconds=value["seconds"],
                **flags,
            )
        except (KeyError, TypeError) as error:
            raise RlvlaError(
                f"this is not an evaluation result: {error!r} (write it again with `rlvla evaluate`)"
            ) from None
        if episodes.sha256 != value.get("list_sha256"):
            raise RlvlaError("the episode ids of the result do not match their hash: the file was changed by hand")
        if any(len(column) != len(episodes) for column in columns.values()):
            raise RlvlaError(f"the result lists {len(episodes)} episodes, but a column of it has another length")
        return result


def evaluate(
    policy: Policy,
    env: VecEnv,
    episode_ids: EpisodeList | Sequence[int] | torch.Tensor,
    *,
    temperature: float = 0.0,
    seed: int = 0,
    record: int = 0,
    progress: Callable[[int], None] | None = None,
) -> EvaluationResult:
    """Run every listed episode once, in batches of `env.num_envs`, and return all outcomes.

    temperature: sampling temperature of the action tokens, 0 = greedy. seed: of the sampling noise.
    record: keep the images of the first `record` episodes of the list.
    progress: called with the number of finished episodes after every batch.

    Repeatability: the noise of a batch is drawn from (seed, ids of the batch), and the last batch is filled up with
    inactive environments, so an episode's outcome depends on the policy, the seed and the batch that it is in, not on
    the batches before it. Splitting a list at multiples of `num_envs` (`EpisodeList.batches`) over any number of
    processes therefore gives the same result as one process. Another `num_envs` gives other noise, and at temperature
    0 the same result up to rounding.

    Raises RlvlaError for a negative temperature and for a list of another episode set than the environment's.
    """
    if not (math.isfinite(temperature) and temperature >= 0):
        raise RlvlaError(f"temperature must be 0 (greedy) or more, got {temperature}")
    episodes = _as_list(episode_ids, env)
    recorded = set(episodes.ids[:record])
    was_training = policy.training if isinstance(policy, torch.nn.Module) else False
    if isinstance(policy, torch.nn.Module):
        policy.eval()
    start = time.monotonic()
    try:
        parts, done = [], 0
        for batch in episodes.batches(env.num_envs):
            parts.append(_run_batch(policy, env, batch, temperature, seed, recorded))
            done += len(batch)
            if progress is not None:
                progress(done)
    finally:
        if isinstance(policy, torch.nn.Module):
            policy.train(was_training)
    return replace(merge_results(parts, episodes), seconds=time.monotonic() - start)


def merge_results(parts: Sequence[EvaluationResult], episodes: EpisodeList) -> EvaluationResult:
    """Join the results of parts of a list into the result of the whole list; the parts may come in any order.

    Raises RlvlaError unless the parts hold every episode exactly once and agree in temperature, seed and episode set.
    """
    ids = [episode for part in parts for episode in part.episodes.ids]
    if sorted(ids) != sorted(episodes.ids):
        raise RlvlaError(f"the parts hold {len(ids)} episodes, not the {len(episodes)} of {episodes.describe()}")
    if len({(part.temperature, part.seed, part.metrics(), part.episodes.episode_set) for part in parts}) != 1:
        raise RlvlaError(
            "the parts were evaluated with different temperatures, seeds or episode sets: evaluate them alike"
        )
    place = {episode: index for index, episode in enumerate(ids)}
    order = np.array([place[episode] for episode in episodes.ids])

    def joined(name: str) -> Any:
        columns = [getattr(part, name) for part in parts]
        return None if columns[0] is None else np.concatenate(columns)[order]

    return EvaluationResult(
        episodes=episodes,
        temperature=parts[0].temperature,
        seed=parts[0].seed,
        seconds=max(part.seconds for part in parts),
        recordings={episode: clip for part in parts for episode, clip in part.recordings.items()},
        **{name: joined(name) for name in (*METRICS, "returns", "lengths")},
    )


def noise_seed(seed: int, ids: Sequence[int]) -> int:
    """63-bit seed of the sampling noise of the batch with these episode ids."""
    return int(np.random.SeedSequence([seed, *ids]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _as_list(episode_ids: EpisodeList | Sequence[int] | torch.Tensor, env: VecEnv) -> EpisodeList:
    spec = env.spec
    if isinstance(episode_ids, EpisodeList):
        if (episode_ids.episode_set, episode_ids.num_episodes) != (spec.episode_set, spec.num_episodes):
            raise RlvlaError(
                f"the list is of the episode set `{episode_ids.episode_set}` with {episode_ids.num_episodes} episodes, "
                f"the environment has `{spec.episode_set}` with {spec.num_episodes}"
            )
        return episode_ids
    ids = episode_ids.tolist() if isinstance(episode_ids, torch.Tensor) else episode_ids
    return EpisodeList(episode_set=spec.episode_set, num_episodes=spec.num_episodes, ids=tuple(int(i) for i in ids))


def _run_batch(
    policy: Policy, env: VecEnv, batch: EpisodeList, temperature: float, seed: int, recorded: set[int]
) -> EvaluationResult:
    count, width = len(batch), env.num_envs
    start = time.monotonic()
    padded = torch.cat([batch.tensor(), batch.tensor()[:1].expand(width - count)])
    observation = env.reset(padded)
    device = observation.images.device
    generator = None
    if temperature > 0:
        generator = torch.Generator(device=device).manual_seed(noise_seed(seed, batch.ids))
    active = torch.arange(width, device=device) < count
    success = torch.zeros(width, dtype=torch.bool, device=device)
    once = success.clone()
    returns = torch.zeros(width, dtype=torch.float64, device=device)
    lengths = torch.zeros(width, dtype=torch.int64, device=device)
    grasps: dict[str, torch.Tensor] = {}
    rows = [row for row, episode in enumerate(batch.ids) if episode in recorded]
    films = {row: [(observation.images[row].cpu().numpy().copy(), False)] for row in rows}
    instructions = list(observation.instructions)
    for _ in range(env.spec.max_steps):
        sample = policy.act(observation.images, observation.instructions, temperature=temperature, generator=generator)
        step: StepResult = env.step(sample.actions, active)
        success = torch.where(active, step.success, success)
        once |= active & step.success
        returns += torch.where(active, step.rewards, 0.0).double()
        lengths += active
        for name in ("grasped", "grasped_firmly"):
            if name in step.info:
                grasps[name] = grasps.get(name, torch.zeros_like(active)) | (active & step.info[name].bool())
        observation = step.observation
        for row in rows:
            if active[row]:
                films[row].append((observation.images[row].cpu().numpy().copy(), bool(step.success[row])))
        active = active & ~(step.terminated | step.truncated)
        if not active.any():
            break
    else:
        raise RuntimeError(f"the environment did not end an episode after its limit of {env.spec.max_steps} steps")

    def column(values: torch.Tensor) -> np.ndarray:
        return values[:count].cpu().numpy()

    return EvaluationResult(
        episodes=batch,
        temperature=temperature,
        seed=seed,
        success_at_end=column(success),
        success_once=column(once),
        returns=column(returns),
        lengths=column(lengths),
        seconds=time.monotonic() - start,
        recordings={
            batch.ids[row]: Recording(
                instruction=instructions[row],
                frames=np.stack([frame for frame, _ in film]),
                success=np.array([flag for _, flag in film]),
            )
            for row, film in films.items()
        },
        **{name: column(values) for name, values in grasps.items()},
    )
