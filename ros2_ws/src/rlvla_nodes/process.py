"""Starts a node in its process, reports its errors, and ends it."""

import atexit
import os
import signal
import sys
from collections.abc import Callable, Sequence

import rclpy
from rclpy._rclpy_pybind11 import RCLError
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from rlvla_core.errors import RlvlaError

SIGNALS = (signal.SIGINT, signal.SIGTERM)
LOOK_S = 0.1
"""How often an idle node looks whether it was asked to end, seconds."""


def run_node(make: Callable[[], Node], arguments: Sequence[str] | None = None) -> int:
    """Make the node, spin it until Ctrl-C, SIGTERM or an error, and take it down; returns the exit code.

    0 after any number of SIGINT and SIGTERM: a terminal and a launcher often send one each. 1 after an RlvlaError, with
    its line.
    """
    node: Node | None = None
    executor = None
    code = 0
    stop = _Stop()
    for number in SIGNALS:
        signal.signal(number, stop)
    try:
        # rclpy's own handlers shut the context down from another thread, in the middle of whatever runs here: a publish
        # then fails, and taking the node down beside that thread has crashed the process.
        _init(arguments)
        node = make()
        stop.raises = False
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        while not stop.asked:
            executor.spin_once(timeout_sec=LOOK_S)
    except ExternalShutdownException:
        pass
    except KeyboardInterrupt:
        _leave_half_built(node, 0)
    except RlvlaError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        code = 1
        _leave_half_built(node, code)
    finally:
        # Python puts the default handlers back at its very end, but leaves an ignored signal ignored.
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        try:
            if executor is not None:
                executor.shutdown(timeout_sec=1.0)
            if node is not None:
                node.destroy_node()
        finally:
            rclpy.try_shutdown()
    return code


def _leave_half_built(node: Node | None, code: int) -> None:
    """End the process at once if the node was not finished: a half-built world or node may crash when it is taken down
    beside its context. The system takes back what the process holds."""
    if node is None:
        atexit._run_exitfuncs()  # a keyboard gives its terminal back there
        sys.stdout.flush()
        os._exit(code)


def _init(arguments: Sequence[str] | None) -> None:
    given = None if arguments is None else list(arguments)
    try:
        rclpy.init(args=given, signal_handler_options=SignalHandlerOptions.NO)
    except RCLError as error:
        raise RlvlaError(f"ROS cannot read the arguments: {str(error).splitlines()[0]}") from None


class _Stop:
    """Handles the signals: interrupts the making of a node, which may take long, and asks a spinning one to end."""

    def __init__(self) -> None:
        self.raises = True
        self.asked = False

    def __call__(self, number: int, frame: object) -> None:
        if self.raises and not self.asked:
            self.asked = True
            raise KeyboardInterrupt
        self.asked = True
