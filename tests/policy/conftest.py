"""Shared pieces of the policy tests."""

import os
from pathlib import Path

import pytest
import torch

from rlvla_core.policy.norm_stats import BRIDGE_ORIG
from rlvla_core.policy.policy import VLAPolicy

ROOT = Path(__file__).resolve().parents[2]
PARITY_DEFAULT = ROOT.parent / "shared" / "parity" / "openvla_tiny"


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """The matrices are tiny: a second thread only waits."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def parity_directory() -> Path:
    """The recorded numbers of the original classes. They are not part of the repository."""
    directory = Path(os.environ.get("RLVLA_PARITY", PARITY_DEFAULT))
    if not directory.is_dir():
        if "RLVLA_PARITY" in os.environ:
            pytest.fail(f"RLVLA_PARITY names {directory}, which does not exist")
        pytest.skip("no parity fixture: set RLVLA_PARITY to a directory of recorded OpenVLA numbers")
    return directory


@pytest.fixture
def policy() -> VLAPolicy:
    """A fresh tiny policy."""
    return VLAPolicy.from_preset("tiny", BRIDGE_ORIG, seed=1)


@pytest.fixture
def images() -> torch.Tensor:
    """Three random images, uint8 [3, 64, 64, 3]."""
    return torch.randint(0, 256, (3, 64, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


INSTRUCTIONS = ["put carrot on plate", "pick up the golf ball and set it down on the cutting board", "push the puck"]


@pytest.fixture
def instructions() -> list[str]:
    """Three sentences of different length, so that a batch is padded."""
    return list(INSTRUCTIONS)
