"""Declares a node's parameters from one frozen dataclass, which holds names, types, defaults and descriptions."""

import dataclasses
import difflib
import math
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from rlvla_core.errors import RlvlaError

T = TypeVar("T")
BUILT_IN = ("use_sim_time", "start_type_description_service")
"""Parameters that rclpy itself declares."""


def declare_parameters(node: Node, kind: type[T]) -> T:
    """Declare every field of the dataclass `kind` on the node and read them.

    Raises RlvlaError for a value of the wrong type and for a name that the node does not have: ROS ignores a misspelt
    key of a parameter file, and a limit that was thought to be set is worse than no start.
    """
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    known = {*fields, *BUILT_IN}
    overrides: Mapping[str, Any] = node._parameter_overrides
    for name in overrides:
        if name not in known and not name.startswith("qos_overrides."):
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"it has {', '.join(sorted(fields))}"
            raise RlvlaError(f"{node.get_name()} has no parameter `{name}`: {hint}")
    types = get_type_hints(kind)
    values = {}
    for name, field in fields.items():
        default = field.default if field.default is not dataclasses.MISSING else None
        if default is None:
            raise TypeError(f"{kind.__name__}.{name} needs a default")
        if name in overrides:
            _accept_whole_numbers(overrides[name], default)
        try:
            given = list(default) if isinstance(default, tuple) else default
            value = node.declare_parameter(name, given, ParameterDescriptor(read_only=True)).value
        except (InvalidParameterTypeException, InvalidParameterValueException):
            found = overrides[name].value
            found = found.tolist() if hasattr(found, "tolist") else found
            raise RlvlaError(
                f"{node.get_name()}: parameter `{name}` is {found!r}, expected {_expected(types[name], default)}"
            ) from None
        values[name] = _checked(node, name, tuple(value) if isinstance(default, tuple) else value, types[name])
    try:
        return kind(**values)
    except RlvlaError as error:
        raise RlvlaError(f"{node.get_name()}: {error}") from None


def _accept_whole_numbers(given: Parameter, default: Any) -> None:
    """YAML reads `5` as an integer, and ROS would refuse it for a number with a fraction."""
    if isinstance(default, float) and given.type_ is Parameter.Type.INTEGER:
        given._type_, given._value = Parameter.Type.DOUBLE, float(given.value)
    elif isinstance(default, tuple) and isinstance(default[0], float) and given.type_ is Parameter.Type.INTEGER_ARRAY:
        given._type_, given._value = Parameter.Type.DOUBLE_ARRAY, [float(number) for number in given.value]


def _expected(hint: Any, default: Any) -> str:
    if get_origin(hint) is Literal:
        return f"one of {', '.join(get_args(hint))}"
    if isinstance(default, tuple):
        return f"a list such as {list(default)}"
    return f"{hint.__name__} such as {default!r}"


def _checked(node: Node, name: str, value: Any, hint: Any) -> Any:
    choices = get_args(hint) if get_origin(hint) is Literal else ()
    if choices and value not in choices:
        raise RlvlaError(f"{node.get_name()}: parameter `{name}` is {value!r}, choose one of {', '.join(choices)}")
    for number in value if isinstance(value, tuple) else (value,):
        if isinstance(number, float) and not math.isfinite(number):
            raise RlvlaError(f"{node.get_name()}: parameter `{name}` is {value}, expected finite numbers")
    return value
