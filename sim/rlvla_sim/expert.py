"""A scripted expert: waypoints to the grasp and beyond, followed in closed loop through the environment's own step.

It reads the simulator's state (which a policy never sees) and returns actions like a policy: 7 numbers, deltas on the
commanded pose. Noise may be added to the executed action while the recorded one stays the expert's own, so that the
demonstrations show how to recover from small errors.
"""

import math
from dataclasses import dataclass
from enum import Enum, auto

import numpy as np
import torch

from rlvla_core.data.episode import Episode
from rlvla_core.errors import RlvlaError
from rlvla_core.geometry.rotations import euler_xyz_of_matrix, matrix_of_rotation_vector, rotation_about_z
from rlvla_core.geometry.transforms import pose_error
from rlvla_sim.grasp import Grasp, interior_points, plan_grasp
from rlvla_sim.physics import TABLE_HEIGHT
from rlvla_sim.vec_env import CpuVecEnv
from rlvla_sim.world import World

OPEN, CLOSED = 1.0, -1.0
MOVED = 0.05
"""Metres: an object that has moved further than this since its grasp was planned has been taken away."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpertConfig:
    """How the scripted expert moves, and how much noise is added to what it executes."""

    speed: float = 0.04
    """Longest translation of one action, metres."""
    turn: float = 0.3
    """Largest rotation of one action, radians."""
    gain: float = 0.8
    """Fraction of the way to the waypoint that one action covers, within the limits `speed` and `turn`."""
    hover: float = 0.05
    """Height of the hand above the object on arrival, and of a carried object above the receptacle, metres."""
    noise_position: float = 0.003
    """Standard deviation, per axis, of the random error added to the executed translation, metres."""
    noise_rotation: float = 0.02
    """Standard deviation, per axis, of the random error added to the executed rotation, radians."""
    retreat_steps: int = 3
    """Number of upward steps of the hand after it released the object."""

    def __post_init__(self) -> None:
        if (
            not 0 < self.gain <= 1
            or self.speed <= 0
            or self.turn <= 0
            or min(self.noise_position, self.noise_rotation) < 0
        ):
            raise RlvlaError(f"expert needs 0 < gain <= 1, positive speed and turn, noise >= 0; got {self}")


class Phase(Enum):
    """What the expert is doing, in the order of a successful episode."""

    REACH = auto()
    DESCEND = auto()
    CLOSE = auto()
    LIFT = auto()
    CARRY = auto()
    LOWER = auto()
    RELEASE = auto()
    RETREAT = auto()
    DONE = auto()


NOISE_FRACTION = {Phase.REACH: 1.0, Phase.DESCEND: 0.3, Phase.LIFT: 0.5, Phase.CARRY: 1.0, Phase.LOWER: 0.3}
"""Fraction of the configured noise that each phase has; the other phases have none."""


class Expert:
    """Decides the actions of one episode in one world. Poses are in the base frame."""

    def __init__(self, world: World, config: ExpertConfig) -> None:
        self.world = world
        self.config = config
        self.table = TABLE_HEIGHT - world.spec.base_position[2]
        self.points = interior_points(world.object)
        self._enter(Phase.REACH)
        self.grasp: Grasp | None = None
        self.start_yaw: float | None = None
        self.planned_for = np.zeros(3)

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        self.phase_steps = 0

    def act(self, commanded: np.ndarray) -> np.ndarray:
        """The next action, float64 [7], given the commanded tool pose [4, 4]."""
        world, config = self.world, self.config
        tool = world.in_base(world.physics.tcp.entity.pose)
        thing = world.in_base(world.object_body.entity.pose)
        plate = world.in_base(world.receptacle_body.entity.pose)[:3, 3]
        self._advance(tool, thing, plate)
        if self.phase in (Phase.REACH, Phase.DESCEND) and math.dist(thing[:3, 3], self.planned_for) > MOVED:
            self._retry()
        if self.grasp is None:
            self.planned_for = thing[:3, 3]
            yaw = closing_yaw(tool, world.spec.closing_axis)
            if self.start_yaw is None:
                self.start_yaw = yaw
            self.grasp = plan_grasp(world.object, thing, world.spec, self.table, start_yaw=self.start_yaw, yaw=yaw)
        target = self.grasp.position.copy()
        gripper = OPEN
        match self.phase:
            case Phase.REACH:
                target[2] += config.hover
            case Phase.CLOSE:
                gripper = CLOSED
            case Phase.LIFT | Phase.CARRY | Phase.LOWER:
                gripper = CLOSED
                target[2] = tool[2, 3] + self._travel_height(thing, plate)
                if self.phase is not Phase.LIFT:
                    target[:2] = tool[:2, 3] + plate[:2] - thing[:2, 3]
            case Phase.RELEASE:
                target = commanded[:3, 3].copy()
            case Phase.RETREAT | Phase.DONE:
                target = tool[:3, 3] + [0.0, 0.0, config.hover]
        self.phase_steps += 1
        return self._towards(commanded, target, gripper)

    def _lowest(self, thing: np.ndarray) -> float:
        return float((self.points @ thing[2, :3]).min() + thing[2, 3])

    def _travel_height(self, thing: np.ndarray, plate: np.ndarray) -> float:
        """Metres by which the object's lowest point has to rise to the height of this phase."""
        top = plate[2] + 2 * self.world.receptacle_half[2]
        height = top - 0.004 if self.phase is Phase.LOWER else top + self.config.hover
        return height - self._lowest(thing)

    def _advance(self, tool: np.ndarray, thing: np.ndarray, plate: np.ndarray) -> None:
        """Go on to the next phase where this one has done its work, or back to the start where the object was lost."""
        world, steps = self.world, self.phase_steps
        match self.phase:
            case Phase.REACH if self.grasp is not None:
                error = tool[:3, 3] - self.grasp.position - [0.0, 0.0, self.config.hover]
                turn = pose_error(tool, self._pose(self.grasp.position))[3:]
                if math.hypot(error[0], error[1]) < 0.010 and abs(error[2]) < 0.025 and np.linalg.norm(turn) < 0.12:
                    self._enter(Phase.DESCEND)
            case Phase.DESCEND if self.grasp is not None:
                if np.linalg.norm(tool[:3, 3] - self.grasp.position) < 0.005 or steps >= 8:
                    self._enter(Phase.CLOSE)
            case Phase.CLOSE:
                if world.grasped_now and steps >= 3:
                    self._enter(Phase.LIFT)
                elif steps >= 6:
                    self._retry()
            case Phase.LIFT | Phase.CARRY | Phase.LOWER:
                self._advance_held(thing, plate)
            case Phase.RELEASE:
                if (steps >= 2 and not world.grasped_now) or steps >= 5:
                    self._enter(Phase.RETREAT)
            case Phase.RETREAT if steps >= self.config.retreat_steps:
                if world.success:
                    self._enter(Phase.DONE)
                else:
                    self._retry()

    def _advance_held(self, thing: np.ndarray, plate: np.ndarray) -> None:
        if self.phase is Phase.LOWER and (self.world.success or self.phase_steps >= 10):
            self._enter(Phase.RELEASE)
        elif not self.world.grasped_now and self.phase_steps >= 2:
            self._retry()
        elif self.phase is Phase.LIFT and self._travel_height(thing, plate) < 0.4 * self.config.hover:
            self._enter(Phase.CARRY)
        elif self.phase is Phase.CARRY and math.hypot(*(thing[:2, 3] - plate[:2])) < 0.012:
            self._enter(Phase.LOWER)

    def _retry(self) -> None:
        self.grasp = None
        self._enter(Phase.REACH)

    def _pose(self, position: np.ndarray) -> np.ndarray:
        """Tool pose [4, 4] at a position, pointing down, closing along the grasp's yaw."""
        assert self.grasp is not None
        pose = np.eye(4)
        pose[:3, :3] = downward(self.world.spec.approach_axis, self.world.spec.closing_axis, self.grasp.yaw)
        pose[:3, 3] = position
        return pose

    def _towards(self, commanded: np.ndarray, position: np.ndarray, gripper: float) -> np.ndarray:
        """One action from the commanded pose towards a downward pose at `position`."""
        config = self.config
        error = pose_error(commanded, self._pose(position)) * config.gain
        move = error[:3] * min(1.0, config.speed / max(float(np.linalg.norm(error[:3])), 1e-9))
        turn = error[3:] * min(1.0, config.turn / max(float(np.linalg.norm(error[3:])), 1e-9))
        return np.concatenate([move, euler_xyz_of_matrix(matrix_of_rotation_vector(turn)), [gripper]])

    def noise(self, rng: np.random.Generator) -> np.ndarray:
        """Random error to add to the action that is executed, float64 [7]."""
        fraction = NOISE_FRACTION.get(self.phase, 0.0)
        sigma = [self.config.noise_position] * 3 + [self.config.noise_rotation] * 3 + [0.0]
        return rng.normal(size=7) * np.array(sigma) * fraction


def closing_yaw(tool: np.ndarray, closing_axis: tuple[float, float, float]) -> float:
    """Direction of the closing axis in the horizontal plane, radians from x, of a tool pose [4, 4]."""
    x, y, _ = tool[:3, :3] @ closing_axis
    return math.atan2(y, x)


def downward(approach: tuple[float, float, float], closing: tuple[float, float, float], yaw: float) -> np.ndarray:
    """Rotation [3, 3] that turns the tool's approach axis to -z and its closing axis to yaw from x."""
    tool = np.stack([approach, closing, np.cross(approach, closing)], axis=1)
    down, across = np.array([0.0, 0.0, -1.0]), rotation_about_z(yaw)[:, 0]
    return np.stack([down, across, np.cross(down, across)], axis=1) @ tool.T


def collect_episodes(env: CpuVecEnv, episode_ids: torch.Tensor, config: ExpertConfig, *, seed: int) -> list[Episode]:
    """Demonstrations of these episodes (int64 [N], one for each environment of `env`), played by the expert.

    An episode ends when the expert is done or at the time limit; `success` is the task's own test after its last step.
    The noise of an episode depends on (seed, id) alone. Raises RlvlaError for ids outside the episode set.
    """
    observation = env.reset(episode_ids)
    experts = [Expert(world, config) for world in env.worlds]
    rngs = [np.random.default_rng([seed, episode_id]) for episode_id in episode_ids.tolist()]
    images: list[list[np.ndarray]] = [[] for _ in experts]
    states: list[list[np.ndarray]] = [[] for _ in experts]
    actions: list[list[np.ndarray]] = [[] for _ in experts]
    rewards: list[list[float]] = [[] for _ in experts]
    instructions = observation.instructions
    active = torch.ones(len(experts), dtype=torch.bool)
    while True:
        executed = np.zeros((len(experts), 7), dtype=np.float32)
        for row, expert in enumerate(experts):
            if not active[row]:
                continue
            answer = expert.act(env.controller.targets[row])
            if expert.phase is Phase.DONE:
                active[row] = False
                continue
            images[row].append(observation.images[row].numpy())
            states[row].append(observation.state[row].numpy())  # type: ignore[index]
            actions[row].append(answer.astype(np.float32))
            executed[row] = answer + expert.noise(rngs[row])
        if not active.any():
            break
        result = env.step(torch.from_numpy(executed), active)
        observation = result.observation
        for row in active.nonzero()[:, 0].tolist():
            rewards[row].append(float(result.rewards[row]))
        active &= ~(result.truncated | result.terminated)
    return [
        Episode(
            images=np.stack(images[row]),
            actions=np.stack(actions[row]),
            instruction=instructions[row],
            episode_id=int(episode_ids[row]),
            success=env.worlds[row].success and env.worlds[row].grasped,
            state=np.stack(states[row]),
            rewards=np.array(rewards[row], dtype=np.float32),
        )
        for row in range(len(experts))
    ]
