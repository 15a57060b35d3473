"""The mean of the weights: against its closed form, without touching what learns, and in the bundle of a run."""

from dataclasses import replace

import pytest
import torch
from small_world import PPO, run_training
from torch import nn

from rlvla_core.errors import RlvlaError
from rlvla_core.learning.distributed import Ranks
from rlvla_core.learning.weight_copies import WeightAverage
from rlvla_core.policy.bundle import load_bundle
from rlvla_core.runs import RunDirectory


def weights_of(path, fraction):
    """Mean of a weight that takes the values of `path` in turn."""
    weight = nn.Parameter(torch.zeros(1))
    average = WeightAverage([weight], fraction)
    for value in path:
        weight.data.fill_(value)
        average.add()
    return next(average.buffers()).item()


def test_fraction_one_is_the_plain_mean_and_a_quarter_follows_the_last_quarter():
    values = [1.0, 5.0, 2.0, 8.0]
    assert weights_of(values, 1.0) == pytest.approx(4.0)
    # w_s = 4/s · prod_{u=s+1..t} (1 - 4/u), of which the sum over s is one: s(s-1)(s-2)(s-3) ladders cancel.
    count = 40
    exact = [(s - 1) * (s - 2) * (s - 3) for s in range(1, count + 1)]
    for probe in (3, 10, 30, 40):
        found = weights_of([float(s == probe) for s in range(1, count + 1)], 0.25)
        assert found == pytest.approx(exact[probe - 1] / sum(exact), rel=1e-5)


def test_the_weights_that_learn_are_never_touched_and_come_back_after_use():
    weight = nn.Parameter(torch.tensor([1.0], dtype=torch.bfloat16))
    average = WeightAverage([weight], 1.0)
    average.add()
    weight.data.fill_(3.0)
    average.add()
    assert weight.item() == 3.0
    with pytest.raises(KeyError), average.applied():
        assert weight.item() == 2.0 and weight.dtype == torch.bfloat16
        raise KeyError
    assert weight.item() == 3.0


def test_a_runs_bundle_holds_the_mean_and_its_rollouts_do_not_notice(tmp_path):
    config = replace(PPO, iterations=4, verify_episodes=0)
    run_training(Ranks(), tmp_path / "plain", config)
    run_training(Ranks(), tmp_path / "averaged", replace(config, average_fraction=1.0))
    names = [name for name, p in load_bundle(tmp_path / "plain" / "policy").model.named_parameters()]
    records = [RunDirectory.open_read_only(tmp_path / each).journal.read() for each in ("plain", "averaged")]
    assert [r["policy_loss"] for r in records[0]] == [r["policy_loss"] for r in records[1]]
    # fraction 1: the plain mean of what the run without averaging had after each of its iterations
    after = []
    for iteration in range(1, 5):
        run_training(Ranks(), tmp_path / f"{iteration}", replace(config, iterations=iteration))
        after.append(load_bundle(tmp_path / f"{iteration}" / "policy").model.state_dict())
    found = load_bundle(tmp_path / "averaged" / "policy").model.state_dict()
    moved = 0
    for name in names:
        expected = torch.stack([each[name] for each in after]).mean(dim=0)
        torch.testing.assert_close(found[name], expected, rtol=1e-5, atol=1e-7)
        moved += not torch.equal(expected, after[-1][name])
    assert moved > 10


def test_a_checkpoint_without_a_mean_is_refused_by_name(tmp_path):
    config = replace(PPO, iterations=1, verify_episodes=0)
    run_training(Ranks(), tmp_path, config)
    with pytest.raises(RlvlaError, match=r"nothing for average\.0, this run needs"):
        run_training(Ranks(), tmp_path, replace(config, iterations=2, average_fraction=0.5))


def test_a_fraction_is_at_most_one():
    with pytest.raises(RlvlaError, match=r"ppo.average_fraction must be from 0 to 1, got 20"):
        replace(PPO, average_fraction=20)
