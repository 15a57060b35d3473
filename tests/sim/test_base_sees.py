"""The shipped base answers questions about scenes that it was not trained on."""

import torch

from rlvla_core.policy.bundle import load_bundle
from rlvla_core.policy.presets import TINY_BASE
from rlvla_sim.config import WorldConfig
from rlvla_sim.pointing import Scenes

SEED = 987
"""No training used it: pretraining draws with seed 0."""


def test_it_finds_the_named_thing():
    """The median error is below 2 cm in each direction, a quarter of what a guess at the mean would have."""
    source = Scenes(WorldConfig())
    drawn = [source.draw(SEED, number) for number in range(96)]
    base = load_bundle(TINY_BASE)
    images = torch.stack([torch.from_numpy(scene.image) for scene in drawn])
    said = base.act(images, [scene.instruction for scene in drawn], temperature=0.0).actions
    true = torch.stack([torch.from_numpy(scene.answer) for scene in drawn])
    error = (said - true)[:, :5].abs().median(0).values
    guess = (true.mean(0) - true)[:, :5].abs().median(0).values
    assert (error < 0.02).all(), error
    assert (error < 0.5 * guess).all(), (error, guess)
    assert (said[:, 6] == true[:, 6]).float().mean() > 0.9
