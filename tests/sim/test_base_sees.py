"""The shipped base answers questions about scenes that it was not trained on."""

import torch

from rlvla_core.policy.bundle import load_bundle
from rlvla_core.policy.presets import TINY_BASE
from rlvla_sim.config import WorldConfig
from rlvla_sim.pointing import Scenes
from rlvla_sim.questions import stretched

SEED = 987
"""No training used it: pretraining draws with seed 0."""


def test_it_finds_the_named_thing():
    """Where the hand is not over the object anyway, half of the answers are within 1 cm in each direction, and much
    better than a guess at the mean; so are the turns that grasps need, where they need one."""
    source = Scenes(WorldConfig())
    drawn = [source.draw(SEED, number) for number in range(160)]
    base = load_bundle(TINY_BASE)
    images = torch.stack([torch.from_numpy(scene.image) for scene in drawn])
    said = base.act(images, [scene.instruction for scene in drawn], temperature=0.0).actions
    true = torch.stack([torch.from_numpy(scene.answer) for scene in drawn])
    assert (said[:, 6] == true[:, 6]).float().mean() > 0.85  # free hand or not
    turned = true[:, 5].abs() > 0.2
    assert turned.sum() > 20
    assert (said - true)[turned, 5].abs().median() < 0.6 * true[turned, 5].abs().median()
    said, true = (torch.from_numpy(stretched(answers[:, :5].numpy())) for answers in (said, true))  # metres
    away = true[:, :2].norm(dim=1) > 0.02
    assert away.sum() > 40
    said, true = said[away], true[away]
    error, guess = (said - true).abs().median(0).values, (true.mean(0) - true).abs().median(0).values
    assert (error < 0.010).all(), error
    assert (error < 0.5 * guess).all(), (error, guess)
