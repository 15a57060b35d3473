"""What a world is made of: one frozen configuration."""

from dataclasses import dataclass
from typing import Literal

import tyro

from rlvla_core.errors import RlvlaError
from rlvla_sim.episode_sets import episode_set
from rlvla_sim.episodes import EpisodeSet
from rlvla_sim.robots.spec import View

CONTROL_HZ = 5.0
"""Actions a second (paper, section 1.1)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WorldConfig:
    """The put-X-on-Y world."""

    robot: str = "widowx250s"
    """`widowx250s` or `panda`."""
    image_width: int = 64
    """Pixels."""
    image_height: int = 64
    """Pixels. The view is the same at every image shape: a square image of 4:3 is squeezed."""
    view: View = "whole"
    """How much of the paper's camera image there is: all of it, or the window around the workspace. An arm without
    such a window has the whole."""
    supersampling: tyro.conf.Suppress[int] = 2
    """Each pixel is the mean of this many rendered ones in each direction."""
    max_steps: int = 80
    """Time limit of an episode, control steps."""
    episode_set: str = "train"
    """Grid that episode ids index: `train`, `test`, `single`, one of the sixteen tests (docs/tests.md), e.g.
    `unseen-tables`, or several of those joined by `+`."""
    as_released: tyro.conf.Suppress[bool] = False
    """Run the tests with the mistakes of the paper's released code, where it has any (docs/tests.md); the grid's name
    then ends in `/as-released`. Only for comparisons with published numbers."""
    end_on_success: bool = False
    """Terminate an episode once the object, grasped before, is on the receptacle. The paper does not: all episodes run
    to the time limit."""
    assets: Literal["procedural", "paper"] = "procedural"
    """Whose objects, receptacles, tables and WidowX; `paper` reads the folder that RLVLA_ASSETS names."""
    physics_hz: int = 120
    """Physics steps a second; a multiple of the 5 Hz control rate."""

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
