"""Is this the same run? What a resumed run may change in its configuration, and what it may not."""

import json
from collections.abc import Collection, Mapping
from typing import Any

NOT_SET = "not set"
"""Stands for the value of an option that one of two configurations does not have."""


def first_difference(
    recorded: Mapping[str, Any],
    config: Mapping[str, Any],
    *,
    may_change: Collection[str] = (),
    defaults: Mapping[str, Any] | None = None,
) -> tuple[str, str, str] | None:
    """The first difference that makes `config` another run than `recorded`: (dotted key, old JSON, new JSON) or None.

    may_change: dotted keys that may have another value, such as `ppo.minutes`; a key stands for all below it, too.
    defaults: `config` with every option at its default. A run that was started before an option existed ran with what
        is the option's default now, so an option that is not recorded may have its default.

    Keys are compared in the order of `recorded`.
    """
    before, now, usual = _flat(recorded), _flat(config), _flat(defaults or {})
    for key in [*before, *(key for key in now if key not in before)]:
        if any(key == allowed or key.startswith(f"{allowed}.") for allowed in may_change):
            continue
        if key not in before and key in usual and now[key] == usual[key]:
            continue
        left = json.dumps(before[key]) if key in before else NOT_SET
        right = json.dumps(now[key]) if key in now else NOT_SET
        if left != right:
            return key, left, right
    return None


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted key -> value; an empty dictionary is a value."""
    result: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            result.update(_flat(value, f"{prefix}{key}."))
        else:
            result[prefix + key] = value
    return result
