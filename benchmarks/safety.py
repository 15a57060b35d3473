"""Fuzzes safety filter and arbiter: whatever is proposed, setpoints must keep every limit and modes their rules.

    python benchmarks/safety.py --arm widowx250s --commands 1000000 --processes 2

The judge shares no code with the safety filter: it reads limits and hand from the arm's YAML, computes poses with the
simulator's kinematics, and takes finite differences of the setpoints. Prints progress and ends with one line of JSON.
"""

import argparse
import json
import multiprocessing
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safety_modes import mode_storm

from rlvla_core.control.arm import ArmConfig
from rlvla_core.control.command import MotionCommand
from rlvla_core.control.kinematics import ArmModel
from rlvla_core.control.safety_filter import SafetyFilter
from rlvla_core.errors import RlvlaError
from rlvla_core.geometry.transforms import pose_error
from rlvla_sim.kinematics import KinematicChain
from rlvla_sim.robots import robot

ARMS = Path(__file__).resolve().parents[1] / "config" / "arms"
TICK = 0.01
CHUNK = 2000
"""Commands of one stream; each stream has a filter of its own."""
TIME = 1e-5
"""Relative tolerance of speeds and accelerations, for rounding in finite differences."""
JERK = 1e-3
"""Relative tolerance of jerk; larger, because differences of positions are divided by the tick's cube."""
PLACE = 2e-6
"""Tolerance of places, metres and radians."""
KINDS = {
    "policy": 0.35,
    "drive": 0.20,
    "large": 0.10,
    "huge": 0.06,
    "nan": 0.04,
    "infinite": 0.04,
    "shape": 0.04,
    "type": 0.03,
    "old image": 0.04,
    "old command": 0.03,
    "future": 0.03,
    "replay": 0.04,
}
"""Kind of command -> its fraction of all. `drive` keeps a direction for a while, into walls, limits, singularities."""
MUST_REFUSE = ("nan", "infinite", "shape", "type", "old image", "old command", "future", "replay")
"""Kinds of commands that must never be accepted."""


@dataclass
class SafetyCounts:
    """What happened in one stream of commands, or in several added up."""

    totals: Counter[str] = field(default_factory=Counter)
    """How many commands, ticks, holds and so on there were."""
    vetoes: Counter[str] = field(default_factory=Counter)
    """Refusals by reason code."""
    clamps: Counter[str] = field(default_factory=Counter)
    """Clamps by reason code."""
    beyond: Counter[str] = field(default_factory=Counter)
    """Setpoints beyond a limit, by limit."""
    fraction: dict[str, float] = field(default_factory=dict)
    """Largest setpoint as a fraction of its limit, by limit."""
    propose_s: list[float] = field(default_factory=list)
    """Processor time of each proposal, seconds: other load of the machine does not count."""
    tick_s: list[float] = field(default_factory=list)
    """Processor time of every eighth tick, seconds."""

    def add(self, other: "SafetyCounts") -> None:
        for name in ("totals", "vetoes", "clamps", "beyond"):
            getattr(self, name).update(getattr(other, name))
        for name, value in other.fraction.items():
            self.fraction[name] = max(value, self.fraction.get(name, 0.0))
        self.propose_s += other.propose_s
        self.tick_s += other.tick_s


class Judge:
    """Checks a stretch of setpoints against every limit."""

    def __init__(self, config: ArmConfig) -> None:
        self.config = config
        spec = robot(config.name)
        self.chain = KinematicChain.from_urdf(spec.urdf(), config.tcp_link, config.joints)
        self.tips = np.array([(0.0, 0.0, 0.0), *config.hand.fingertips])
        self.hand = np.array([*self.tips, *config.hand.palm])

    def judge(self, joints: np.ndarray, openings: np.ndarray, counts: SafetyCounts) -> None:
        """Check setpoints [T, d] and openings [T] that are one tick apart. The first is a measured arm at rest: if it
        is beyond a limit already, the others may be as far beyond, but no further."""
        motion, hand = self.config.motion, self.config.hand
        rates = np.concatenate([np.repeat(joints[:1], 3, axis=0), joints])
        derivatives = {
            "speed": motion.joint_speed,
            "acceleration": motion.joint_acceleration,
            "jerk": motion.joint_jerk,
        }
        for name, limit in derivatives.items():
            rates = np.diff(rates, axis=0) / TICK
            self._most(f"joint {name}", np.abs(rates) / limit, 1 + (JERK if name == "jerk" else TIME), counts)
        lower = np.minimum(self.chain.lower + motion.joint_margin, joints[0]) - PLACE
        upper = np.maximum(self.chain.upper - motion.joint_margin, joints[0]) + PLACE
        self._count("joint limit", (joints < lower) | (joints > upper), counts)
        poses = self.chain.forward(joints)
        place = self.config.workspace
        tips = np.einsum("tij,kj->tki", poses[:, :3, :3], self.tips) + poses[:, None, :3, 3]
        hands = np.einsum("tij,kj->tki", poses[:, :3, :3], self.hand) + poses[:, None, :3, 3]
        room = [(tips - place.box_min).min(axis=1), (place.box_max - tips).min(axis=1)]
        room += [(hands[..., 2:] - place.table_z).min(axis=1)]
        for wall in place.walls:
            room.append((hands @ wall.normal / np.linalg.norm(wall.normal) - wall.offset).min(axis=1, keepdims=True))
        free = np.concatenate(room, axis=1)
        self._count("workspace", free < np.minimum(free[0], 0.0) - PLACE, counts)
        tool = np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1) / TICK
        turns = poses[1:, :3, :3] @ poses[:-1, :3, :3].swapaxes(1, 2)
        skew = np.stack(
            [turns[:, 2, 1] - turns[:, 1, 2], turns[:, 0, 2] - turns[:, 2, 0], turns[:, 1, 0] - turns[:, 0, 1]]
        )
        self._most("tcp speed", tool / motion.tcp_speed, 1 + TIME, counts)
        turning = np.arcsin(0.5 * np.linalg.norm(skew, axis=0)) / TICK
        self._most("tcp turn", turning / motion.tcp_turn_speed, 1 + TIME, counts)
        fingers = np.diff(openings)
        self._most("gripper speed", np.abs(fingers) / TICK / hand.speed, 1 + TIME, counts)
        self._count("gripper range", (openings < hand.closed) | (openings > hand.open), counts)
        self._count("gripper dwell", too_soon(fingers, hand.dwell_s), counts)

    def leaps(self, before: np.ndarray, after: np.ndarray) -> bool:
        """Whether the commanded pose [4, 4] has moved by more than one step's limits."""
        motion, error = self.config.motion, pose_error(before[None], after[None])[0]
        move, turn = np.linalg.norm(error[:3]), np.linalg.norm(error[3:])
        return bool(move > motion.step_length + PLACE or turn > motion.step_turn + PLACE)

    @staticmethod
    def _most(name: str, fractions: np.ndarray, limit: float, counts: SafetyCounts) -> None:
        if fractions.size:
            counts.fraction[name] = max(counts.fraction.get(name, 0.0), float(fractions.max()))
            counts.beyond[name] += int((fractions > limit).sum())

    @staticmethod
    def _count(name: str, bad: np.ndarray, counts: SafetyCounts) -> None:
        counts.beyond[name] += int(bad.sum())


def too_soon(fingers: np.ndarray, dwell_s: float) -> np.ndarray:
    """Whether each reversal of the finger motions [T] comes before the dwell is over, bool [n]; it counts from its
    first motion."""
    moving = np.flatnonzero(fingers)
    turned = moving[np.flatnonzero(np.diff(np.sign(fingers[moving]), prepend=0.0))]
    return np.diff(turned) * TICK < dwell_s - 1e-9


class Stream:
    """One safety filter with random commands, holds and syncs."""

    def __init__(self, arm: ArmModel, judge: Judge, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.arm, self.judge = arm, judge
        self.start = np.array(robot(arm.config.name).arm_start)
        self.filter = SafetyFilter(arm, TICK)
        self.counts = SafetyCounts()
        self.ticks, self.step = 0, 0
        self.direction = np.zeros(6)
        self.joints: list[np.ndarray] = []
        self.openings: list[float] = []
        self.sync(self.start)

    @property
    def now(self) -> float:
        return 100.0 + self.ticks * TICK

    def sync(self, joints: np.ndarray) -> None:
        """Judge the setpoints so far, then sync to measured joints [d], or to the start pose if these are refused."""
        if len(self.joints) > 1:
            self.judge.judge(np.array(self.joints), np.array(self.openings), self.counts)
        opening = self.rng.uniform(0.0, 0.05)
        try:
            self.filter.sync(joints, opening, self.now)
        except RlvlaError:
            self.counts.totals["syncs refused"] += 1
            joints = self.start
            self.filter.sync(joints, opening, self.now)
        hand = self.arm.config.hand
        self.joints, self.openings = [joints], [float(np.clip(opening, hand.closed, hand.open))]
        self.step = 0

    def run(self, commands: int) -> SafetyCounts:
        """Propose, tick, hold and sync at random."""
        rng, names, weights = self.rng, list(KINDS), list(KINDS.values())
        for kind in rng.choice(names, size=commands, p=weights):
            self.propose(str(kind))
            # Mostly in step with a policy's 5 Hz, sometimes much quicker than the arm can follow.
            for _ in range(int(rng.integers(0, 20)) if rng.random() < 0.4 else 20):
                self.tick()
            chance = rng.random()
            if chance < 0.05:
                self.filter.hold(self.now)
                self.counts.totals["holds"] += 1
            elif chance < 0.06:
                self.sync(self.filter.joints + rng.normal(size=self.arm.dof) * 0.01)
            elif chance < 0.07:
                self.sync(self.start + rng.normal(size=self.arm.dof) * 0.2)
        self.sync(self.start)
        return self.counts

    def tick(self) -> None:
        began = time.thread_time()
        setpoint = self.filter.tick()
        if self.ticks % 8 == 0:
            self.counts.tick_s.append(time.thread_time() - began)
        self.ticks += 1
        self.counts.totals["ticks"] += 1
        self.joints.append(setpoint.joints)
        self.openings.append(setpoint.opening)

    def propose(self, kind: str) -> None:
        """Propose a command of a kind, and check that a refused one changes nothing."""
        command, safety, counts = self.command(kind), self.filter, self.counts
        target, last, speeds = safety.target, safety.joints, safety.velocities
        began = time.thread_time()
        verdict = safety.propose(command, self.now)
        counts.propose_s.append(time.thread_time() - began)
        counts.totals["commands"] += 1
        counts.totals["accepted"] += verdict.accepted
        for note in verdict.interventions:
            (counts.vetoes if note.verdict == "veto" else counts.clamps)[note.code] += 1
        counts.totals["wrongly accepted"] += verdict.accepted and kind in MUST_REFUSE
        counts.beyond["step"] += self.judge.leaps(target, safety.target)
        if not verdict.accepted:
            same = np.array_equal(target, safety.target) and np.array_equal(last, safety.joints)
            counts.totals["changed by a veto"] += not (same and np.array_equal(speeds, safety.velocities))

    def command(self, kind: str) -> MotionCommand:
        """A command of a kind, from a source drawn at random."""
        rng = self.rng
        delta: Any = np.concatenate([rng.uniform(-0.04, 0.04, 3), rng.normal(size=3) * [0.03, 0.03, 0.15], [1.0]])
        delta[6] = rng.choice([-1.0, 1.0, rng.uniform(-1.5, 1.5)])
        self.step += int(rng.integers(1, 3))
        step, observed, issued = self.step, self.now - rng.uniform(0.0, 0.39), self.now - rng.uniform(0.0, 0.24)
        match kind:
            case "drive":
                if rng.random() < 0.05:
                    self.direction = rng.normal(size=6) * [0.03, 0.03, 0.03, 0.1, 0.1, 0.1]
                delta[:6] = self.direction
            case "large":
                delta[:6] *= rng.uniform(1.0, 30.0)
            case "huge":
                delta *= 10.0 ** rng.uniform(2, 307)
            case "nan":
                delta[rng.integers(7)] = np.nan
            case "infinite":
                delta[rng.integers(7)] = rng.choice([np.inf, -np.inf])
            case "shape":
                delta = [delta[:6], delta[None], np.zeros(0), np.zeros(8), np.float64(0.1)][rng.integers(5)]
            case "type":
                delta = [None, "move", delta.tolist(), delta.astype(str), delta.astype(object)][rng.integers(5)]
            case "old image":
                observed = self.now - rng.uniform(0.401, 100.0)
            case "old command":
                issued = self.now - rng.uniform(0.251, 100.0)
            case "future":
                issued = self.now + rng.uniform(0.006, 100.0)
            case "replay":
                # Both sources have used this number, or one above it, since neither has been restarted.
                self.filter.restart("policy")
                first = self.filter.propose(self._command("policy", step, delta, observed, issued), self.now)
                self.counts.totals["commands"] += 1
                self.counts.totals["accepted"] += first.accepted
                if not first.accepted:
                    observed = self.now - 1.0
                return self._command("policy", step - int(rng.integers(0, 5)), delta, observed, issued)
        return self._command(str(rng.choice(["policy", "teleop"])), step, delta, observed, issued)

    @staticmethod
    def _command(source: str, step: int, delta: Any, observed: float, issued: float) -> MotionCommand:
        return MotionCommand(source=source, step=step, delta=delta, observed_at=observed, issued_at=issued)


_STREAM: dict[str, Any] = {}


def stream(job: tuple[str, int, int]) -> SafetyCounts:
    """One stream of commands (arm, commands, seed), for a worker process."""
    name, commands, seed = job
    if name not in _STREAM:
        config = ArmConfig.from_yaml(ARMS / f"{name}.yaml")
        _STREAM[name] = ArmModel(robot(name).urdf().read_text(encoding="utf-8"), config), Judge(config)
    return Stream(*_STREAM[name], seed).run(commands)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--arm", choices=sorted(path.stem for path in ARMS.glob("*.yaml")), default="widowx250s")
    parser.add_argument("--commands", type=int, default=1_000_000)
    parser.add_argument("--sequences", type=int, default=100_000, help="random event sequences of the arbiter")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    began, total = time.perf_counter(), SafetyCounts()
    modes = mode_storm(given.sequences, given.seed)
    line = f"{given.sequences} event sequences, {modes['transitions']} transitions, {modes['unsafe']} unsafe"
    print(line, flush=True)
    jobs = [(given.arm, CHUNK, given.seed + i) for i in range(-(-given.commands // CHUNK))]
    with multiprocessing.get_context("spawn").Pool(given.processes) as pool:
        for done, counts in enumerate(pool.imap_unordered(stream, jobs), start=1):
            total.add(counts)
            if done % max(1, len(jobs) // 20) == 0:
                bad = sum(total.beyond.values())
                line = f"{total.totals['commands']:>9} commands  {total.totals['ticks']:>9} ticks  {bad} beyond"
                print(line, flush=True)
    metrics = {
        "benchmark": "safety",
        "arm": given.arm,
        **dict(total.totals),
        "vetoes": dict(total.vetoes.most_common()),
        "clamps": dict(total.clamps.most_common()),
        "outputs_beyond_a_limit": sum(total.beyond.values()),
        "beyond": {name: n for name, n in total.beyond.items() if n},
        "largest_fraction_of_limit": {name: round(value, 7) for name, value in sorted(total.fraction.items())},
        "event_sequences": given.sequences,
        "modes": dict(modes),
        "unsafe_transitions": modes["unsafe"],
        "propose_ms": {
            p: round(1e3 * float(np.quantile(total.propose_s, q)), 3) for p, q in (("p50", 0.5), ("p99", 0.99))
        },
        "tick_ms": {"p99": round(1e3 * float(np.quantile(total.tick_s, 0.99)), 4)},
        "minutes": round((time.perf_counter() - began) / 60, 2),
    }
    print(json.dumps(metrics), flush=True)
    bad = (sum(total.beyond.values()), modes["unsafe"])
    return int(any((*bad, total.totals["wrongly accepted"], total.totals["changed by a veto"])))


if __name__ == "__main__":
    sys.exit(main())
