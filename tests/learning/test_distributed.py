"""Ranks: the split of the work must not change the gradient, and a dead rank must not hang the others."""

import json
import os
import signal
import time

import pytest
import torch

from rlvla_core.errors import RlvlaError
from rlvla_core.learning.distributed import Ranks, launch


def net():
    torch.manual_seed(3)
    return torch.nn.Sequential(torch.nn.Linear(5, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))


def mean_loss_gradients(model, inputs, count):
    """Gradients of a sum divided by the sample count of all ranks, as the learners do it."""
    (model(inputs).square().sum() / count).backward()


def uneven_gradients(ranks, path):
    """Rank 0 has 3 of the 8 samples, rank 1 the other 5; one parameter is used on rank 1 only, one on none."""
    inputs = torch.randn(8, 5, generator=torch.Generator().manual_seed(0))
    mine = inputs[:3] if ranks.is_main else inputs[3:]
    model = net()
    if not ranks.is_main:  # replicas must become equal whatever they start from
        with torch.no_grad():
            model[0].weight.zero_()
    ranks.broadcast(model.parameters())
    only_there, nowhere = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
    count = ranks.sum(torch.tensor([float(len(mine))])).item()
    mean_loss_gradients(model, mine, count)
    if not ranks.is_main:
        only_there.sum().backward()
    ranks.sum_gradients([*model.parameters(), only_there, nowhere])
    gathered = ranks.gather(torch.tensor([float(ranks.rank)]))
    assert gathered.tolist() == [0.0, 1.0]
    assert only_there.grad.tolist() == [1.0, 1.0]
    assert nowhere.grad is None
    assert ranks.any(not ranks.is_main)
    if ranks.is_main:
        flat = torch.cat([p.grad.flatten() for p in model.parameters()])
        path.write_text(json.dumps(flat.tolist()))


def test_two_ranks_with_unequal_numbers_of_samples_give_the_gradient_of_one(tmp_path):
    launch(uneven_gradients, (tmp_path / "gradients",), ranks=2)
    together = torch.tensor(json.loads((tmp_path / "gradients").read_text()))
    model = net()
    inputs = torch.randn(8, 5, generator=torch.Generator().manual_seed(0))
    mean_loss_gradients(model, inputs, 8)
    alone = torch.cat([p.grad.flatten() for p in model.parameters()])
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=0)


def dies(ranks, how):
    if ranks.rank == 1:
        if how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        raise RlvlaError("the world of rank 1 has vanished")
    for _ in range(1000):
        ranks.sum(torch.zeros(1))
        time.sleep(0.05)


@pytest.mark.parametrize(("how", "line"), [("killed", "rank 1 was ended by SIGKILL"), ("raises", "has vanished")])
def test_a_dead_rank_ends_the_job_within_seconds_with_its_own_reason(how, line):
    start = time.monotonic()
    with pytest.raises(RlvlaError, match=line):
        launch(dies, (how,), ranks=2)
    assert time.monotonic() - start < 40  # two interpreters that import torch on a busy machine; the ranks run for 50 s


def test_environments_must_divide_evenly():
    assert Ranks(0, 2).per_rank(64, "environments") == 32
    with pytest.raises(RlvlaError, match="63 environments cannot be divided evenly over 2 ranks"):
        Ranks(0, 2).per_rank(63, "environments")
