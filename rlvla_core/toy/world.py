"""`reach` and `push`: two discs, one sentence, and a white pointer that the policy moves.

The action is the one of the real worlds (Δxyz [m], Δrotation [rad], gripper); only Δx and Δy do anything. A red and a
blue disc lie on the board and only the sentence says which one counts. Rewards are the first difference of a staged
score, as in the real task, so an episode's rewards add up to its final score less its first.
"""

from dataclasses import dataclass
from typing import Literal

import torch

from rlvla_core.environment import ACTION_DIM, EnvSpec, Observation, StepResult, check_episode_ids
from rlvla_core.errors import RlvlaError
from rlvla_core.toy.image import blank, paint_disc, top_down_camera
from rlvla_core.toy.layout import GRID, NUM_EPISODES, start_points, uniforms

HALF_BOARD = 0.1
"""The pointer cannot leave ±HALF_BOARD metres."""
MAX_STEP = 0.03
"""Δx and Δy are clamped to this, metres."""
GOAL_RADIUS = 0.018
POINTER_RADIUS = 0.009
PUCK_RADIUS = 0.012
COLOURS = {"red": (220, 40, 40), "blue": (50, 70, 230)}
_WHITE, _GREEN = (250, 250, 250), (40, 190, 70)


@dataclass(frozen=True, kw_only=True, slots=True)
class ToyConfig:
    """Configuration of a toy world."""

    task: Literal["reach", "push"] = "reach"
    """Task: `reach` moves the pointer onto the named disc, `push` pushes the green puck onto it."""
    image_size: int = 64
    """Side of the square image, pixels."""
    max_steps: int = 16
    """Time limit of an episode, in steps."""
    num_episodes: int = NUM_EPISODES
    """Number of episodes in the set. A few make a small memory problem, which is quick to learn in tests."""
    end_on_success: bool = True
    """End an episode at its first success; otherwise it always lasts `max_steps`."""


class ToyWorld:
    """N toy worlds; see `VecEnv` for the contract. Privileged state: points in metres, and 1.0 where red counts."""

    def __init__(self, config: ToyConfig, num_envs: int) -> None:
        self.config, self.num_envs = config, num_envs
        self.things = ("pointer", "red", "blue", "puck")[: 3 + (config.task == "push")]
        self.spec = EnvSpec(
            robot=f"toy-{config.task}",
            camera=top_down_camera(config.image_size),
            control_hz=5.0,
            max_steps=config.max_steps,
            episode_set=f"toy-{config.task}",
            num_episodes=config.num_episodes,
            state_dim=3 * len(self.things) + 1,
            state_points=tuple((name, 3 * i) for i, name in enumerate(self.things)),
        )
        self._started = False

    def reset(self, episode_ids: torch.Tensor) -> Observation:
        check_episode_ids(episode_ids, self.spec, self.num_envs)
        count = len(self.things)
        draws = uniforms(episode_ids, GRID * GRID + 2 * count + 2)
        if self.config.task != "push":
            self.points = start_points(draws[:, :-2], count, 0.9 * HALF_BOARD)  # [N, things, 2]
            self.points[:, 0] *= 0.1  # the pointer starts near the middle
        else:
            # A puck near the rim could not be pushed inwards: the pointer would have to be outside.
            self.points = start_points(draws[:, :-2], count, 0.75 * HALF_BOARD)
        extra = torch.from_numpy(draws[:, -2:]).float()
        self.red_counts = extra[:, 0] < 0.5
        self.instructions = [self._sentence("red" if red else "blue") for red in self.red_counts.tolist()]
        self._board = blank(60.0 + 60.0 * extra[:, 1], self.config.image_size)
        for i, colour in enumerate(COLOURS.values()):
            paint_disc(self._board, self.points[:, 1 + i], GOAL_RADIUS, colour)
        self._stages = torch.zeros(self.num_envs, 4, dtype=torch.bool)
        self._start_distance = self._distance()
        self._score = torch.zeros(self.num_envs)
        self._steps = torch.zeros(self.num_envs, dtype=torch.int64)
        self._update_score()
        self._images = self._image()
        self._started = True
        return self._observe()

    def step(self, actions: torch.Tensor, active: torch.Tensor | None = None) -> StepResult:
        if not self._started:
            raise RlvlaError("the toy world has not been started: call reset(episode_ids) first")
        if actions.shape != (self.num_envs, ACTION_DIM):
            raise RlvlaError(f"actions must be [{self.num_envs}, {ACTION_DIM}], got {list(actions.shape)}")
        moving = torch.ones(self.num_envs, dtype=torch.bool) if active is None else active
        before = self._score.clone()
        shift = actions[:, :2].float().clamp(-MAX_STEP, MAX_STEP) * moving.unsqueeze(-1)
        self._move(shift)
        self._steps += moving
        self._update_score(moving)
        images = self._image()
        self._images = torch.where(moving.reshape(-1, 1, 1, 1), images, self._images)
        success = self.success()
        terminated = success & moving if self.config.end_on_success else torch.zeros_like(moving)
        truncated = (self._steps >= self.config.max_steps) & moving & ~terminated
        return StepResult(
            observation=self._observe(),
            rewards=self._score - before,
            terminated=terminated,
            truncated=truncated,
            success=success,
        )

    def close(self) -> None:
        self._started = False

    @property
    def goals(self) -> torch.Tensor:
        """Centres of the discs that count, float32 [N, 2] metres."""
        return torch.where(self.red_counts.unsqueeze(-1), self.points[:, 1], self.points[:, 2])

    def success(self) -> torch.Tensor:
        """bool [N]: the pointer (reach) or the puck (push) is over the disc that counts."""
        return self._distance() < GOAL_RADIUS

    def _distance(self) -> torch.Tensor:
        thing = self.points[:, 3 if self.config.task == "push" else 0]
        return (thing - self.goals).norm(dim=-1)

    def _sentence(self, colour: str) -> str:
        return f"move to the {colour} disk" if self.config.task == "reach" else f"push the puck to the {colour} disk"

    def _move(self, shift: torch.Tensor) -> None:
        substeps = 5 if self.config.task == "push" else 1
        for _ in range(substeps):
            pointer = (self.points[:, 0] + shift / substeps).clamp(-HALF_BOARD, HALF_BOARD)
            self.points[:, 0] = pointer
            if self.config.task == "push":
                # Quasi-static contact: the puck yields along the line of centres until the discs just touch.
                apart = self.points[:, 3] - pointer
                distance = apart.norm(dim=-1, keepdim=True).clamp_min(1e-6)
                overlap = (POINTER_RADIUS + PUCK_RADIUS - distance).clamp_min(0.0)
                self.points[:, 3] = (self.points[:, 3] + apart / distance * overlap).clamp(-HALF_BOARD, HALF_BOARD)

    def _update_score(self, moving: torch.Tensor | None = None) -> None:
        """0.2 for each latched stage and 1.0 for success now.

        Stages 1 to 4: a fifth, two, three and four fifths of the way to the disc that counts are done.
        """
        stages = self._distance().unsqueeze(-1) < self._start_distance.unsqueeze(-1) * torch.tensor(
            [0.8, 0.6, 0.4, 0.2]
        )
        if moving is not None:
            stages &= moving.unsqueeze(-1)
        self._stages |= stages
        self._score = 0.2 * self._stages.sum(-1).float() + self.success().float()

    def _image(self) -> torch.Tensor:
        canvas = self._board.clone()
        if self.config.task == "push":
            paint_disc(canvas, self.points[:, 3], PUCK_RADIUS, _GREEN)
        paint_disc(canvas, self.points[:, 0], POINTER_RADIUS, _WHITE)
        return canvas.round_().to(torch.uint8)

    def _observe(self) -> Observation:
        heights = torch.zeros(self.num_envs, len(self.things), 1)
        places = torch.cat([self.points, heights], dim=-1).flatten(1)
        state = torch.cat([places, self.red_counts.float().unsqueeze(-1)], dim=-1)
        return Observation(images=self._images.clone(), instructions=list(self.instructions), state=state)


def make_toy_env(config: ToyConfig, num_envs: int) -> ToyWorld:
    """N toy worlds on the CPU. Raises RlvlaError for sizes that cannot be."""
    if num_envs < 1 or config.max_steps < 1 or config.image_size < 8:
        raise RlvlaError(
            f"a toy world needs >= 1 environments, >= 1 steps and images of >= 8 pixels, got {num_envs}, "
            f"{config.max_steps} and {config.image_size}"
        )
    return ToyWorld(config, num_envs)
