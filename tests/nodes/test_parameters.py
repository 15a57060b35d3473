"""Parameters of a node: what a file or a command line may say, and how a mistake is named."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
import rclpy
import yaml
from rclpy.node import Node
from rclpy.parameter import Parameter

from rlvla_core.errors import RlvlaError
from rlvla_nodes.graph import NodeSpec, write_parameters
from rlvla_nodes.parameters import declare_parameters


@dataclass(frozen=True, kw_only=True)
class Given:
    name: str = "one"
    rate: float = 5.0
    count: int = 3
    on: bool = False
    kind: Literal["red", "blue"] = "red"
    scale: tuple[float, ...] = (1.0, 2.0)

    def __post_init__(self) -> None:
        if self.count < 0:
            raise RlvlaError(f"count is {self.count}, it must not be negative")


def declared(graph, *arguments: str, **values) -> Given:
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    node = graph.add(Node("some_node", context=graph.context, parameter_overrides=overrides, cli_args=list(arguments)))
    return declare_parameters(node, Given)


def from_file(graph, tmp_path: Path, values: dict) -> Given:
    path = tmp_path / "some.yaml"
    path.write_text(yaml.safe_dump({"some_node": {"ros__parameters": values}}))
    return declared(graph, "--ros-args", "--params-file", str(path))


def test_without_a_word_the_defaults_hold(graph):
    assert declared(graph) == Given()


def test_a_file_sets_every_kind_of_value(graph, tmp_path):
    values = {"name": "two", "rate": 2.5, "count": 9, "on": True, "kind": "blue", "scale": [0.5, 0.25, 4.0]}
    assert from_file(graph, tmp_path, values) == Given(**{**values, "scale": (0.5, 0.25, 4.0)})


def test_whole_numbers_count_as_numbers_with_a_fraction(graph, tmp_path):
    found = from_file(graph, tmp_path, {"rate": 10, "scale": [1, 2]})
    assert found == Given(rate=10.0, scale=(1.0, 2.0))
    assert isinstance(found.rate, float) and all(isinstance(number, float) for number in found.scale)


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"rte": 5.0}, "some_node has no parameter `rte`: did you mean `rate`?"),
        ({"xyzzy": 1}, "no parameter `xyzzy`: it has count, kind, name, on, rate, scale"),
        ({"rate": "fast"}, "`rate` is 'fast', expected float such as 5.0"),
        ({"rate": True}, "`rate` is True, expected float"),
        ({"rate": [1.0]}, "expected float"),
        ({"count": 2.5}, "`count` is 2.5, expected int such as 3"),
        ({"count": True}, "`count` is True, expected int"),
        ({"on": 1}, "`on` is 1, expected bool"),
        ({"name": 7}, "`name` is 7, expected str such as 'one'"),
        ({"kind": "green"}, "`kind` is 'green', choose one of red, blue"),
        ({"kind": 3}, "`kind` is 3, expected one of red, blue"),
        ({"scale": 1.0}, "`scale` is 1.0, expected a list such as [1.0, 2.0]"),
        ({"scale": ["a"]}, "expected a list such as [1.0, 2.0]"),
        ({"scale": [True]}, "expected a list such as [1.0, 2.0]"),
        ({"rate": float("nan")}, "`rate` is nan, expected finite numbers"),
        ({"rate": float("inf")}, "`rate` is inf, expected finite numbers"),
        ({"scale": [1.0, float("nan")]}, "expected finite numbers"),
        ({"count": -1}, "some_node: count is -1, it must not be negative"),
    ],
)
def test_a_mistake_is_one_line_that_names_it(graph, values, line):
    with pytest.raises(RlvlaError) as caught:
        declared(graph, **values)
    assert line in str(caught.value) and "\n" not in str(caught.value)
    assert str(caught.value).startswith("some_node")


def test_what_ros_declares_itself_is_let_through(graph):
    assert declared(graph, use_sim_time=True) == Given()


def test_a_running_node_is_not_changed(graph):
    node = graph.make(Node, "some_node")
    declare_parameters(node, Given)
    (answer,) = node.set_parameters([Parameter("rate", value=1.0)])
    assert not answer.successful and node.get_parameter("rate").value == 5.0


@pytest.mark.parametrize(
    "text", ["n", "Y", "on", "1e3", "0x1F", ".nan", "~", "null", "put größer on plate", "a: b # c", "'", ""]
)
def test_a_string_in_a_parameter_file_is_a_string_to_ros(tmp_path: Path, text: str):
    path = write_parameters(NodeSpec(name="some_node", parameters={"text": text}, parameter_files=()), tmp_path)
    context = rclpy.Context()
    rclpy.init(args=["--ros-args", "--params-file", str(path)], context=context)
    try:
        node = Node("some_node", context=context, automatically_declare_parameters_from_overrides=True)
        assert node.get_parameter("text").value == text
        node.destroy_node()
    finally:
        rclpy.try_shutdown(context=context)
