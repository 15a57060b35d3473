"""When policy_node answers in real time: the newest image, at the control rate, and at a start only a fresh one."""

import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from policy_bench import PolicyBench
from ros_graph import Graph
from small_bundle import images, save_small_bundle

from rlvla_msgs.msg import ArbiterState
from rlvla_nodes.convert import to_seconds
from rlvla_nodes.pacing import PeriodicGate

PERIOD = 0.2


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "policy"
    save_small_bundle(path)
    return path


@pytest.fixture
def bench(graph: Graph, bundle: Path) -> PolicyBench:
    bench = PolicyBench(graph)
    bench.active(bundle)
    bench.mode(ArbiterState.POLICY)
    return bench


@pytest.mark.parametrize("hz", [30.0, 10.0, 7.0, 5.0])
def test_it_answers_at_the_control_rate_whatever_the_cameras(bench, hz):
    image, sent = images(1)[0], []
    timer = bench.node.create_timer(1.0 / hz, lambda: sent.append(bench.publish(bench.message(image))))
    bench.graph.spin(3.1)
    timer.cancel()
    rate = (len(bench.heard_at) - 1) / (bench.heard_at[-1] - bench.heard_at[0])
    gaps = [b - a for a, b in pairwise(bench.heard_at)]
    print(f"camera {hz:g} Hz: {rate:.2f} answers a second, gaps {1e3 * min(gaps):.0f} .. {1e3 * max(gaps):.0f} ms")
    assert rate == pytest.approx(1.0 / PERIOD, rel=0.1)
    assert len(bench.commands) <= 3.1 / PERIOD + 1.5
    stamps = [to_seconds(command.observation_stamp) for command in bench.commands]
    assert stamps == sorted(set(stamps)), "no image twice, none out of order"
    assert [command.step for command in bench.commands] == list(range(1, len(stamps) + 1))
    for command in bench.commands:
        assert 0 <= to_seconds(command.header.stamp) - to_seconds(command.observation_stamp) < 1.0 / hz + 0.05


def test_many_images_before_the_turn_get_one_answer_to_the_newest(bench):
    burst = images(8, seed=1)
    bench.publish(bench.message(images(1)[0]))
    first = bench.answers(1)
    bench.state_timer.cancel()  # from here on nothing but the burst comes to the node
    sent = [bench.publish(bench.message(image)) for image in burst]
    second = bench.answers(2)
    assert second.observation_stamp == sent[-1].header.stamp
    waited = to_seconds(second.header.stamp) - to_seconds(first.header.stamp)
    assert waited > 0.5 * PERIOD, "not before its turn"
    bench.graph.spin(2 * PERIOD)
    bench.answers(2)


def test_a_start_is_answered_only_from_a_fresh_image(bench):
    now = time.time()
    for i, (stamp, line) in enumerate(((now - 1.0, "1."), (0.0, "s old"), (now + 10.0, "is -"))):
        bench.mode(ArbiterState.POLICY, epoch=10 + i)
        bench.show(bench.message(images(1)[0], stamp=stamp))
        assert "a start needs one of the last 0.2 s" in bench.line() and line in bench.line()
    for epoch in (20, 21):
        bench.mode(ArbiterState.HOLD)
        old = bench.show(bench.message(images(1)[0]))
        bench.graph.spin(1.2 * PERIOD)
        bench.mode(ArbiterState.POLICY, epoch=epoch)
        fresh = bench.show(bench.message(images(1)[0]))
        answer = bench.answers(epoch - 19)
        assert (answer.epoch, answer.step) == (epoch, epoch - 19)
        assert answer.observation_stamp == fresh.header.stamp != old.header.stamp
    assert bench.line() == "acting"


def turns(times: np.ndarray, hz: float = 5.0) -> list[float]:
    """When turns are taken, if images come at these times and nobody waits otherwise."""
    gate, taken = PeriodicGate(hz), []
    gate.restart(times[0])
    for now in times:
        if gate.due(now):
            gate.take(now)
            taken.append(now)
    return taken


@pytest.mark.parametrize("seed", range(5))
def test_jitter_costs_no_turn_and_gives_none_away(seed):
    rng = np.random.default_rng(seed)
    camera = np.arange(500) * PERIOD + rng.uniform(-0.02, 0.02, 500)
    assert len(turns(camera)) == 500
    fast = np.sort(rng.uniform(0, 100, 6000))
    taken = turns(fast)
    assert len(taken) == pytest.approx(500, rel=0.02)
    assert min(b - a for a, b in pairwise(taken)) >= 0.5 * PERIOD


def test_a_pause_is_not_made_up_for():
    times = np.concatenate([np.arange(0, 1, 0.01), np.arange(5, 6, 0.01)])
    taken = turns(times)
    assert sum(now >= 5 for now in taken) <= 6
    assert min(b - a for a, b in pairwise(taken)) >= 0.5 * PERIOD - 1e-9
