"""benchmarks/gradient_noise.py on vectors whose signal is known."""

import pytest
import torch
from gradient_noise import agreement, episodes_at_par


@pytest.mark.parametrize("signal", [0.0, 0.1, 1.0])
def test_the_share_of_the_signal_is_found(signal: float) -> None:
    """Every vector is a common one and noise of variance 1: cosine signal² / (signal² + 1)."""
    noise = torch.Generator().manual_seed(0)
    common = signal * torch.randn(100_000, generator=noise)
    cosine, error = agreement([common + torch.randn(100_000, generator=noise) for _ in range(8)])
    expected = signal**2 / (signal**2 + 1)
    assert cosine == pytest.approx(expected, abs=max(4 * error, 0.004))
    assert error < 0.01


def test_twice_the_noise_power_needs_twice_the_episodes() -> None:
    assert episodes_at_par(0.5, 128) == pytest.approx(128)
    assert episodes_at_par(1 / 3, 128) == pytest.approx(256)
    assert episodes_at_par(-0.01, 128) is None
