"""`rlvla bench sim`: steps per second and core of our simulator and of stock ManiSkill, measured in one run."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
from rich.console import Console
from rich.table import Table

from rlvla_core.environment import VecEnv
from rlvla_core.errors import RlvlaError

EXPLORATION = torch.tensor([0.01, 0.01, 0.01, 0.05, 0.05, 0.05, 1.0])
"""Standard deviations of the random actions: translation in metres, rotation in radians, gripper."""
STOCK_SHADER = "default"
"""ManiSkill's shader pack for its own task; the paper trained with this one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchSim:
    """Measure the simulator's speed with rendered images, beside that of stock ManiSkill.

    Reads and writes no files. Both simulators show the same arm at the same image size and control rate. Stock
    ManiSkill is what `gym.make` of one of its tasks gives: full meshes, default lights with shadow, default shader,
    ManiSkill's controller and observations. Times are CPU seconds of one core: run with OMP_NUM_THREADS=1
    LP_NUM_THREADS=0. Prints a table and, as the last line, JSON.
    """

    robot: str = "panda"
    """Arm in our simulator: `panda` or `widowx250s`. Stock ManiSkill is measured with `panda` only."""
    image_size: int = 64
    """Width and height of the images in pixels."""
    num_envs: int = 8
    """Number of our environments, all in this process."""
    steps: int = 40
    """Number of timed control steps of each of our environments; stock ManiSkill runs twice this number in one
    environment."""

    def run(self) -> int:
        """Measure and print; returns the exit code. Raises RlvlaError for too few steps."""
        if self.steps < 5:
            raise RlvlaError(f"--steps {self.steps}: use 5 or more")
        from rlvla_sim import WorldConfig, make_env

        console = Console()
        config = WorldConfig(
            robot=self.robot, image_width=self.image_size, image_height=self.image_size, max_steps=10**6
        )
        console.print(f"ours: {self.num_envs} x {self.robot}, {self.image_size} x {self.image_size} pixels ...")
        env = make_env(config, self.num_envs)
        ours, split = self._time_ours(env)
        env.close()
        metrics: dict[str, object] = {"ours_ms": round(ours, 3), "ours_steps_per_s": round(1000 / ours, 1)}
        metrics["split_ms"] = {name: round(value, 3) for name, value in split.items()}
        table = Table("part of a step", "CPU ms")
        for name, value in split.items():
            table.add_row(name, f"{value:.2f}")
        table.add_row("whole step", f"{ours:.2f}")
        console.print(table)
        console.print(f"ours: {1000 / ours:.0f} steps/s per core")
        if self.robot == "panda":
            console.print("stock ManiSkill: panda, full meshes, default lights and shadows ...")
            stock = self._time_stock(config.physics_hz)
            metrics |= {"stock_ms": round(stock, 3), "stock_steps_per_s": round(1000 / stock, 1)}
            metrics["ratio"] = round(stock / ours, 2)
            console.print(
                f"stock ManiSkill: {1000 / stock:.0f} steps/s per core; ours is {stock / ours:.1f} times as fast"
            )
        print(json.dumps({"bench": "sim", **asdict(self), **metrics}))
        return 0

    def _time_ours(self, env: VecEnv) -> tuple[float, dict[str, float]]:
        """(CPU milliseconds of one step of one environment, the same of each of its parts)."""
        from rlvla_sim.vec_env import CpuVecEnv

        assert isinstance(env, CpuVecEnv)
        ids = torch.arange(self.num_envs) * (env.spec.num_episodes // self.num_envs)
        generator = torch.Generator().manual_seed(0)
        env.reset(ids)
        parts = dict.fromkeys(("control and IK", "physics", "contacts and reward", "render", "overlay"), 0.0)
        clocks = [
            (env.controller, "step", "control and IK"),
            *((world.physics, "step", "physics") for world in env.worlds),
            *((world, "judge", "contacts and reward") for world in env.worlds),
            *((world.renderer, "render", "render") for world in env.worlds),
            *((world.renderer, "compose", "overlay") for world in env.worlds),
        ]
        for owner, method, part in clocks:
            setattr(owner, method, _timed(getattr(owner, method), parts, part))

        def step() -> None:
            env.step(torch.randn(self.num_envs, 7, generator=generator) * EXPLORATION)

        whole = _cpu_ms(step, self.steps, lambda: parts.update(dict.fromkeys(parts, 0.0))) / self.num_envs
        split = {name: 1000 * value / self.steps / self.num_envs for name, value in parts.items()}
        split["reset, 1/80 of it"] = _cpu_ms(lambda: env.reset(ids), 3) / self.num_envs / 80
        split["rest"] = whole - sum(split[name] for name in parts)
        return whole, split

    def _time_stock(self, physics_hz: int) -> float:
        """CPU milliseconds of one step of a ManiSkill task with the same arm, image size and rates."""
        from rlvla_sim.maniskill.stock import stock_stepper

        step, close = stock_stepper(self.image_size, STOCK_SHADER, physics_hz)
        milliseconds = _cpu_ms(step, 2 * self.steps)
        close()
        return milliseconds


def _timed(function: Callable, totals: dict[str, float], name: str) -> Callable:
    """Wraps a function so that the CPU seconds of its calls are added to `totals[name]`."""

    def wrapper(*args: object, **kwargs: object) -> object:
        started = time.process_time()
        try:
            return function(*args, **kwargs)
        finally:
            totals[name] += time.process_time() - started

    return wrapper


def _cpu_ms(action: Callable[[], object], repeats: int, after_warm_up: Callable[[], None] = lambda: None) -> float:
    """Mean CPU milliseconds of an action; three calls before are not measured, and `after_warm_up` runs between."""
    for _ in range(3):
        action()
    after_warm_up()
    started = time.process_time()
    for _ in range(repeats):
        action()
    return 1000 * (time.process_time() - started) / repeats
