"""The processes of `rlvla run`: what ends them, what brings them back, and that none is left behind."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from ros_graph import Process, free_domain

from rlvla.cli import main
from rlvla_core.errors import RlvlaError
from rlvla_nodes import supervisor
from rlvla_nodes.supervisor import GRACE_S, Supervisor

DRIVER = """
import json, signal, sys
from pathlib import Path
from rlvla_nodes.graph import NodeSpec
from rlvla_nodes.supervisor import Supervisor

given = json.loads(sys.argv[1])
specs = [NodeSpec(name=name, parameters=values, parameter_files=()) for name, values in given.items()]
supervisor = Supervisor(specs, Path(sys.argv[2]), print)
signal.signal(signal.SIGINT, lambda *_: supervisor.stop())
sys.exit(supervisor.run())
"""
"""`rlvla run` without its simulator, which takes ten seconds to start."""
QUICK = {"teleop_node": {"device": "joy"}, "trial_node": {}}
READY = "device joy"


class Supervised:
    """A supervisor in a process of its own."""

    def __init__(self, domain: int, folder: Path, nodes: dict) -> None:
        self.process = Process(domain, [sys.executable, "-c", DRIVER, json.dumps(nodes), str(folder)])

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.popen.pid).children(recursive=True)

    def node(self, name: str) -> psutil.Process | None:
        return next((child for child in self.children() if name in child.cmdline()), None)

    def until(self, condition: Callable[[], object], timeout: float = 20.0) -> None:
        end = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < end, self.process.output
            time.sleep(0.02)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Supervised]]:
    """Starts supervisors in a domain of their own, and ends them and their nodes."""
    started: list[Supervised] = []
    with free_domain() as domain:

        def start(**nodes: dict) -> Supervised:
            started.append(Supervised(domain, tmp_path, nodes))
            return started[-1]

        yield start
        for supervised in started:
            supervised.process.close()


def gone(processes: list[psutil.Process], timeout: float = 5.0) -> bool:
    """Whether all have ended in time."""
    return not psutil.wait_procs(processes, timeout=timeout)[1]


def test_node_with_a_bad_parameter_ends_all_with_one_line(start: Callable[..., Supervised]):
    run = start(teleop_node={"device": "joy", "devise": 1}, trial_node={})
    run.until(lambda: len(run.children()) == 2 or not run.process.runs)
    children = run.children()
    assert run.process.wait(20) == 1
    errors = [line for line in run.process.output.splitlines() if "error:" in line]
    assert len(errors) == 1, run.process.output
    assert re.fullmatch(r"teleop_node \| error: .*`devise`.*did you mean `device`\?", errors[0])
    assert "teleop_node | ended with exit code 1: stopping the others" in run.process.output
    assert "Traceback" not in run.process.output
    assert gone(children)


@pytest.mark.parametrize(
    ("number", "said"), [(signal.SIGKILL, "was killed by signal 9: back in 1 s"), (signal.SIGTERM, "has ended: back")]
)
def test_node_that_was_killed_or_told_to_end_comes_back(
    number: signal.Signals, said: str, start: Callable[..., Supervised]
):
    run = start(**QUICK)
    run.until(lambda: READY in run.process.output)
    first, other = run.node("teleop_node"), run.node("trial_node")
    assert first is not None and other is not None
    first.send_signal(number)
    run.until(lambda: run.process.output.count(READY) == 2)
    assert f"teleop_node | {said}" in run.process.output
    again = run.node("teleop_node")
    assert again is not None and again.pid != first.pid
    assert other.is_running()


def test_doubled_ctrl_c_ends_all_with_zero(start: Callable[..., Supervised]):
    run = start(**QUICK)
    run.until(lambda: READY in run.process.output)
    children = run.children()
    for _ in range(2):
        # A terminal sends it to the nodes as well.
        for process in (run.process.popen, *children):
            process.send_signal(signal.SIGINT)
        time.sleep(0.05)
    assert run.process.wait(GRACE_S + 5) == 0
    assert gone(children, 0.5)
    assert "Traceback" not in run.process.output
    assert "back in" not in run.process.output


def test_killed_supervisor_leaves_no_node_behind(start: Callable[..., Supervised]):
    run = start(**QUICK)
    run.until(lambda: READY in run.process.output)
    children = run.children()
    run.process.signal(signal.SIGKILL)
    assert gone(children)


def test_node_that_does_not_end_is_killed(start: Callable[..., Supervised]):
    run = start(**QUICK)
    run.until(lambda: READY in run.process.output)
    children, stopped = run.children(), run.node("teleop_node")
    assert stopped is not None
    stopped.suspend()
    run.process.signal(signal.SIGINT)
    assert run.process.wait(GRACE_S + 5) == 0
    assert gone(children, 0.5)


def test_nobody_reads_the_output_any_more(tmp_path: Path):
    """`rlvla run | head`: a node whose prints nobody takes would stand still with an arm in motion."""
    with free_domain() as domain:
        command = [sys.executable, "-u", "-c", f"import os; os.environ['ROS_DOMAIN_ID'] = '{domain}'\n{DRIVER}"]
        run = subprocess.Popen([*command, json.dumps(QUICK), str(tmp_path)], stdout=subprocess.PIPE)
        assert run.stdout is not None and READY in run.stdout.readline().decode()
        children = psutil.Process(run.pid).children(recursive=True)
        run.stdout.close()
        assert gone([psutil.Process(run.pid), *children], GRACE_S + 10)


def catches(process: subprocess.Popen, number: signal.Signals) -> bool:
    """Whether the process has a handler of its own for the signal."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    caught = re.search(r"^SigCgt:\s*(\w+)$", status, re.MULTILINE)
    return caught is not None and bool(int(caught.group(1), 16) >> (number - 1) & 1)


@pytest.mark.parametrize("wait_s", [0.0, 0.3])
def test_ctrl_c_while_a_node_imports_is_exit_code_zero(wait_s: float):
    """policy_node imports torch for seconds. Python itself handles SIGINT, but not SIGTERM: that one shows ours."""
    command = [sys.executable, "-m", "rlvla_nodes", "policy_node"]
    node = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while not catches(node, signal.SIGTERM):
        assert node.poll() is None
        time.sleep(0.005)
    time.sleep(wait_s)
    for _ in range(3):
        node.send_signal(signal.SIGINT)
        time.sleep(0.05)
    output, _ = node.communicate(timeout=20)
    assert (node.returncode, output) == (0, "")


@pytest.mark.parametrize("wait_s", [0.0, 0.4])
def test_ctrl_c_while_the_graph_starts_is_exit_code_zero(wait_s: float, tmp_path: Path):
    (tmp_path / "config.json").write_text("{}")
    with free_domain() as domain:
        run = Process(domain, [sys.executable, "-m", "rlvla", "run", "--bundle", str(tmp_path)], start_new_session=True)
        while not psutil.Process(run.popen.pid).children():
            assert run.runs, run.output
            time.sleep(0.005)
        time.sleep(wait_s)
        children = psutil.Process(run.popen.pid).children(recursive=True)
        for process in (run.popen, *children, run.popen):
            process.send_signal(signal.SIGINT)
        assert run.wait(GRACE_S + 5) == 0, run.output
        assert gone(children, 1.0)
        assert "Traceback" not in run.output


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ([], "no bundle"),
        (["--bundle", "."], "no policy bundle (no config.json)"),
        (["--bundle", "BUNDLE", "--robot", "wall"], "unknown robot 'wall'"),
        (["--bundle", "BUNDLE", "--sim.lock-step", "--camera", "external"], "a real world does not wait"),
    ],
)
def test_bad_input_is_one_line_and_nothing_starts(
    options: list[str], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    monkeypatch.setattr(subprocess, "Popen", refuse)
    assert main(["run", *(str(tmp_path) if option == "BUNDLE" else option for option in options)]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert len(shown.err.splitlines()) == 1
    assert line in shown.err


def test_machine_without_ros_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(supervisor, "NEEDED", {"no_such_module": "install it"})
    with pytest.raises(RlvlaError, match="no Python module no_such_module: install it"):
        Supervisor([], tmp_path, print)
