"""One full episode in every world, in lock-step: what the algorithms learn from.

Shape letters: T steps, N worlds of this rank, H W image, A = 7 action tokens, S privileged state.
"""

import time
from dataclasses import dataclass

import torch

from rlvla_core.environment import VecEnv
from rlvla_core.policy.policy import VLAPolicy


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RolloutBatch:
    """Everything that happened. Steps after the end of an episode hold zeros and `valid` False."""

    images: torch.Tensor
    """uint8 [T, N, H, W, 3]: the image before the action."""
    instructions: list[str]
    """N sentences, constant over the episode."""
    states: torch.Tensor | None
    """float32 [T, N, S], or None where the world has none."""
    tokens: torch.Tensor
    """int64 [T, N, A]."""
    logprobs: torch.Tensor
    """float32 [T, N]: summed over the A tokens, of the softmax at temperature 1."""
    values: torch.Tensor
    """float32 [T, N]: of the policy's own value head."""
    final_values: torch.Tensor
    """float32 [N]: value of the image after the last step, 0 for worlds that terminated."""
    final_states: torch.Tensor | None
    """float32 [N, S]: the state after the last step."""
    final_images: torch.Tensor
    """uint8 [N, H, W, 3]: the image after the last step."""
    rewards: torch.Tensor
    """float32 [T, N]."""
    terminated: torch.Tensor
    """bool [T, N]."""
    truncated: torch.Tensor
    """bool [T, N]."""
    valid: torch.Tensor
    """bool [T, N]: the step was taken."""
    success_at_end: torch.Tensor
    """bool [N]: the success test held after the episode's last step."""
    success_once: torch.Tensor
    """bool [N]: it held after some step."""
    world_seconds: float
    policy_seconds: float

    @property
    def steps(self) -> int:
        """Number of steps taken."""
        return int(self.valid.sum())

    @property
    def lengths(self) -> torch.Tensor:
        """int64 [N] steps per episode."""
        return self.valid.sum(0)

    def next_values(self, values: torch.Tensor, final_values: torch.Tensor) -> torch.Tensor:
        """float32 [T, N]: the value of the observation after each step, from values [T, N] before each step."""
        following = torch.cat([values[1:], torch.zeros_like(values[:1])])
        ends = self.truncated
        return torch.where(ends, final_values.unsqueeze(0).expand_as(values), following)


def collect(
    policy: VLAPolicy,
    env: VecEnv,
    episode_ids: torch.Tensor,
    *,
    temperature: float,
    generator: torch.Generator,
) -> RolloutBatch:
    """Play `episode_ids` int64 [N] to their ends with actions sampled at `temperature`.

    The policy sees only worlds that are still running; a world that ends early costs nothing afterwards.
    """
    horizon, count = env.spec.max_steps, env.num_envs
    clock = _Clock()
    with clock.world():
        observation = env.reset(episode_ids)
    device = observation.images.device
    images = torch.zeros((horizon, *observation.images.shape), dtype=torch.uint8, device=device)
    states = None
    if observation.state is not None:
        states = torch.zeros((horizon, *observation.state.shape), dtype=torch.float32, device=device)
    tokens = torch.zeros((horizon, count, 7), dtype=torch.int64, device=device)
    floats = torch.zeros((3, horizon, count), dtype=torch.float32, device=device)
    flags = torch.zeros((3, horizon, count), dtype=torch.bool, device=device)
    logprobs, values, rewards = floats
    terminated, truncated, valid = flags
    active = torch.ones(count, dtype=torch.bool, device=device)
    success_at_end, success_once = torch.zeros_like(active), torch.zeros_like(active)
    actions = torch.zeros((count, 7), dtype=torch.float32, device=device)
    instructions = list(observation.instructions)
    for t in range(horizon):
        running = active.nonzero().squeeze(-1)
        with clock.policy():
            sample = policy.act(
                observation.images[running],
                [instructions[i] for i in running.tolist()],
                temperature=temperature,
                generator=generator,
            )
        images[t] = observation.images
        if states is not None and observation.state is not None:
            states[t] = observation.state
        actions[running] = sample.actions.to(device)
        tokens[t, running] = sample.tokens.to(device)
        logprobs[t, running] = sample.logprobs.sum(-1).to(device)
        values[t, running] = sample.values.to(device)
        valid[t] = active
        with clock.world():
            result = env.step(actions, active)
        rewards[t] = result.rewards * active
        terminated[t] = result.terminated & active
        truncated[t] = result.truncated & active & ~result.terminated
        success_once |= result.success & active
        ends = terminated[t] | truncated[t]
        success_at_end = torch.where(active, result.success, success_at_end)
        active = active & ~ends
        observation = result.observation
        if not active.any():
            break
    cut = truncated.any(0)
    final_values = torch.zeros(count, dtype=torch.float32, device=device)
    if cut.any():
        # A truncated world stays as it is, so the last observation is the one after its last step.
        open_ended = cut.nonzero().squeeze(-1)
        with clock.policy():
            sentences = [instructions[i] for i in open_ended.tolist()]
            final_values[open_ended] = policy.value(observation.images[open_ended], sentences).detach().to(device)
    return RolloutBatch(
        images=images,
        instructions=instructions,
        states=states,
        tokens=tokens,
        logprobs=logprobs,
        values=values,
        final_values=final_values,
        final_states=observation.state,
        final_images=observation.images,
        rewards=rewards,
        terminated=terminated,
        truncated=truncated,
        valid=valid,
        success_at_end=success_at_end,
        success_once=success_once,
        world_seconds=clock.seconds["world"],
        policy_seconds=clock.seconds["policy"],
    )


class _Clock:
    """Seconds spent in the world and in the policy."""

    def __init__(self) -> None:
        self.seconds = {"world": 0.0, "policy": 0.0}

    def world(self) -> "_Span":
        return _Span(self.seconds, "world")

    def policy(self) -> "_Span":
        return _Span(self.seconds, "policy")


class _Span:
    def __init__(self, seconds: dict[str, float], name: str) -> None:
        self.seconds, self.name = seconds, name

    def __enter__(self) -> None:
        self.start = time.perf_counter()

    def __exit__(self, *exception: object) -> None:
        self.seconds[self.name] += time.perf_counter() - self.start
