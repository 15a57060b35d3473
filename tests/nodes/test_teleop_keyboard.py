"""The keyboard on a real pseudo terminal, with the node as its own process."""

import contextlib
import os
import pty
import signal
import statistics
import termios
import time
from collections.abc import Iterator

import pytest
from rclpy.node import Node
from ros_graph import Graph, Process

from rlvla_core.errors import RlvlaError
from rlvla_msgs.msg import ArmCommand
from rlvla_nodes import topics
from rlvla_nodes.teleop.keyboard import Keyboard

REPEAT_S = 1 / 30
NODE = ("rlvla_nodes.teleop_node", "--ros-args", "-p", "device:=keyboard")


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """(the person's side, the program's side)."""
    person, program = pty.openpty()
    yield person, program
    for descriptor in (person, program):
        with contextlib.suppress(OSError):
            os.close(descriptor)


class Listener:
    """Hears commands."""

    def __init__(self, graph: Graph) -> None:
        self.heard: list[tuple[float, ArmCommand]] = []
        node = graph.make(Node, "listener")
        node.create_subscription(ArmCommand, topics.TELEOP_COMMAND, self._hear, topics.STREAM)

    def _hear(self, command: ArmCommand) -> None:
        self.heard.append((time.monotonic(), command))

    @property
    def moving(self) -> bool:
        return any(self.heard[-1][1].delta[:6])


def started(graph: Graph, program: int) -> tuple[Process, Listener]:
    listener = Listener(graph)
    process = graph.process(*NODE, stdin=program)
    assert graph.until(lambda: listener.heard, 20.0), process.output
    return process, listener


def stop(graph: Graph, person: int, listener: Listener) -> float:
    """Seconds from a key to the command that stands, where the key has moved the arm."""
    pressed = time.monotonic()
    os.write(person, b"w")
    assert graph.until(lambda: listener.heard[-1][0] > pressed and listener.moving, 2.0)
    assert graph.until(lambda: not listener.moving, 2.0)
    return listener.heard[-1][0] - pressed


def test_hold_to_run_over_a_terminal(graph: Graph, terminal: tuple[int, int]) -> None:
    person, program = terminal
    found = termios.tcgetattr(program)
    process, listener = started(graph, program)
    assert not termios.tcgetattr(program)[3] & (termios.ECHO | termios.ICANON)
    os.write(person, b"www")
    graph.spin(0.2)
    assert not any(command.deadman or any(command.delta[:6]) for _, command in listener.heard)
    os.write(person, b" ")
    assert graph.until(lambda: listener.heard[-1][1].deadman, 2.0)
    for _ in range(20):
        os.write(person, b"w")
        graph.spin(REPEAT_S)
    moved = [command for _, command in listener.heard if any(command.delta[:6])]
    assert len(moved) >= 5
    assert list(moved[-1].delta) == pytest.approx([0.005, 0, 0, 0, 0, 0, 1.0])
    stops = [stop(graph, person, listener) for _ in range(5)]
    print(f"last repeat to zero command: {[f'{1e3 * seconds:.0f} ms' for seconds in stops]}")
    assert statistics.median(stops) <= 0.1
    process.signal(signal.SIGINT)
    process.signal(signal.SIGINT)
    assert process.wait() == 0, process.output
    assert termios.tcgetattr(program) == found
    assert "tap   SPACE" in process.output


def test_the_deadman_runs_out(graph: Graph, terminal: tuple[int, int]) -> None:
    person, program = terminal
    _, listener = started(graph, program)
    os.write(person, b" ")
    assert graph.until(lambda: listener.heard[-1][1].deadman, 2.0)
    on = time.monotonic()
    assert graph.until(lambda: not listener.heard[-1][1].deadman, 3.0)
    assert 1.2 < listener.heard[-1][0] - on < 2.0


def test_a_terminal_that_closes_ends_the_node_with_a_release(graph: Graph, terminal: tuple[int, int]) -> None:
    person, program = terminal
    process, listener = started(graph, program)
    os.close(program)
    os.write(person, b" ")
    assert graph.until(lambda: listener.heard[-1][1].deadman, 2.0)
    os.close(person)
    assert graph.until(lambda: not process.runs)
    assert process.wait() == 1
    assert graph.until(lambda: not listener.heard[-1][1].deadman, 2.0)
    assert process.output.splitlines()[-1].startswith("error: the terminal of the keyboard is closed")


def test_without_a_terminal_one_line_says_what_to_do(graph: Graph) -> None:
    process = graph.process(*NODE)
    assert process.wait(20.0) == 1
    assert process.output.count("\n") == 1
    assert process.output.startswith("error: device `keyboard` needs a terminal")


def test_the_terminal_is_restored_after_an_exception(terminal: tuple[int, int]) -> None:
    person, program = terminal
    found = termios.tcgetattr(program)
    keyboard = Keyboard(program)
    os.write(person, b" g")
    reading = keyboard.poll(4.0)
    assert reading.deadman and reading.gripper_presses == 1 and reading.stamp_s == 4.0
    os.write(person, b"rm -rf")
    keyboard.close()
    keyboard.close()
    assert termios.tcgetattr(program) == found
    again = Keyboard(program)
    assert not again.poll(5.0).deadman, "keys that nobody read are thrown away"
    again.close()
    with pytest.raises(RlvlaError, match="needs a terminal"):
        Keyboard(os.open(os.devnull, os.O_RDONLY))
