"""How policy_node starts, and what it refuses: bundles that are not for this robot, rate or camera."""

from pathlib import Path
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from lifecycle_msgs.srv import GetState
from policy_bench import FAILURE, SUCCESS, PolicyBench
from ros_graph import Graph
from small_bundle import SIDE, images, save_small_bundle

from rlvla_core.errors import RlvlaError
from rlvla_msgs.msg import ArbiterState
from rlvla_nodes import topics
from rlvla_nodes.policy_node import PolicyNode


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "policy"
    save_small_bundle(path)
    return path


@pytest.fixture
def bench(graph: Graph) -> PolicyBench:
    return PolicyBench(graph)


REFUSED: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"bundle": ""}, {}, "no bundle: set the parameter `bundle`"),
    ({"bundle": "absent/policy"}, {}, "no policy bundle at absent/policy"),
    ({"robot": "panda"}, {}, "trained with robot widowx250s, here it is panda"),
    ({"control_hz": 10.0}, {}, "trained with control rate in Hz 5.0, here it is 10.0"),
    ({"device": "gpu"}, {}, "on gpu: "),
    ({}, {"fx": 1.05}, "sees less than the bundle was trained with"),
    ({}, {"fy": 0.9}, "gives 64x58 pixels of what the bundle was trained with, it needs 64x64"),
    ({}, {"cx": 1.05}, "sees less than the bundle was trained with"),
    ({}, {"fx": 0.0}, "look at its camera_info"),
    ({}, {"width": SIDE // 2, "height": SIDE // 2}, "gives 32x32 pixels of what the bundle was trained with"),
]


@pytest.mark.parametrize(("parameters", "lens", "line"), REFUSED)
def test_another_robot_rate_or_camera_is_refused_in_one_line(bench, bundle, parameters, lens, line):
    policy = bench.make(**{"bundle": bundle, **parameters})
    assert policy.trigger_configure() == FAILURE
    if not parameters and lens:
        assert "no camera yet" in bench.line()
    bench.lens(**lens)
    assert policy.trigger_configure() == FAILURE
    said = bench.line()
    assert line in said and "\n" not in said and bench.status.level == DiagnosticStatus.ERROR
    if lens:
        bench.lens(640, 480)
        assert policy.trigger_configure() == SUCCESS
        assert bench.line() == "inactive"


def test_bundles_of_other_actions_and_damaged_ones_are_refused(bench, tmp_path):
    save_small_bundle(tmp_path / "joints", action_space="joints")
    policy = bench.make(tmp_path / "joints")
    bench.lens()
    assert policy.trigger_configure() == FAILURE
    assert "trained with action space joints" in bench.line()
    bench.graph.remove(policy)

    save_small_bundle(tmp_path / "damaged")
    with (tmp_path / "damaged" / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"?")
    policy = bench.make(tmp_path / "damaged")
    bench.lens()
    assert policy.trigger_configure() == FAILURE
    assert "is damaged" in bench.line()


def test_wrong_parameters_are_refused(graph):
    for wrong, line in (({"control_hz": 0.0}, "control_hz"), ({"temperature": -1.0}, "temperature")):
        with pytest.raises(RlvlaError, match=line):
            graph.make(PolicyNode, autostart=False, **wrong)


def test_autostart_waits_for_the_camera_and_then_acts(bench, bundle):
    policy = bench.make(bundle, autostart=True)
    states = bench.node.create_client(GetState, topics.POLICY_LIFECYCLE)
    bench.graph.spin(0.7)
    assert "waiting for a camera" in bench.line()
    bench.lens()
    assert bench.graph.until(lambda: policy._active)
    answer = states.call_async(GetState.Request())
    assert bench.graph.until(answer.done) and answer.result().current_state.label == "active"
    bench.mode(ArbiterState.POLICY)
    bench.publish(bench.message(images(1)[0]))
    assert bench.answers(1).step == 1


def test_autostart_with_another_robot_or_camera_ends_the_process_with_its_line(bench, bundle):
    def start(*parameters: str):
        given = [word for parameter in (f"bundle:={bundle}", *parameters) for word in ("-p", parameter)]
        return bench.graph.process("rlvla_nodes", "policy_node", "--ros-args", *given)

    arm, camera = start("robot:=panda"), start()
    assert arm.wait(30) == 1
    assert [line for line in arm.output.splitlines() if line] == [
        "error: the policy was trained with robot widowx250s, here it is panda: "
        "change that, or use a policy that was trained with it"
    ]
    bench.make(bundle)
    other = bench.lens(fx=1.5)
    bench.node.create_timer(0.2, lambda: bench.infos.publish(other))
    assert bench.graph.until(lambda: not camera.runs, 30), camera.output
    assert camera.wait() == 1
    assert camera.output.splitlines()[-1].startswith("error: the camera sees less than the bundle")
    assert "Traceback" not in camera.output
