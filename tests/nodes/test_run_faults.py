"""`rlvla run` in real time with every node killed in turn: the rest stays up and says why, and the killed one returns.

One long test: starting the graph costs ten seconds, each fault two.
"""

import signal
import time
from pathlib import Path

import psutil
import pytest
from camera_files import save_images, save_lens
from rclpy.node import Node
from ros_graph import Graph, Process
from sensor_msgs.msg import JointState

from rlvla_core.policy.bundle import load_bundle, save_bundle
from rlvla_core.policy.deploy import DeploySpec
from rlvla_core.policy.openvla.presets import TINY_BASE
from rlvla_msgs.msg import ArbiterState, PolicyStep
from rlvla_msgs.srv import SetMode
from rlvla_nodes import topics
from rlvla_sim import WorldConfig
from rlvla_sim.robots import robot
from rlvla_sim.vec_env import env_spec


class Operator(Node):
    """Watches the graph and presses what a person would press."""

    def __init__(self, **kwargs) -> None:
        super().__init__("operator", **kwargs)
        self.state = ArbiterState()
        self.steps = 0
        self.speed = 0.0
        self.joints_at = 0.0
        self.create_subscription(ArbiterState, topics.ARBITER_STATE, self.on_state, topics.LATCHED)
        self.create_subscription(PolicyStep, topics.POLICY_STEP, self.on_step, topics.EVENTS)
        self.create_subscription(JointState, topics.JOINT_STATES, self.on_joints, topics.STREAM)
        self.set_mode = self.create_client(SetMode, topics.SET_MODE)

    def on_state(self, message: ArbiterState) -> None:
        self.state = message

    def on_step(self, _: PolicyStep) -> None:
        self.steps += 1

    def on_joints(self, message: JointState) -> None:
        self.speed = max(abs(v) for v in message.velocity)
        self.joints_at = time.monotonic()


class Faults:
    """The running graph and its operator."""

    def __init__(self, graph: Graph, run: Process) -> None:
        self.graph, self.run = graph, run
        self.operator = graph.make(Operator)

    def until(self, condition, timeout: float) -> float:
        began = time.monotonic()
        assert self.graph.until(condition, timeout), self.run.output
        return time.monotonic() - began

    def press(self, event: str) -> None:
        """Ask once; a node that comes back may not be there yet."""
        if self.operator.set_mode.service_is_ready():
            answer = self.operator.set_mode.call_async(SetMode.Request(event=event))
            self.graph.until(answer.done, 2)

    def acts(self, timeout: float = 40.0) -> None:
        before = self.operator.steps
        self.until(lambda: self.operator.steps >= before + 3, timeout)
        assert self.operator.state.mode == ArbiterState.POLICY

    def resume(self, timeout: float = 60.0) -> None:
        """Press what a person would press until the policy acts; a robot that still starts may hold or fail again."""
        end, before = time.monotonic() + timeout, self.operator.steps
        while not self.graph.until(lambda: self.operator.steps >= before + 5, 1.5):
            assert time.monotonic() < end, self.run.output
            mode = self.operator.state.mode
            if mode != ArbiterState.POLICY:
                self.press("clear_fault" if mode == ArbiterState.FAULT else "start")

    def kill(self, name: str) -> None:
        for process in psutil.Process(self.run.popen.pid).children(recursive=True):
            if name in process.cmdline():
                process.send_signal(signal.SIGKILL)
                return
        raise AssertionError(f"no process {name}")

    def others_run(self, but: str) -> None:
        for name in {"sim_robot_node", "arbiter_node", "policy_node", "trial_node"} - {but}:
            assert self.runs(name), f"{name} is gone: {self.run.output}"

    def runs(self, name: str) -> bool:
        return any(name in p.cmdline() for p in psutil.Process(self.run.popen.pid).children(recursive=True))


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    policy = load_bundle(TINY_BASE)
    folder = tmp_path / "policy"
    save_bundle(policy, folder, deploy=DeploySpec.from_env(env_spec(WorldConfig()), policy), provenance={"test": True})
    return folder


@pytest.mark.timeout(240, method="thread")
def test_every_node_may_be_killed_and_ctrl_c_ends_all_with_zero(graph: Graph, bundle: Path):
    size = ["--sim.image-width", "64", "--sim.image-height", "64"]
    run = graph.process("rlvla", "run", "--bundle", str(bundle), *size, "--instruction", "put carrot on plate")
    faults = Faults(graph, run)
    operator = faults.operator
    faults.acts(90)
    graph.spin(3.0)  # from then on the autostart leaves it to the people

    faults.kill("policy_node")
    assert faults.until(lambda: operator.state.mode == ArbiterState.HOLD, 3) <= 0.5
    assert "policy" in operator.state.reasons[-1]
    faults.others_run("policy_node")
    faults.until(lambda: "policy_node" in run.output and "killed by signal 9" in run.output, 3)
    faults.resume()

    faults.kill("arbiter_node")
    killed = time.monotonic()
    faults.until(lambda: operator.speed < 0.02 and operator.joints_at > killed + 0.2, 5)
    faults.others_run("arbiter_node")
    # A simulated arm may start by itself.
    faults.until(lambda: run.output.count("READY -> POLICY (start: autostart)") == 2, 40)
    faults.acts()
    graph.spin(3.0)

    faults.kill("sim_robot_node")
    stopped = (ArbiterState.HOLD, ArbiterState.FAULT)  # camera and joint states end together
    assert faults.until(lambda: operator.state.mode in stopped, 3) <= 0.7
    assert "camera" in operator.state.reasons[-1] or "joint_states" in operator.state.reasons[-1]
    faults.others_run("sim_robot_node")
    faults.resume()

    faults.kill("trial_node")
    faults.until(lambda: run.output.count("killed by signal") == 4, 5)
    faults.acts(5)
    faults.until(lambda: faults.runs("trial_node"), 5)

    children = psutil.Process(run.popen.pid).children(recursive=True)
    run.signal(signal.SIGINT)
    time.sleep(0.05)
    run.signal(signal.SIGINT)
    assert run.wait(15) == 0, run.output
    assert "Traceback" not in run.output
    psutil.wait_procs(children, timeout=2)
    assert not [child for child in children if child.is_running()]


@pytest.mark.timeout(180, method="thread")
def test_camera_and_teleop_may_be_killed_too(graph: Graph, bundle: Path, tmp_path: Path):
    camera = robot("widowx250s").seen("whole", 64, 64)
    save_images(tmp_path / "images", 1, (64, 64))
    lens = save_lens(tmp_path, (64, 64), (camera.fx, camera.fy, camera.cx, camera.cy))
    source = ["--camera", "file", "--camera-source", str(tmp_path / "images")]
    source += ["--camera-info", str(lens), "--teleop", "gamepad"]
    run = graph.process("rlvla", "run", "--bundle", str(bundle), *source)
    faults = Faults(graph, run)
    faults.acts(90)
    graph.spin(3.0)

    faults.kill("camera_node")
    assert faults.until(lambda: faults.operator.state.mode == ArbiterState.HOLD, 3) <= 0.7
    faults.others_run("camera_node")
    faults.resume()

    faults.kill("teleop_node")
    faults.until(lambda: run.output.count("killed by signal") == 2, 5)
    faults.until(lambda: faults.runs("teleop_node"), 5)
    faults.acts(5)
