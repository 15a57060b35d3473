"""A scripted expert for the toy worlds, with a dial for how good it is, so that a warm-up can be left unfinished."""

from dataclasses import dataclass

import numpy as np
import torch

from rlvla_core.data.episode import Episode
from rlvla_core.toy.world import MAX_STEP, POINTER_RADIUS, PUCK_RADIUS, ToyWorld


@dataclass(frozen=True, kw_only=True, slots=True)
class ToyExpertConfig:
    """How the scripted toy expert moves."""

    speed: float = 0.02
    """Speed in metres per step; at most MAX_STEP."""
    noise: float = 0.0
    """Standard deviation of a random push added to the executed action, metres. The recorded action is without it, so
    that a policy learns to recover from mistakes and not to make them."""


def expert_actions(world: ToyWorld, config: ToyExpertConfig) -> torch.Tensor:
    """The expert's actions, float32 [N, 7], for the present state: a straight line (reach), or round the puck and then
    push."""
    pointer = world.points[:, 0]
    target = _push_target(world) if world.config.task == "push" else world.goals
    apart = target - pointer
    distance = apart.norm(dim=-1, keepdim=True).clamp_min(1e-9)
    shift = apart / distance * distance.clamp_max(config.speed)
    actions = torch.zeros(world.num_envs, 7)
    actions[:, :2] = shift.clamp(-MAX_STEP, MAX_STEP)
    actions[:, 6] = 1.0
    return actions


def _push_target(world: ToyWorld) -> torch.Tensor:
    """Where the pointer should go now: behind the puck, seen from the goal, by way of its side if it is in front."""
    pointer, puck, goal = world.points[:, 0], world.points[:, 3], world.goals
    along = torch.nn.functional.normalize(goal - puck, dim=-1)
    across = torch.stack([-along[:, 1], along[:, 0]], dim=-1)
    relative = pointer - puck
    ahead, aside = (relative * along).sum(-1, keepdim=True), (relative * across).sum(-1, keepdim=True)
    reach = POINTER_RADIUS + PUCK_RADIUS
    side = torch.where(aside >= 0, 1.0, -1.0)
    around = puck + 1.5 * reach * side * across - reach * along
    behind = puck - 1.3 * reach * along
    pushing = puck - 0.3 * reach * along
    not_behind = ahead > -0.7 * reach
    aligned = aside.abs() < 0.25 * reach
    return torch.where(not_behind, around, torch.where(aligned, pushing, behind))


def demonstrate(
    world: ToyWorld, episode_ids: torch.Tensor, config: ToyExpertConfig, *, generator: torch.Generator
) -> list[Episode]:
    """One demonstration per id [M], successful or not, M a multiple of the number of worlds."""
    episodes: list[Episode] = []
    for ids in episode_ids.split(world.num_envs):
        observation = world.reset(ids)
        images, states, actions, rewards = [], [], [], []
        active = torch.ones(world.num_envs, dtype=torch.bool)
        lengths = torch.zeros(world.num_envs, dtype=torch.int64)
        for _ in range(world.spec.max_steps):
            action = expert_actions(world, config)
            push = torch.zeros_like(action)
            push[:, :2] = config.noise * torch.randn((len(action), 2), generator=generator)
            images.append(observation.images)
            states.append(observation.state)
            actions.append(action)
            result = world.step(action + push, active)
            rewards.append(result.rewards)
            lengths += active
            active = active & ~(result.terminated | result.truncated)
            observation = result.observation
            if not active.any():
                break
        frames, moves = torch.stack(images, 1).numpy(), torch.stack(actions, 1).numpy()
        state, reward = torch.stack([s for s in states if s is not None], 1).numpy(), torch.stack(rewards, 1).numpy()
        success = result.success.tolist()
        for i, length in enumerate(lengths.tolist()):
            episodes.append(
                Episode(
                    images=frames[i, :length],
                    actions=moves[i, :length],
                    instruction=world.instructions[i],
                    episode_id=int(ids[i]),
                    success=success[i],
                    state=state[i, :length].astype(np.float32),
                    rewards=reward[i, :length],
                )
            )
    return episodes
