"""The safety filter: proposed motions in, setpoints out; the arm always follows a checked plan that ends at rest.

A command becomes a goal, the goal becomes a plan, and only a plan that keeps every limit replaces the running one.
After a refused command, or without any, the arm finishes the running plan and comes to rest.
"""

import numpy as np

from rlvla_core.control.command import Intervention, MotionCommand, Setpoint, Verdict
from rlvla_core.control.command_sequence import CommandSequence, clamp_delta, clamped, vetoed
from rlvla_core.control.gripper import Gripper
from rlvla_core.control.kinematics import ArmModel
from rlvla_core.control.plan import JointState, Plan, Planner, Refused
from rlvla_core.control.workspace import Workspace
from rlvla_core.errors import RlvlaError
from rlvla_core.geometry.rotations import matrix_of_euler_xyz, matrix_of_rotation_vector, rotation_vector
from rlvla_core.geometry.transforms import pose_error

SYNC_BEYOND_MARGIN = 0.05
"""How far a measured joint may be beyond its limit with margin when the filter is synchronised, radians."""
SYNC_BEYOND_WALL = 0.01
"""How far the measured hand may be beyond a wall when the filter is synchronised, metres."""
MOVE_BACK_HINT = "move the arm back by hand or with its own tool, then enable again"
ROUNDING = 1e-6
"""Excess over the limits of one step that is allowed, metres and radians."""
ATTEMPTS = 3
"""How many times a step is tried in all, each time at half the length of the attempt before."""


class SafetyFilter:
    """Plans and checks the motions of one arm and its gripper. Use it from one thread only."""

    def __init__(self, arm: ArmModel, tick_s: float) -> None:
        """tick_s: time from one setpoint to the next, seconds."""
        self._arm = arm
        self._workspace = Workspace(arm)
        self._planner = Planner(arm, self._workspace, tick_s)
        self._gripper = Gripper(arm.config.hand, tick_s)
        self._sequence = CommandSequence(arm.config.freshness)
        self._plan: Plan | None = None

    def sync(self, joints: np.ndarray, opening: float, now: float) -> None:
        """Start from the measured joint angles [d] in radians and finger opening in metres, at rest, as commanded
        values.
        The step numbers of all sources are forgotten. now: seconds, on the clock of the commands' stamps.

        Raises RlvlaError for values that are not finite, and for an arm that is clearly outside its limits: no plan of
        this filter could lead back.
        """
        joints = np.array(joints, dtype=np.float64)
        if joints.shape != (self._arm.dof,) or not np.isfinite([*joints, opening, now]).all():
            raise RlvlaError(
                f"measured joints {joints.tolist()} and opening {opening}: need {self._arm.dof} finite angles"
            )
        beyond = np.maximum(self._arm.lower - joints, joints - self._arm.upper)
        if beyond.max() > SYNC_BEYOND_MARGIN:
            row = int(beyond.argmax())
            raise RlvlaError(
                f"joint `{self._arm.config.joints[row]}` is at {joints[row]:.3f} rad, outside "
                f"{self._arm.lower[row]:.3f} .. {self._arm.upper[row]:.3f}: {MOVE_BACK_HINT}"
            )
        distances = self._workspace.distances(self._arm.forward(joints))
        if distances.min() < -SYNC_BEYOND_WALL:
            wall = self._workspace.names[int(distances.argmin())]
            raise RlvlaError(f"the hand is {-1000 * distances.min():.0f} mm beyond {wall}: {MOVE_BACK_HINT}")
        self._gripper.sync(float(opening))
        self._sequence.restart()
        self._follow(Plan.stay(joints))
        self._state, self._row = JointState.at_rest(joints), 1
        self._target = self._arm.forward(joints)

    def restart(self, source: str) -> None:
        """Forget the step numbers of one source (`policy` or `teleop`), so that it may count from its start again."""
        self._sequence.restart(source)

    def propose(self, command: MotionCommand, now: float) -> Verdict:
        """Follow a command as far as it is safe; the verdict says what was changed, or why it was refused.

        now: seconds, on the clock of the command's stamps.
        """
        if self._plan is None:
            return Verdict(accepted=False, interventions=(vetoed("not_synced", (), "no measured joint angles yet"),))
        refusal = self._sequence.refusal(command, now)
        if refusal:
            return Verdict(accepted=False, interventions=(refusal,))
        delta, notes = clamp_delta(command.delta, self._arm.config.motion)
        wanted = self._moved(delta[:3], rotation_vector(matrix_of_euler_xyz(delta[3:6])))
        slid = self._workspace.slide(wanted, self._target)
        if slid is None:
            notes.append(vetoed("workspace", tuple(delta[:6]), "no room for the hand between the walls"))
            return Verdict(accepted=False, interventions=tuple(notes))
        pushed = slid[:3, 3] - wanted[:3, 3]
        if pushed.any():
            text = f"the goal was moved by {1000 * np.linalg.norm(pushed):.1f} mm, back inside the walls"
            notes.append(clamped("workspace", wanted[:3, 3], slid[:3, 3], text))
        if not self._go(pose_error(self._target, slid), notes):
            return Verdict(accepted=False, interventions=tuple(notes))
        self._sequence.accept(command)
        if not self._gripper.go(float(delta[6])):
            text = f"the fingers keep their direction for {self._arm.config.hand.dwell_s} s"
            notes.append(clamped("gripper_dwell", delta[6:], (self._gripper.command,), text))
        return Verdict(accepted=True, interventions=tuple(notes))

    def hold(self, now: float) -> None:
        """Come to rest as quickly as is safe: at once where the stop keeps every limit, else along the running plan."""
        self._gripper.stop()
        if self._plan is None or self._row >= len(self._plan):
            return
        stop = self._planner.stop(self._state)
        if isinstance(stop, Plan):
            self._follow(stop)
            self._target = self._arm.forward(stop.joints[-1])

    def tick(self) -> Setpoint:
        """Go one tick further along the plan; returns the setpoint. Raises RlvlaError before the first `sync`."""
        if self._plan is None:
            raise RlvlaError("tick before sync: give the filter the measured joint angles first")
        if self._row < len(self._plan):
            self._state = self._plan.state(self._row)
            self._row += 1
        return Setpoint(
            joints=self._state.joints,
            velocities=self._state.velocities,
            opening=self._gripper.tick(),
            moving=self.moving,
        )

    @property
    def target(self) -> np.ndarray:
        """Commanded tool pose [4, 4] in the base frame: where the plan ends, and what the next delta is applied to."""
        return self._target.copy()

    @property
    def joints(self) -> np.ndarray:
        """Commanded joint angles now [d], radians."""
        return self._state.joints.copy()

    @property
    def velocities(self) -> np.ndarray:
        """Commanded joint speeds now [d], radians per second."""
        return self._state.velocities.copy()

    @property
    def moving(self) -> bool:
        """Whether the arm or the fingers have not reached the end of their plan."""
        return self._gripper.moving or (self._plan is not None and self._row < len(self._plan))

    def _follow(self, plan: Plan) -> None:
        # Setpoints are rows of these arrays: who keeps a setpoint must not be able to change the plan.
        for array in (plan.joints, plan.velocities, plan.accelerations):
            array.flags.writeable = False
        self._plan, self._row = plan, 0

    def _moved(self, move: np.ndarray, turn: np.ndarray) -> np.ndarray:
        """The commanded pose after a translation and a rotation vector: p <- p + dp, R <- dR R."""
        pose = self._target.copy()
        pose[:3, 3] += move
        pose[:3, :3] = matrix_of_rotation_vector(turn) @ pose[:3, :3]
        return pose

    def _go(self, twist: np.ndarray, notes: list[Intervention]) -> bool:
        """Follow the plan to the commanded pose moved by `twist` [6], or by as much of it as can be planned."""
        assert self._plan is not None
        seed = self._plan.joints[-1]
        fraction = 1.0
        reason = Refused("no_plan", "")
        for _ in range(ATTEMPTS):
            pose = self._moved(fraction * twist[:3], fraction * twist[3:])
            goal, reached = self._arm.solve(pose, seed)
            slower = self._singularity_fraction(seed, goal)
            if 0.0 < slower < 1.0 and reason.code != "singularity":
                reason, fraction = Refused("singularity", "the arm comes near a singularity"), fraction * slower
                pose = self._moved(fraction * twist[:3], fraction * twist[3:])
                goal, reached = self._arm.solve(pose, seed)
            end = pose if reached else self._arm.forward(goal)
            taken = pose_error(self._target, end)
            plan = self._checked(goal, seed, slower, taken)
            if isinstance(plan, Plan):
                if fraction < 1.0:
                    notes.append(
                        clamped(reason.code, twist, fraction * twist, f"{reason.text}: {fraction:.0%} of the step")
                    )
                if not reached:
                    notes.append(clamped("reach", fraction * twist, taken, "the arm cannot reach the goal"))
                self._follow(plan)
                self._target = end
                return True
            reason, fraction = plan, 0.5 * fraction
        notes.append(vetoed(reason.code, tuple(twist), reason.text))
        return False

    def _checked(self, goal: np.ndarray, seed: np.ndarray, fraction: float, taken: np.ndarray) -> Plan | Refused:
        """The plan to joint angles [d] that move the commanded pose by `taken` [6]; `fraction` 0 means singular."""
        motion = self._arm.config.motion
        if fraction <= 0.0:
            return Refused("singularity", "the arm would come too near a singularity")
        # Sliding makes room for a turn, and the nearest reachable pose may lie aside: both count as part of the step.
        if np.linalg.norm(taken[:3]) > motion.step_length + ROUNDING:
            return Refused("step_length", f"the step would grow to {np.linalg.norm(taken[:3]):.3f} m")
        if np.linalg.norm(taken[3:]) > motion.step_turn + ROUNDING:
            return Refused("step_turn", f"the turn would grow to {np.linalg.norm(taken[3:]):.3f} rad")
        most = float(np.abs(goal - seed).max())
        if most > motion.joint_step:
            return Refused("joint_step", f"a joint would turn by {most:.2f} rad for one step of the hand")
        return self._planner.move(self._state, goal)

    def _singularity_fraction(self, seed: np.ndarray, goal: np.ndarray) -> float:
        """Fraction of a step that may be taken: 1 far from singularities and on the way out of one, 0 at the limit."""
        motion = self._arm.config.motion
        condition = self._arm.condition(goal)
        if condition <= motion.singularity_slow or condition <= self._arm.condition(seed):
            return 1.0
        room = motion.singularity_stop - motion.singularity_slow
        return max(0.0, (motion.singularity_stop - condition) / room)
