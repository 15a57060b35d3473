"""The kinds of assets: a mesh with one texture, an object with its collision parts, an image.

Units are metres and kilograms; z points up. An object's frame is its resting pose on a table: origin at the centre
of its bounding box. A receptacle's frame has its origin on the table under the centre of its bounding box (base at
z = 0).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image

from rlvla_core.errors import RlvlaError
from rlvla_core.geometry.camera import WHOLE, Window

HULL_LIMIT = 64
"""Most vertices of one convex collision part (the limit of PhysX on a GPU)."""

IMAGE_SIZE = (640, 480)
"""Width and height [pixels] that images are drawn or stored at."""


@dataclass(frozen=True, eq=False, slots=True)
class Mesh:
    """A triangle mesh with one texture: one draw call."""

    vertices: np.ndarray
    """float32 [V, 3], metres."""
    triangles: np.ndarray
    """int32 [F, 3], counter-clockwise seen from outside."""
    uvs: np.ndarray
    """float32 [V, 2]: u along the texture's columns, v along its rows; (0, 0) is the corner of `texture[0, 0]`."""
    texture: np.ndarray
    """uint8 [h, w, 3], sRGB."""
    normals: np.ndarray
    """float32 [V, 3], unit length, outward."""


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class ObjectAsset:
    """A rigid object: its visual mesh, its collision parts and its density."""

    name: str
    """Name of the object in instructions, e.g. `carrot`."""
    density: float
    """Kilograms per cubic metre of the collision parts."""
    visual: Mesh
    collision: tuple[np.ndarray, ...]
    """Convex parts, each float32 [K, 3] hull vertices with K <= 64."""

    @property
    def aabb_min(self) -> np.ndarray:
        """Lower corner [3] of the bounding box of the visual mesh, asset frame, metres."""
        return self.visual.vertices.min(axis=0)

    @property
    def aabb_max(self) -> np.ndarray:
        """Upper corner [3] of the bounding box of the visual mesh, asset frame, metres."""
        return self.visual.vertices.max(axis=0)


@dataclass(frozen=True, eq=False, slots=True)
class ImageAsset:
    """A named image that is drawn (or read) when it is first needed."""

    name: str
    draw: Callable[[], np.ndarray]
    """Returns uint8 [480, 640, 3]."""

    def image(self, width: int, height: int, window: Window = WHOLE) -> np.ndarray:
        """A window of the image, resized to `width` x `height`: uint8 [height, width, 3], read-only (copy it to write).

        The content is resized anisotropically, as a policy's own resize would do. Raises RlvlaError for a size
        below one pixel.
        """
        if width < 1 or height < 1:
            raise RlvlaError(f"an image of {width} x {height} pixels: width and height must be at least 1")
        return _image(self, width, height, window)


@dataclass(frozen=True, eq=False, slots=True)
class TableAsset(ImageAsset):
    """A table top and the room around it as the third-person camera sees them: the overlay behind robot and objects."""


@dataclass(frozen=True, eq=False, slots=True)
class TextureAsset(ImageAsset):
    """A busy pattern that is blended over the image for visual shifts (paper, section 2: dynamic texture, noise)."""


@lru_cache(maxsize=96)
def _image(asset: ImageAsset, width: int, height: int, window: Window) -> np.ndarray:
    image = Image.fromarray(asset.draw())
    left, top = window.left * image.width, window.top * image.height
    box = (left, top, left + window.width * image.width, top + window.height * image.height)
    image = image.resize((width, height), Image.Resampling.LANCZOS, box=box)
    pixels = np.array(image)
    pixels.setflags(write=False)
    return pixels


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Catalogue:
    """All assets that episodes choose from; within each tuple the training assets come first."""

    name: str
    objects: tuple[ObjectAsset, ...]
    receptacles: tuple[ObjectAsset, ...]
    tables: tuple[TableAsset, ...]
    textures: tuple[TextureAsset, ...]
    """One for each of the shifts' texture indices 1 .. 16, in order."""
    num_train_objects: int = 16
    num_train_receptacles: int = 1
    num_train_tables: int = 16
