"""experiments/gradient_noise.py on vectors whose signal is known, and on a run of PPO on the toy problem."""

import json

import gradient_noise
import pytest
import torch
from gradient_noise import agreement, episodes_at_par
from small_world import TOY, small_policy
from toy_commands import ToyTrainPpo

from rlvla_core.learning.algorithms.ppo import PpoConfig
from rlvla_core.policy.bundle import save_bundle
from rlvla_core.policy.deploy import DeploySpec
from rlvla_core.toy import make_toy_env


@pytest.mark.parametrize("signal", [0.0, 0.1, 1.0])
def test_the_fraction_of_the_signal_is_found(signal: float) -> None:
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


def test_the_noise_of_gradients_is_measured_without_learning(tmp_path, capsys, monkeypatch):
    """Three different rollouts give three gradients; the same rollout three times gives the same gradient, so each is
    taken from the run's own policy."""
    start, run, policy = tmp_path / "start", tmp_path / "ppo", small_policy()
    save_bundle(policy, start, deploy=DeploySpec.from_env(make_toy_env(TOY, 1).spec, policy), provenance={})
    ppo = PpoConfig(iterations=1, num_envs=8, minibatch=16, value_warmup_iterations=0, verify_episodes=8)
    monkeypatch.setattr(gradient_noise, "TrainPpo", ToyTrainPpo)
    ToyTrainPpo(policy=str(start), directory=run, ppo=ppo, ranks=1).run()

    def cosines(*more, lam=f"{ppo.lam:g}", cosine="cosine"):
        capsys.readouterr()
        monkeypatch.setattr("sys.argv", ["gradient_noise.py", str(run), "--rollouts", "3", "--ranks", "1", *more])
        assert gradient_noise.main() == 0
        line = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert (line["iteration"], line["episodes"]) == (1, 8)
        return [line[name][lam][cosine] for name in ("plain", "scaled")]

    assert all(abs(cosine) < 0.9 for cosine in cosines())
    play = gradient_noise.play
    monkeypatch.setattr(gradient_noise, "play", lambda learner, env, number: play(learner, env, 1))
    # Only the order of the sums differs: the shuffle of the steps counts on.
    assert cosines() == pytest.approx([1.0, 1.0], abs=1e-4)
    # Another lambda gives another gradient of the same rollout, judged by the first one's.
    both = ["--lam", "0.95", "0"]
    assert cosines(*both, lam="0") == pytest.approx([1.0, 1.0], abs=1e-4)
    along = cosines(*both, lam="0", cosine="along")
    assert all(0.05 < abs(cosine) < 0.99 for cosine in along)
    assert cosines(*both, lam="0.95", cosine="along") == pytest.approx([1.0, 1.0], abs=1e-4)
    monkeypatch.setattr("sys.argv", ["gradient_noise.py", str(run), "--ranks", "1", "--lam", "0.95", "1.5"])
    assert gradient_noise.main() == 1
    assert "1.5" in capsys.readouterr().err
