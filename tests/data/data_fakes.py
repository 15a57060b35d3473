"""Episodes and an expert that need no simulator."""

import os
import signal
import time

import numpy as np

from rlvla_core.data.episode import Episode
from rlvla_core.environment import EnvSpec
from rlvla_core.geometry.camera import CameraSpec

SPEC = EnvSpec(
    robot="widowx250s",
    camera=CameraSpec(
        name="third_person",
        width=16,
        height=8,
        fx=10.0,
        fy=10.0,
        cx=8.0,
        cy=4.0,
        position_in_base=(0.0, -0.16, 0.36),
        quaternion_in_base=(1.0, 0.0, 0.0, 0.0),
    ),
    control_hz=5.0,
    max_steps=80,
    episode_set="train",
    num_episodes=1000,
    state_dim=5,
    state_points=(("gripper", 1),),
)


def make_episode(
    seed: int,
    *,
    steps: int = 6,
    size: tuple[int, int] = (8, 16),
    state: int = 5,
    rewards: bool = True,
    success: bool = True,
) -> Episode:
    """Random content; height and width differ, so that no test passes with them exchanged."""
    generator = np.random.default_rng(seed)
    actions = generator.normal(0, 0.02, (steps, 7)).astype(np.float32)
    actions[:, 6] = np.where(np.arange(steps) < steps // 2, 1.0, -1.0)
    return Episode(
        images=generator.integers(0, 256, (steps, *size, 3), dtype=np.uint8),
        actions=actions,
        instruction=f"put thing {seed % 3} on plate",
        episode_id=10_000_000_000 + seed,
        success=success,
        state=generator.normal(size=(steps, state)).astype(np.float32) if state else None,
        rewards=generator.normal(size=steps).astype(np.float32) if rewards else None,
    )


def same(first: Episode, second: Episode) -> bool:
    """Equal bit for bit in every field."""
    arrays = all(
        (a is None and b is None) or (a is not None and b is not None and a.dtype == b.dtype and np.array_equal(a, b))
        for a, b in (
            (first.images, second.images),
            (first.actions, second.actions),
            (first.state, second.state),
            (first.rewards, second.rewards),
        )
    )
    facts = ("instruction", "episode_id", "success")
    return arrays and all(getattr(first, name) == getattr(second, name) for name in facts)


class FakeExpert:
    """Fails every third attempt or so; `trouble` makes it die, dawdle or fail always."""

    batch = 3

    def __init__(self, trouble: str = "") -> None:
        self.spec = SPEC
        self.trouble = trouble
        self.calls = 0

    def demonstrate(self, episode_ids: list[int], seeds: list[int]) -> list[Episode]:
        self.calls += 1
        if self.trouble == "killed" and self.calls == 4:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.trouble == "slow":
            time.sleep(0.1)
        return [self._one(episode_id, seed) for episode_id, seed in zip(episode_ids, seeds, strict=True)]

    def _one(self, episode_id: int, seed: int) -> Episode:
        generator = np.random.default_rng([seed, episode_id])
        success = bool(generator.random() > 0.33) and self.trouble != "always fails"
        return make_episode(episode_id, steps=int(generator.integers(3, 9)), success=success)

    def close(self) -> None:
        pass


def open_expert(trouble: str = "") -> FakeExpert:
    return FakeExpert(trouble)
