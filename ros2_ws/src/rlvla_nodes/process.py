"""How every node process starts, reports a mistake and ends."""

import signal
import sys
from collections.abc import Callable, Sequence

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

from rlvla_core.errors import RlvlaError


def run_node(make: Callable[[], Node], arguments: Sequence[str] | None = None) -> int:
    """Make the node, spin it until Ctrl-C, SIGTERM or an error, and take it down. The process's exit code.

    0 after any number of SIGINT and SIGTERM: a terminal and a launcher often send one each, and rclpy puts the old
    handlers back in the middle of its shutdown, so both are ignored from there on. 1 after an RlvlaError, with its
    line.
    """
    node: Node | None = None
    executor = None
    code = 0
    try:
        rclpy.init(args=None if arguments is None else list(arguments))
        node = make()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except RlvlaError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        code = 1
    finally:
        _ignore_signals()
        try:
            if executor is not None:
                executor.shutdown(timeout_sec=1.0)
            if node is not None:
                node.destroy_node()
        finally:
            rclpy.try_shutdown()
            _ignore_signals()
    return code


def _ignore_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
