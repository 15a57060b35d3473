"""Compares a policy in the ROS graph with the same policy in training's process, on the same episodes.

    python benchmarks/graph_parity.py runs/demo/policy [--episodes 64] [--max-steps 80] [--seed 0]

In-process: `rlvla_core.evaluation.evaluate`, whose controller jumps to each target. Through the graph: sim_robot_node,
arbiter_node, policy_node and trial_node as processes in lock-step, where the safety filter plans every motion. Every
image of the graph is also given to the policy in this process: its tokens must be those that the graph acted on.
Ends with one line of JSON; exit code 1 where a token differs or the paired test finds a difference (p < 0.05).
"""

import argparse
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from running_graph import Client, running

from rlvla_core.errors import RlvlaError
from rlvla_core.evaluation import EpisodeList, EvaluationResult, evaluate
from rlvla_core.evaluation.report import compare
from rlvla_core.policy.bundle import load_bundle, load_deploy
from rlvla_nodes.graph import GraphSettings, SimSettings
from rlvla_nodes.robots import ROBOTS
from rlvla_sim import WorldConfig, make_env
from rlvla_sim.robots import robot

START_TIMEOUT_S = 180.0


class Trials:
    """Runs trials, and keeps every image and every decision of them."""

    def __init__(self, client: Client) -> None:
        from lifecycle_msgs.srv import GetState
        from rclpy.action import ActionClient
        from sensor_msgs.msg import Image

        from rlvla_msgs.action import RunTrial
        from rlvla_msgs.msg import Intervention, PolicyStep
        from rlvla_nodes import topics

        self._client, self._goal, self._ask = client, RunTrial.Goal, GetState.Request
        self.images: dict[tuple[int, int], Any] = {}
        self.steps: list[Any] = []
        self.changes: Counter[str] = Counter()
        node = client.node
        node.create_subscription(Image, topics.IMAGE, self._on_image, topics.EVENTS)
        node.create_subscription(PolicyStep, topics.POLICY_STEP, self.steps.append, topics.EVENTS)
        node.create_subscription(Intervention, topics.INTERVENTIONS, self._on_change, topics.EVENTS)
        self._trials = ActionClient(node, RunTrial, topics.RUN_TRIAL)
        self._policy = node.create_client(GetState, topics.POLICY_LIFECYCLE)

    def _on_image(self, message: Any) -> None:
        self.images[message.header.stamp.sec, message.header.stamp.nanosec] = message

    def _on_change(self, message: Any) -> None:
        self.changes[f"{message.code} {message.verdict}"] += 1

    def wait_for_the_graph(self) -> None:
        """Wait until trials are served and the policy is active."""
        self._client.spin(self._trials.server_is_ready, START_TIMEOUT_S, "starting the graph")
        self._client.spin(self._policy.service_is_ready, START_TIMEOUT_S, "starting the policy")
        end = time.monotonic() + START_TIMEOUT_S
        label = ""
        while label != "active" and time.monotonic() < end:
            answer = self._policy.call_async(self._ask())
            self._client.spin(answer.done, START_TIMEOUT_S, "asking the policy for its state")
            label = answer.result().current_state.label
        if label != "active":
            raise RlvlaError(f"the policy is {label}, not active")

    def play(self, episode_id: int, max_steps: int) -> Any:
        """Run one trial and return its result. Raises RlvlaError if it was refused or broke off."""
        goal = self._goal(episode_id=episode_id, policy="graph", max_steps=max_steps, timeout=120.0)
        sent = self._trials.send_goal_async(goal)
        self._client.spin(sent.done, 20.0, "sending a trial")
        if not sent.result().accepted:
            raise RlvlaError(f"the trial of episode {episode_id} was refused")
        finished = sent.result().get_result_async()
        self._client.spin(finished.done, 180.0, f"the trial of episode {episode_id}")
        result = finished.result().result
        if result.ended_by != "steps":
            raise RlvlaError(f"the trial of episode {episode_id} ended by {result.ended_by}")
        self._client.spin(lambda: len(self.steps) >= max_steps, 10.0, "hearing of the last step")
        return result


def wrong_tokens(trials: Trials, policy: Any) -> tuple[int, int]:
    """Count (decisions whose tokens differ from the policy's in this process, all decisions), and forget them."""
    from rlvla_nodes.convert import image_of

    wrong = 0
    for step in trials.steps:
        message = trials.images.get((step.observation_stamp.sec, step.observation_stamp.nanosec))
        if message is None:
            raise RlvlaError(f"the image of step {step.step} did not arrive here")
        image = torch.from_numpy(np.ascontiguousarray(image_of(message))).unsqueeze(0)
        tokens = policy.act(image, [step.instruction], temperature=0.0).tokens[0]
        wrong += tokens.tolist() != list(step.tokens)
    looked_at = len(trials.steps)
    trials.steps.clear()
    trials.images.clear()
    return wrong, looked_at


def through_the_graph(
    settings: GraphSettings, policy: Any, episodes: EpisodeList, console: Console
) -> tuple[EvaluationResult, dict[str, Any]]:
    """Play the episodes through the graph by RunTrial in lock-step; returns the result and further metrics."""
    began = time.monotonic()
    results, wrong, decisions = [], 0, 0
    with running(settings, console) as client:
        trials = Trials(client)
        trials.wait_for_the_graph()
        for i, episode_id in enumerate(episodes.ids):
            results.append(trials.play(episode_id, settings.sim.max_steps))
            more = wrong_tokens(trials, policy)
            wrong, decisions = wrong + more[0], decisions + more[1]
            successes = sum(result.success for result in results)
            console.print(f"graph: {i + 1}/{len(episodes)} episodes, {successes} successes, {wrong} wrong tokens")
    result = EvaluationResult(
        episodes=episodes,
        temperature=0.0,
        seed=0,
        success_at_end=np.array([result.success for result in results]),
        success_once=np.array([result.success_once for result in results]),
        returns=np.zeros(len(episodes)),
        lengths=np.array([result.steps for result in results]),
        seconds=time.monotonic() - began,
    )
    return result, {"decisions": decisions, "wrong_tokens": wrong, "interventions": dict(trials.changes)}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bundle", type=Path, help="policy bundle, e.g. runs/demo/policy")
    parser.add_argument("--episodes", type=int, default=64)
    parser.add_argument("--max-steps", type=int, default=80, help="control steps of an episode")
    parser.add_argument(
        "--table-penetration-m",
        type=float,
        default=0.03,
        help="depth to which the hand may be commanded into the table, metres; 0: as on a real arm",
    )
    parser.add_argument("--seed", type=int, default=0, help="draws the episodes")
    given = parser.parse_args()
    console = Console()
    torch.set_num_threads(1)
    try:
        deploy, policy = load_deploy(given.bundle), load_bundle(given.bundle).eval()
        view = robot(deploy.robot).view_of(deploy.camera)
        size: dict[str, Any] = {"image_width": deploy.camera.width, "image_height": deploy.camera.height, "view": view}
        env = make_env(WorldConfig(robot=deploy.robot, max_steps=given.max_steps, **size), min(32, given.episodes))
        episodes = EpisodeList.draw(env.spec, given.episodes, seed=given.seed)
        inside = evaluate(policy, env, episodes, temperature=0.0)
        env.close()
        console.print(f"in-process: {int(inside.success_at_end.sum())}/{len(episodes)} successes at the end")
        settings = GraphSettings(
            bundle=str(given.bundle),
            robot=next(name for name, entry in ROBOTS.items() if entry.simulated and entry.sim_twin == deploy.robot),
            autostart="none",
            sim=SimSettings(
                lock_step=True,
                max_steps=given.max_steps,
                table_penetration_m=given.table_penetration_m,
                **size,
            ),
        )
        graph, metrics = through_the_graph(settings, policy, episodes, console)
    except RlvlaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    comparison = compare(inside, graph, ("in-process", "ROS graph"))
    console.print(comparison.to_table())
    metrics |= {"table_penetration_m": given.table_penetration_m, "comparison": comparison.to_json()}
    print(json.dumps({"benchmark": "graph_parity", **metrics}), flush=True)
    significant = any(row.p_value < 0.05 for row in comparison.metrics)
    return int(bool(metrics["wrong_tokens"]) or significant)


if __name__ == "__main__":
    sys.exit(main())
