"""Runs one trial as an action: put the scene into its start, let the policy work, judge the result.

For the simulated robot, whose services reset and judge. A goal is refused while another trial runs; cancelling holds
the arm; a takeover, a fault or an e-stop ends the trial, because the policy's own success can no longer be told.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from builtin_interfaces.msg import Time
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.task import Future

from rlvla_core.errors import RlvlaError
from rlvla_msgs.action import RunTrial
from rlvla_msgs.msg import ArbiterState
from rlvla_msgs.srv import EpisodeResult, ResetEpisode, SetMode
from rlvla_nodes import topics
from rlvla_nodes.parameters import declare_parameters
from rlvla_nodes.process import run_node

STOPPED = (ArbiterState.DISABLED, ArbiterState.HOLD, ArbiterState.FAULT, ArbiterState.ESTOP)
"""Modes that end a trial once it has begun."""


@dataclass(frozen=True, kw_only=True)
class TrialParameters:
    """Parameters of trial_node."""

    poll_hz: float = 50.0
    """How often the node asks for the episode's result, times a second."""
    answer_timeout_s: float = 30.0
    """Longest wait for a service of another node, seconds; building a simulated episode takes a while."""


class TrialNode(Node):
    """Serves the action RunTrial."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("trial_node", **kwargs)
        self.given = declare_parameters(self, TrialParameters)
        self._state: ArbiterState | None = None
        self._running = False
        self.create_subscription(ArbiterState, topics.ARBITER_STATE, self._on_state, topics.LATCHED)
        self._set_mode = self.create_client(SetMode, topics.SET_MODE)
        self._reset = self.create_client(ResetEpisode, topics.RESET_EPISODE)
        self._result = self.create_client(EpisodeResult, topics.EPISODE_RESULT)
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._server = ActionServer(
            self,
            RunTrial,
            topics.RUN_TRIAL,
            execute_callback=self._execute,
            goal_callback=self._on_goal,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
        )

    def _on_state(self, message: ArbiterState) -> None:
        self._state = message

    def _on_goal(self, goal: RunTrial.Goal) -> GoalResponse:
        if self._running or goal.max_steps < 1 or not goal.timeout > 0:
            why = "another trial runs" if self._running else "max_steps and timeout must be positive"
            self.get_logger().error(f"trial of episode {goal.episode_id} refused: {why}")
            return GoalResponse.REJECT
        self._running = True
        return GoalResponse.ACCEPT

    async def _execute(self, handle: ServerGoalHandle) -> RunTrial.Result:
        goal = handle.request
        began = time.monotonic()
        outcome = RunTrial.Result(episode_id=goal.episode_id, policy=goal.policy)
        try:
            await self._begin(goal)
            outcome.ended_by, status = await self._watch(handle, began)
            if outcome.ended_by != "intervention":  # whoever has taken over keeps the arm
                await self._mode("hold")
            outcome.success, outcome.success_once = status.success, status.success_once
            outcome.steps = status.steps
        except RlvlaError as error:
            outcome.ended_by = f"fault: {error}"
            self.get_logger().error(f"trial of episode {goal.episode_id}: {error}")
        finally:
            self._running = False
        outcome.seconds = time.monotonic() - began
        if outcome.ended_by == "cancelled":
            handle.canceled()
        elif outcome.ended_by.startswith("fault"):
            handle.abort()
        else:
            handle.succeed()
        return outcome

    async def _begin(self, goal: RunTrial.Goal) -> None:
        """Arm still, scene in its start, arbiter where the arm is, policy on."""
        await self._mode("disable")
        answer = await self._call(self._reset, ResetEpisode.Request(episode_id=goal.episode_id), topics.RESET_EPISODE)
        if not answer.success:
            raise RlvlaError(answer.message)
        deadline = time.monotonic() + self.given.answer_timeout_s
        while True:  # until the arbiter has heard where the arm is since the reset
            try:
                await self._mode("enable", answer.stamp)
                break
            except RlvlaError:
                if time.monotonic() > deadline:
                    raise
                await self._sleep(1.0 / self.given.poll_hz)
        await self._mode("start")

    async def _watch(self, handle: ServerGoalHandle, began: float) -> tuple[str, EpisodeResult.Response]:
        """Wait for the trial's end; returns why it ended and how the episode stands."""
        goal = handle.request
        seen = 0
        while True:
            status = await self._call(self._result, EpisodeResult.Request(), topics.EPISODE_RESULT)
            mode = ArbiterState.DISABLED if self._state is None else self._state.mode
            if status.steps != seen:
                seen = status.steps
                handle.publish_feedback(RunTrial.Feedback(step=status.steps, mode=mode))
            if status.steps >= goal.max_steps:
                return "steps", status
            if handle.is_cancel_requested:
                return "cancelled", status
            if mode == ArbiterState.TELEOP:
                return "intervention", status
            if mode in STOPPED and status.steps:
                reason = self._state.reasons[-1] if self._state and self._state.reasons else "no reason given"
                raise RlvlaError(f"the arbiter has stopped the arm ({reason})")
            if time.monotonic() - began > goal.timeout:
                return "timeout", status
            await self._sleep(1.0 / self.given.poll_hz)

    async def _mode(self, event: str, newer_than: Time | None = None) -> None:
        request = SetMode.Request(event=event, reason="trial", newer_than=newer_than or Time())
        answer = await self._call(self._set_mode, request, topics.SET_MODE)
        if not answer.success:
            raise RlvlaError(f"the arbiter refused `{event}`: {answer.message}")

    async def _call(self, client: Any, request: Any, name: str) -> Any:
        """Call a service and return its answer. Raises RlvlaError if none comes in time."""
        deadline = time.monotonic() + self.given.answer_timeout_s
        while not client.service_is_ready():
            if time.monotonic() > deadline:
                raise RlvlaError(f"nobody offers the service {name}: start the rest of the graph")
            await self._sleep(1.0 / self.given.poll_hz)
        answer = client.call_async(request)
        late = self.create_timer(self.given.answer_timeout_s, answer.cancel, clock=self._steady)
        try:
            await answer
        finally:
            self.destroy_timer(late)
        if answer.cancelled() or answer.result() is None:
            raise RlvlaError(f"the service {name} did not answer within {self.given.answer_timeout_s:g} s")
        return answer.result()

    async def _sleep(self, seconds: float) -> None:
        done: Future = Future()
        timer = self.create_timer(seconds, lambda: done.set_result(None), clock=self._steady)
        try:
            await done
        finally:
            self.destroy_timer(timer)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the node; returns the exit code of the process."""
    return run_node(TrialNode, arguments)


if __name__ == "__main__":
    sys.exit(main())
