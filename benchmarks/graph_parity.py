"""Does a policy do in the ROS graph what it does in training's world? The same episodes, once each way.

    python benchmarks/graph_parity.py runs/demo/policy [--episodes 64] [--max-steps 80] [--seed 0]

In-process: `rlvla_core.evaluation.evaluate`, whose controller jumps to each target. Through the graph: sim_robot_node,
arbiter_node, policy_node and trial_node as processes in lock-step, where the safety filter plans every motion. Every
picture of the graph is also given to the policy in this process: its tokens must be those that the graph acted on.
Ends with one line of JSON; exit code 1 where a token differs or the paired test finds a difference (p < 0.05).
"""

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from rlvla_core.errors import RlvlaError
from rlvla_core.evaluation import EpisodeList, EvaluationResult, evaluate
from rlvla_core.evaluation.report import compare
from rlvla_core.policy.bundle import load_bundle, load_deploy
from rlvla_core.policy.deploy import DeploySpec
from rlvla_nodes.graph import GraphSettings, describe
from rlvla_nodes.supervisor import Supervisor
from rlvla_sim import WorldConfig, make_env

ROBOTS = {"widowx250s": "sim", "panda": "sim_panda"}
START_TIMEOUT_S = 180.0


class Client:
    """Runs trials and keeps every picture and every decision of them."""

    def __init__(self) -> None:
        import rclpy
        from rclpy.action import ActionClient
        from rclpy.node import Node
        from sensor_msgs.msg import Image

        from rlvla_msgs.action import RunTrial
        from rlvla_msgs.msg import PolicyStep
        from rlvla_nodes import topics

        rclpy.init()
        self._rclpy = rclpy
        self.node = Node("graph_parity")
        self.pictures: dict[tuple[int, int], Any] = {}
        self.steps: list[Any] = []
        self.node.create_subscription(Image, topics.IMAGE, self._on_picture, topics.EVENTS)
        self.node.create_subscription(PolicyStep, topics.POLICY_STEP, self.steps.append, topics.EVENTS)
        self.trials = ActionClient(self.node, RunTrial, topics.RUN_TRIAL)
        self._goal = RunTrial.Goal

    def _on_picture(self, message: Any) -> None:
        self.pictures[message.header.stamp.sec, message.header.stamp.nanosec] = message

    def wait(self, done: Any, timeout: float, what: str) -> None:
        """Spin until `done()`. Raises RlvlaError when that takes too long."""
        end = time.monotonic() + timeout
        while not done():
            if time.monotonic() > end:
                raise RlvlaError(f"{what} took longer than {timeout:g} s")
            self._rclpy.spin_once(self.node, timeout_sec=0.05)

    def trial(self, episode_id: int, max_steps: int) -> Any:
        """The result of one trial. Raises RlvlaError for one that was refused or broke off."""
        goal = self._goal(episode_id=episode_id, policy="graph", max_steps=max_steps, timeout=120.0)
        sent = self.trials.send_goal_async(goal)
        self.wait(sent.done, 20.0, "sending a trial")
        if not sent.result().accepted:
            raise RlvlaError(f"the trial of episode {episode_id} was refused")
        finished = sent.result().get_result_async()
        self.wait(finished.done, 180.0, f"the trial of episode {episode_id}")
        result = finished.result().result
        if result.ended_by != "steps":
            raise RlvlaError(f"the trial of episode {episode_id} ended by {result.ended_by}")
        return result

    def close(self) -> None:
        self.node.destroy_node()
        self._rclpy.try_shutdown()


def wrong_tokens(client: Client, policy: Any) -> tuple[int, int]:
    """(decisions whose tokens differ from the policy's here, decisions looked at); forgets them."""
    from rlvla_nodes.convert import picture_of

    wrong = 0
    for step in client.steps:
        message = client.pictures.get((step.observation_stamp.sec, step.observation_stamp.nanosec))
        if message is None:
            raise RlvlaError(f"the picture of step {step.step} did not arrive here")
        image = torch.from_numpy(np.ascontiguousarray(picture_of(message))).unsqueeze(0)
        tokens = policy.act(image, [step.instruction], temperature=0.0).tokens[0]
        wrong += tokens.tolist() != list(step.tokens)
    looked_at = len(client.steps)
    client.steps.clear()
    client.pictures.clear()
    return wrong, looked_at


def through_the_graph(
    bundle: Path, policy: Any, deploy: DeploySpec, episodes: EpisodeList, max_steps: int, console: Console
) -> tuple[EvaluationResult, dict[str, int]]:
    """Play the episodes by RunTrial in lock-step."""
    settings = GraphSettings(
        bundle=str(bundle),
        robot=ROBOTS[deploy.robot],
        lock_step=True,
        autostart="none",
        max_steps=max_steps,
        image_width=deploy.camera.width,
        image_height=deploy.camera.height,
    )
    specs = describe(settings)
    os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
    os.environ.update(specs[0].environment)
    began = time.monotonic()
    results, wrong, decisions = [], 0, 0
    with tempfile.TemporaryDirectory(prefix="rlvla-parity-") as folder:
        supervisor = Supervisor(specs, Path(folder), lambda line: console.print(line, markup=False, style="dim"))
        watcher = threading.Thread(target=supervisor.run, daemon=True)
        watcher.start()
        client = Client()
        try:
            client.wait(client.trials.server_is_ready, START_TIMEOUT_S, "starting the graph")
            client.wait(lambda: ready(client), START_TIMEOUT_S, "activating the policy")
            for i, episode_id in enumerate(episodes.ids):
                results.append(client.trial(episode_id, max_steps))
                client.wait(lambda: len(client.steps) >= max_steps, 10.0, "hearing of the last step")
                more = wrong_tokens(client, policy)
                wrong, decisions = wrong + more[0], decisions + more[1]
                successes = sum(result.success for result in results)
                console.print(f"graph: {i + 1}/{len(episodes)} episodes, {successes} successes, {wrong} wrong tokens")
        finally:
            client.close()
            supervisor.stop()
            watcher.join(20.0)
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
    return result, {"decisions": decisions, "wrong_tokens": wrong}


def ready(client: Client) -> bool:
    """Whether the policy node is active, as its command publisher is heard of by the graph only then."""
    from lifecycle_msgs.srv import GetState

    from rlvla_nodes import topics

    asked = client.node.create_client(GetState, topics.POLICY_LIFECYCLE)
    try:
        if not asked.wait_for_service(timeout_sec=1.0):
            return False
        answer = asked.call_async(GetState.Request())
        end = time.monotonic() + 2.0
        while not answer.done() and time.monotonic() < end:
            client._rclpy.spin_once(client.node, timeout_sec=0.05)
        return answer.done() and answer.result().current_state.label == "active"
    finally:
        client.node.destroy_client(asked)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bundle", type=Path, help="policy bundle, e.g. runs/demo/policy")
    parser.add_argument("--episodes", type=int, default=64)
    parser.add_argument("--max-steps", type=int, default=80, help="control steps of an episode")
    parser.add_argument("--seed", type=int, default=0, help="draws the episodes")
    given = parser.parse_args()
    console = Console()
    torch.set_num_threads(1)
    try:
        deploy, policy = load_deploy(given.bundle), load_bundle(given.bundle).eval()
        world = WorldConfig(
            robot=deploy.robot,
            image_width=deploy.camera.width,
            image_height=deploy.camera.height,
            max_steps=given.max_steps,
        )
        env = make_env(world, min(32, given.episodes))
        episodes = EpisodeList.draw(env.spec, given.episodes, seed=given.seed)
        inside = evaluate(policy, env, episodes, temperature=0.0)
        env.close()
        console.print(f"in-process: {int(inside.success_at_end.sum())}/{len(episodes)} successes at the end")
        graph, tokens = through_the_graph(given.bundle, policy, deploy, episodes, given.max_steps, console)
    except RlvlaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    comparison = compare(inside, graph, ("in-process", "ROS graph"))
    console.print(comparison.to_table())
    figures = comparison.to_json()
    print(json.dumps({"benchmark": "graph_parity", **tokens, "comparison": figures}), flush=True)
    significant = any(row.p_value < 0.05 for row in comparison.metrics)
    return int(bool(tokens["wrong_tokens"]) or significant)


if __name__ == "__main__":
    sys.exit(main())
