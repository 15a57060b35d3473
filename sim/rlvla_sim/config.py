"""Configuration of the simulated put-X-on-Y world."""

from dataclasses import dataclass
from typing import Literal

import tyro

from rlvla_core.errors import RlvlaError
from rlvla_sim.episode_sets import episode_set
from rlvla_sim.episodes import EpisodeSet
from rlvla_sim.robots.spec import View

CONTROL_HZ = 5.0
"""Control rate: actions per second (paper, section 1.1)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WorldConfig:
    """The simulated put-X-on-Y world: robot, camera image, episodes and physics."""

    robot: str = "widowx250s"
    """Arm in the simulated world: `widowx250s` or `panda`."""
    image_width: int = 64
    """Width of the camera image, pixels."""
    image_height: int = 64
    """Height of the camera image, pixels. Every aspect ratio shows the same view: a square image is the 4:3 one
    squeezed."""
    view: View = "whole"
    """Part of the paper's camera image to show: `whole`, or `workspace`, a window around the table's working area (the
    Panda has no such window and shows the whole)."""
    supersampling: tyro.conf.Suppress[int] = 2
    """Rendered pixels per image pixel in each direction; an image pixel is their mean. Not a command-line option."""
    max_steps: int = 80
    """Time limit of an episode, in control steps."""
    episode_set: str = "train"
    """Episode set that episode ids index: `train`, `test`, `single`, one of the sixteen tests such as
    `unseen-tables` (docs/reference/ood_shifts.md), or several of those joined by `+`."""
    as_released: tyro.conf.Suppress[bool] = False
    """Use the out-of-distribution episode sets with the mistakes of the paper's released code, where it has any
    (docs/reference/ood_shifts.md); the set's name then ends in `/as-released`. Only for comparisons with published
    numbers, and so not a command-line option."""
    end_on_success: bool = False
    """End an episode as soon as the object, once grasped, is on the receptacle; otherwise every episode runs to the
    time limit, as in the paper."""
    assets: Literal["procedural", "paper"] = "procedural"
    """Which assets to use: `procedural` (generated, shipped) or `paper` (RL4VLA's, from the folder in
    $RLVLA_ASSETS)."""
    physics_hz: int = 120
    """Physics steps per second; a multiple of the 5 Hz control rate."""

    def __post_init__(self) -> None:
        if min(self.image_width, self.image_height) < 8 or max(self.image_width, self.image_height) > 2048:
            raise RlvlaError(f"image size {self.image_width} x {self.image_height}: each side must be 8 .. 2048 pixels")
        if not 1 <= self.supersampling <= 8:
            raise RlvlaError(f"supersampling {self.supersampling}: use 1 .. 8")
        if self.max_steps < 1:
            raise RlvlaError(f"max_steps {self.max_steps}: an episode needs at least one step")
        if self.physics_hz < 30 or self.physics_hz % CONTROL_HZ:
            raise RlvlaError(f"physics_hz {self.physics_hz}: use a multiple of {CONTROL_HZ:g} that is at least 30")

    @property
    def episodes(self) -> EpisodeSet:
        """The set of this world's episodes; raises RlvlaError for an unknown name."""
        return episode_set(self.episode_set, self.as_released)

    @property
    def substeps(self) -> int:
        """Physics steps in one control step."""
        return int(self.physics_hz / CONTROL_HZ)
