"""The warm-up: it learns, it sees, and its bundle is what was trained."""

from dataclasses import replace

import pytest
import torch
from small_world import SFT, demonstrations, run_sft, small_policy

from rlvla_core import seeds
from rlvla_core.data.frames import jitter, split
from rlvla_core.data.subset import Subset
from rlvla_core.errors import RlvlaError
from rlvla_core.learning import bundle_check
from rlvla_core.learning.algorithms.sft import SftConfig
from rlvla_core.learning.distributed import Ranks, launch
from rlvla_core.policy.bundle import load_bundle
from rlvla_core.runs import RunDirectory


def test_it_learns_what_is_the_same_in_every_frame_and_where_things_are(tmp_path):
    config = replace(SFT, epochs=12.0, lr=3e-3, lr_warmup_steps=10, label_sigma=0.0, holdout=0.1)
    _, summary = run_sft(Ranks(), tmp_path / "run", config)
    records = RunDirectory.open_read_only(tmp_path / "run").journal.read()
    assert summary.holdout_accuracy > 5 / 7 - 0.01  # four rotations and heights of zero, and the open gripper
    assert records[-1]["localisation_loss"] < records[0]["localisation_loss"] - 0.1
    assert records[-1]["lr"] < 0.05 * config.lr


def sft_on_ranks(ranks, path):
    run_sft(ranks, path, replace(SFT, epochs=0.5, label_sigma=0.0, colour_jitter=0.0))


def test_two_ranks_follow_the_loss_of_one(tmp_path):
    launch(sft_on_ranks, (tmp_path / "two",), ranks=2)
    sft_on_ranks(Ranks(), tmp_path / "one")
    one, two = (RunDirectory.open_read_only(tmp_path / name).journal.read()[-1] for name in ("one", "two"))
    for name in ("loss", "localisation_loss", "gradient_norm", "holdout_loss"):
        assert one[name] == pytest.approx(two[name], rel=1e-4)


def test_held_out_frames_are_whole_episodes():
    episodes = torch.tensor([0, 0, 0, 1, 1, 2, 2, 2, 2, 3])
    training, held_out = split(episodes, 0.5, seed=0)
    assert sorted([*training.tolist(), *held_out.tolist()]) == list(range(10))
    assert not set(episodes[training].tolist()) & set(episodes[held_out].tolist())
    assert len(set(episodes[held_out].tolist())) == 2


def test_jitter_changes_colours_within_bounds_and_never_moves_anything():
    images = torch.full((4, 8, 8, 3), 100, dtype=torch.uint8)
    images[:, 2, 3] = 200
    shaken = jitter(images, 0.2, seeds.generator(0, "test"))
    assert not torch.equal(shaken[0], shaken[1])
    flat = shaken.flatten(1, 2)
    for image in flat:
        assert len(image.unique(dim=0)) == 2
    assert ((shaken[:, 2, 3].float() - shaken[:, 0, 0].float()) > 70).all()
    assert (shaken[:, 0, 0].float() - 100).abs().max() <= 0.2 * 100 + 0.2 * 128 + 1
    assert jitter(images, 0.0, seeds.generator(0, "test")) is images


def test_a_bundle_that_acts_differently_is_refused(tmp_path, monkeypatch):
    data, spec = demonstrations(16)
    policy, frames = small_policy(), data.frames(torch.arange(16))
    bundle_check.save_same_tokens_bundle(policy, frames, tmp_path / "good", spec=spec, provenance={})

    def damaged(directory, *, device):
        other = load_bundle(directory, device=device)
        torch.nn.init.normal_(other.model.language_model.lm_head.weight)
        return other

    monkeypatch.setattr(bundle_check, "load_bundle", damaged)
    with pytest.raises(RlvlaError, match="acts differently"):
        bundle_check.save_same_tokens_bundle(policy, frames, tmp_path / "bad", spec=spec, provenance={})


def test_bad_settings_are_one_line():
    with pytest.raises(RlvlaError, match="multiple of 20, got 30"):
        SftConfig(checkpoint_every=30)
    with pytest.raises(RlvlaError, match=r"sft\.batch must be positive and finite, got 0"):
        SftConfig(batch=0)


def test_towers_can_be_left_as_they_are(tmp_path):
    fresh = small_policy()
    policy, _ = run_sft(Ranks(), tmp_path / "run", replace(SFT, epochs=0.5, train_vision=False))
    for name, value in policy.model.state_dict().items():
        assert torch.equal(value, fresh.model.state_dict()[name]) == name.startswith("vision_backbone."), name


def test_subsets_are_whole_episodes_and_smaller_ones_lie_within_larger_ones():
    data, _ = demonstrations(32)
    images = {}
    for count in (3, 8, 32):
        subset = Subset(data, count, seed=1)
        assert subset.episode_index.unique().tolist() == list(range(count))
        frames = subset.frames(torch.arange(subset.num_frames))
        assert frames.actions.shape == (subset.num_frames, 7)
        images[count] = {image.numpy().tobytes() for image in frames.images}
        lengths = torch.bincount(subset.episode_index)
        assert set(lengths.tolist()) <= set(torch.bincount(data.episode_index).tolist())
    assert images[3] < images[8] < images[32]
    with pytest.raises(RlvlaError, match="33 episodes of a dataset of 32"):
        Subset(data, 33, seed=1)
