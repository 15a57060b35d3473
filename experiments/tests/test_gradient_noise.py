"""experiments/gradient_noise.py on vectors whose signal is known."""

import pytest
import torch
from gradient_noise import agreement, episodes_at_par


@pytest.mark.parametrize("signal", [0.0, 0.1, 1.0])
def test_the_share_of_the_signal_is_found(signal: float) -> None:
    """Every vector is a common one and noise of variance 1: cosine signal² / (signal² + 1)."""
    noise = torch.Generator().manual_seed(0)
    common = signal * torch.randn(100_000, generator=noise)
    gradients = [common + torch.randn(100_000, generator=noise) for _ in range(8)]
    cosine, error = agreement(gradients, gradients)
    expected = signal**2 / (signal**2 + 1)
    assert cosine == pytest.approx(expected, abs=max(4 * error, 0.004))
    assert error < 0.01


def test_progress_along_others_counts_no_noise_that_both_share() -> None:
    """Signal 0.5 and noise 1; the others have the same noise three times as strong: 0.25 / sqrt(1.25 * 9.25)."""
    noise = torch.Generator().manual_seed(0)
    common = 0.5 * torch.randn(100_000, generator=noise)
    first = [torch.randn(100_000, generator=noise) for _ in range(8)]
    cosine, error = agreement([common + one for one in first], [common + 3 * one for one in first])
    assert cosine == pytest.approx(0.25 / (1.25 * 9.25) ** 0.5, abs=max(4 * error, 0.004))
    assert error < 0.01


def test_twice_the_noise_power_needs_twice_the_episodes() -> None:
    assert episodes_at_par(0.5, 128) == pytest.approx(128)
    assert episodes_at_par(1 / 3, 128) == pytest.approx(256)
    assert episodes_at_par(-0.01, 128) is None
