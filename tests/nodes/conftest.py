"""ROS for the tests of the nodes: this machine only, a domain of its own for every test, and no test without rclpy."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# Read when rclpy is loaded, so they stand before anything that imports it.
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ["ROS_LOG_DIR"] = tempfile.mkdtemp(prefix="rlvla-ros-log-")
os.environ.setdefault("OMP_NUM_THREADS", "1")

MISSING = ""
try:
    import rclpy  # noqa: F401
except ImportError as error:
    MISSING = f"no ROS 2 here ({error}): run `make ros`, or source a distribution of ROS 2"
else:
    try:
        import rlvla_msgs.msg  # noqa: F401
    except ImportError as error:
        MISSING = f"rlvla_msgs is not built ({error}): run `make ros`, or colcon build"

TIMEOUT_S = 60


class SkippedModule(pytest.Module):
    """A test file that cannot even be imported here."""

    def collect(self) -> list[pytest.Item]:
        pytest.skip(MISSING, allow_module_level=True)


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    """Skip whole files with a reason instead of failing at their first import."""
    return SkippedModule.from_parent(parent, path=module_path) if MISSING else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A call that hangs inside DDS does not see the signal that pytest-timeout sends by default."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(TIMEOUT_S, method="thread"))


if not MISSING:
    from ros_graph import Graph

    @pytest.fixture
    def graph() -> Iterator[Graph]:
        """The nodes of one test."""
        graph = Graph()
        try:
            yield graph
        finally:
            graph.close()
