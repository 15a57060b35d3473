"""experiments/averaging.py: the last weights of a run, taken from its newest checkpoint."""

from dataclasses import replace

import pytest
import torch
from averaging import last_weights
from small_world import PPO, run_training

from rlvla_core.errors import RlvlaError
from rlvla_core.learning.distributed import Ranks
from rlvla_core.policy.bundle import load_bundle


def test_the_last_weights_are_those_of_a_run_that_was_not_averaged(tmp_path):
    for name, fraction in (("plain", 0.0), ("averaged", 1.0)):
        run_training(Ranks(), tmp_path / name, replace(PPO, iterations=3, verify_episodes=0, average_fraction=fraction))
    assert last_weights(tmp_path / "averaged", tmp_path / "last") == 3
    last, plain = (load_bundle(path).state_dict() for path in (tmp_path / "last", tmp_path / "plain" / "policy"))
    assert all(torch.equal(last[name], tensor) for name, tensor in plain.items())
    with pytest.raises(RlvlaError, match="plain was not averaged"):
        last_weights(tmp_path / "plain", tmp_path / "none")
