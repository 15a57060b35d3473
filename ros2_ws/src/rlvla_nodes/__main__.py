"""`python -m rlvla_nodes policy_node --ros-args ...`: one node, in a process that ends well even while it imports."""

import importlib
import os
import signal
import sys
from collections.abc import Sequence

from rlvla_nodes import NODES


def main(name: str, arguments: Sequence[str] | None = None) -> int:
    """Run the node `name` until it ends; returns the exit code of the process.

    `arguments`: the words after the program's name; None takes them from the command line.
    """
    # torch and SAPIEN take seconds to import; run_node's handlers come after that. Nothing is owned until then, and an
    # orderly exit would take half a second, in which a second signal ends the process with another code.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os._exit(0))
    module = importlib.import_module(f"rlvla_nodes.{name}")
    return module.main(sys.argv if arguments is None else ["rlvla_nodes", *arguments])


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in NODES:
        print(f"usage: python -m rlvla_nodes NODE [--ros-args ...]; NODE is one of {', '.join(NODES)}", file=sys.stderr)
        sys.exit(2)
    sys.exit(main(sys.argv[1], sys.argv[2:]))
