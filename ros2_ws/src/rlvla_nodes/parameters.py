"""Parameters of a node as one frozen dataclass: names, types, defaults and descriptions stand in one place."""

import dataclasses
import difflib
import math
from collections.abc import Mapping
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node

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
        wanted = get_origin(types[name]) or types[name]
        if wanted is float and name in overrides and isinstance(overrides[name].value, int):
            # YAML reads `5` as an integer, and ROS would refuse it for a number with a fraction.
            overrides[name]._value, overrides[name]._type_ = float(overrides[name].value), _double()
        try:
            given = list(default) if isinstance(default, tuple) else default
            value = node.declare_parameter(name, given, ParameterDescriptor(read_only=True)).value
        except (InvalidParameterTypeException, InvalidParameterValueException):
            found = overrides[name].value
            raise RlvlaError(
                f"{node.get_name()}: parameter `{name}` is {found!r}, expected {wanted.__name__} such as {default!r}"
            ) from None
        values[name] = _checked(node, name, tuple(value) if isinstance(default, tuple) else value, types[name])
    try:
        return kind(**values)
    except RlvlaError as error:
        raise RlvlaError(f"{node.get_name()}: {error}") from None


def _checked(node: Node, name: str, value: Any, hint: Any) -> Any:
    choices = get_args(hint) if str(get_origin(hint)) == "typing.Literal" else ()
    if choices and value not in choices:
        raise RlvlaError(f"{node.get_name()}: parameter `{name}` is {value!r}, choose one of {', '.join(choices)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise RlvlaError(f"{node.get_name()}: parameter `{name}` is {value}, expected a finite number")
    return value


def _double() -> Any:
    from rclpy.parameter import Parameter

    return Parameter.Type.DOUBLE
