"""What a resumed run may change: nothing but what is allowed, and options that are new and at their default."""

import pytest

from rlvla_core.runs.same_run import first_difference

RECORDED = {"ppo": {"lr": 1e-4, "minutes": 8.0}, "world": "toy", "seed": 0}


def test_the_same_configuration_is_the_same_run() -> None:
    assert first_difference(RECORDED, RECORDED) is None


@pytest.mark.parametrize(
    ("change", "may_change", "found"),
    [
        ({"seed": 1}, (), ("seed", "0", "1")),
        ({"ppo": {"lr": 1e-4, "minutes": 9.0}}, (), ("ppo.minutes", "8.0", "9.0")),
        ({"ppo": {"lr": 1e-4, "minutes": 9.0}}, ("ppo.minutes",), None),
        ({"ppo": {"lr": 2e-4, "minutes": 9.0}}, ("ppo.minutes",), ("ppo.lr", "0.0001", "0.0002")),
        ({"ppo": {"lr": 2e-4, "minutes": 9.0}}, ("ppo",), None),
        ({"ppo": {"lr": 1e-4}}, (), ("ppo.minutes", "8.0", "not set")),
        ({"ppo": None}, (), ("ppo.lr", "0.0001", "not set")),
        ({"world": "toys"}, ("worl",), ("world", '"toy"', '"toys"')),
        ({"ppo": {"lr": 1e-4, "minutes": 8}}, (), ("ppo.minutes", "8.0", "8")),
    ],
)
def test_the_first_other_value_is_named(change, may_change, found) -> None:
    assert first_difference(RECORDED, {**RECORDED, **change}, may_change=may_change) == found


def test_an_option_that_is_newer_than_the_run_may_have_its_default_and_no_other_value() -> None:
    defaults = {"ppo": {"lr": 3e-4, "minutes": 1.0, "clip": 0.2}, "world": "sim", "seed": 5, "lora": {"rank": 32}}
    newer = {**RECORDED, "ppo": {**RECORDED["ppo"], "clip": 0.2}, "lora": {"rank": 32}}
    assert first_difference(RECORDED, newer, defaults=defaults) is None
    assert first_difference(RECORDED, newer) == ("ppo.clip", "not set", "0.2")
    other = {**newer, "lora": {"rank": 8}}
    assert first_difference(RECORDED, other, defaults=defaults) == ("lora.rank", "not set", "8")
    # A recorded value is compared with what it was, not with the default.
    back = {**newer, "seed": 5}
    assert first_difference(RECORDED, back, defaults=defaults) == ("seed", "0", "5")
