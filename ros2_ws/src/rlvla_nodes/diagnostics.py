"""Publishes one status line of a node on /diagnostics once a second, and logs every change of its level."""

from collections.abc import Callable, Mapping

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from rlvla_nodes import topics

OK, WARN, ERROR, STALE = (DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR, DiagnosticStatus.STALE)
Report = tuple[bytes, str, Mapping[str, object]]
"""A node's state: level, one line of text, and values by name."""


class Diagnostics:
    """Asks `report` for the node's state once a second and publishes it."""

    def __init__(self, node: Node, report: Callable[[], Report]) -> None:
        self._node, self._report = node, report
        self._level: bytes = STALE
        self._publisher = node.create_publisher(DiagnosticArray, topics.DIAGNOSTICS, topics.EVENTS)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(1.0, self.publish, clock=steady)

    def publish(self) -> None:
        """Publish the node's state now."""
        level, line, values = self._report()
        if level != self._level:
            self._log(level, line)
        self._level = level
        status = DiagnosticStatus(level=level, name=self._node.get_fully_qualified_name().lstrip("/"), message=line)
        status.hardware_id = "rlvla"
        status.values = [KeyValue(key=key, value=str(value)) for key, value in values.items()]
        array = DiagnosticArray(status=[status])
        array.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(array)

    def _log(self, level: bytes, line: str) -> None:
        # rclpy's logger allows one severity for each line of source.
        log = self._node.get_logger()
        if level == OK:
            log.info(line)
        elif level == WARN:
            log.warning(line)
        else:
            log.error(line)
