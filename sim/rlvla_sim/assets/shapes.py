"""Building blocks of procedural objects: closed textured parts (lathe, tube, ellipsoid, extrusion, box).

Every part is a closed surface with outward triangles. Lengths are metres, angles degrees. `v` of a part's own
image runs along the profile, path or image rows; `u` runs around.
"""

import itertools
from dataclasses import dataclass, replace

import numpy as np

from rlvla_sim.assets import paint

Skin = np.ndarray | paint.Colour
"""The look of a mesh part: a float image [h, w, 3] or one colour."""


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class MeshPart:
    """A closed textured surface: one building block of an asset's mesh."""

    vertices: np.ndarray
    """float64 [V, 3]."""
    triangles: np.ndarray
    """int64 [F, 3], outward."""
    uvs: np.ndarray
    """float64 [V, 2] in 0..1 of `image`."""
    image: np.ndarray
    """float32 [h, w, 3] in 0..1."""
    solid: bool = True
    """Whether the hull of this part collides; decoration does not."""

    def moved(self, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> "MeshPart":
        """The part, translated by these metres."""
        return replace(self, vertices=self.vertices + np.array([x, y, z]))

    def turned(self, axis: str, degrees: float) -> "MeshPart":
        """The part, rotated about the `x`, `y` or `z` axis through the origin."""
        a, b = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        vertices = self.vertices.copy()
        vertices[:, a] = c * self.vertices[:, a] - s * self.vertices[:, b]
        vertices[:, b] = s * self.vertices[:, a] + c * self.vertices[:, b]
        return replace(self, vertices=vertices)

    def scaled(self, x: float = 1.0, y: float = 1.0, z: float = 1.0) -> "MeshPart":
        """The part, scaled along the axes by positive factors."""
        return replace(self, vertices=self.vertices * np.array([x, y, z]))

    def flattened(self, below: float) -> "MeshPart":
        """The part with everything under z = `below` metres raised to it: a facet to rest on keeps round objects from
        rolling."""
        vertices = self.vertices.copy()
        vertices[:, 2] = np.maximum(vertices[:, 2], below)
        return replace(self, vertices=vertices)

    def decoration(self) -> "MeshPart":
        """The same part without collision."""
        return replace(self, solid=False)


def _skin(skin: Skin) -> np.ndarray:
    return np.asarray(skin, np.float32) if isinstance(skin, np.ndarray) else paint.plain(skin)


def stack(skins: list[Skin]) -> tuple[np.ndarray, list[tuple[float, float]]]:
    """Images above one another, stretched to one width; returns the image and the (v0, v1) range of each.

    Ranges are drawn in by half a texel, so that bilinear filtering does not mix neighbours.
    """
    images = [_skin(s) for s in skins]
    width = max(p.shape[1] for p in images)
    wide = [p if p.shape[1] == width else p[:, (np.arange(width) * p.shape[1]) // width] for p in images]
    edges = np.cumsum([0, *[p.shape[0] for p in wide]])
    total = edges[-1]
    spans = [((a + 0.5) / total, (b - 0.5) / total) for a, b in itertools.pairwise(edges)]
    return np.concatenate(wide), spans


def lathe(profile: list[tuple[float, float]], skins: Skin | list[Skin], segments: int = 16) -> MeshPart:
    """A surface of revolution about z through the profile points (radius, z), listed from the bottom up.

    The first and last point lie on the axis (radius 0). A hollow cup's profile turns back down inside. With a list,
    each stretch between two points has its own skin; a single skin covers all (v = 0 at the first point).
    """
    points = np.array(profile, float)
    stretches = len(points) - 1
    if isinstance(skins, list):
        image, spans = stack(list(skins))
    else:
        image = _skin(skins)
        lengths = np.hypot(*np.diff(points, axis=0).T)
        along = np.concatenate([[0.0], np.cumsum(lengths)]) / lengths.sum()
        spans = list(itertools.pairwise(along))
    angle = np.linspace(0, 2 * np.pi, segments + 1)
    u = np.linspace(0, 1, segments + 1)
    vertices, uvs, triangles = [], [], []
    for k in range(stretches):
        base = 2 * k * (segments + 1)
        for (r, z), v in zip(points[k : k + 2], spans[k], strict=True):
            vertices.append(np.stack([r * np.cos(angle), r * np.sin(angle), np.full(segments + 1, z)], axis=1))
            uvs.append(np.stack([u, np.full(segments + 1, v)], axis=1))
        i = np.arange(segments)
        low, high = base + i, base + segments + 1 + i
        if points[k, 0] > 0:
            triangles.append(np.stack([low, low + 1, high], axis=1))
        if points[k + 1, 0] > 0:
            triangles.append(np.stack([low + 1, high + 1, high], axis=1))
    stacked = np.concatenate(vertices)
    # The seam is one place: sin(2 pi) is not exactly sin(0).
    stacked[segments :: segments + 1] = stacked[0 :: segments + 1]
    return MeshPart(
        vertices=stacked, triangles=np.concatenate(triangles).astype(np.int64), uvs=np.concatenate(uvs), image=image
    )


def ellipsoid(x: float, y: float, z: float, skin: Skin, *, rings: int = 8, segments: int = 12) -> MeshPart:
    """An ellipsoid with the given half-axes."""
    t = np.linspace(-np.pi / 2, np.pi / 2, rings + 1)
    profile = [(float(np.cos(a)), float(np.sin(a))) for a in t]
    profile[0], profile[-1] = (0.0, -1.0), (0.0, 1.0)
    return lathe(profile, skin, segments).scaled(x, y, z)


def tube(
    path: list[tuple[float, float, float]], radii: list[float], skin: Skin, *, segments: int = 10, squash: float = 1.0
) -> MeshPart:
    """A round sweep along a path, closed at both ends; `v` runs along the path, `squash` scales the z thickness.

    The cross-sections keep their orientation from one point to the next (no twist): the path must not run parallel
    to z for its whole length.
    """
    points, radius = np.array(path, float), np.array(radii, float)
    tangents = np.gradient(points, axis=0)
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
    side = np.cross(np.array([0.0, 0.0, 1.0]), tangents[0])
    if np.linalg.norm(side) < 1e-6:
        side = np.array([0.0, 1.0, 0.0])
    angle = np.linspace(0, 2 * np.pi, segments + 1)
    v = np.linspace(0, 1, len(points))
    rings, uvs = [], []
    for k, tangent in enumerate(tangents):
        side = side - tangent * (side @ tangent)
        side /= np.linalg.norm(side)
        up = np.cross(tangent, side)
        offset = np.cos(angle)[:, None] * side + np.sin(angle)[:, None] * up
        offset[-1] = offset[0]
        rings.append(points[k] + radius[k] * offset * np.array([1.0, 1.0, squash]))
        uvs.append(np.stack([angle / (2 * np.pi), np.full(segments + 1, v[k])], axis=1))
    count = segments + 1
    i = np.arange(segments)
    triangles = []
    for k in range(len(points) - 1):
        low, high = k * count + i, (k + 1) * count + i
        triangles += [np.stack([low, low + 1, high], axis=1), np.stack([low + 1, high + 1, high], axis=1)]
    vertices = np.concatenate([*rings, points[:1], points[-1:]])
    first, last = len(vertices) - 2, len(vertices) - 1
    end = (len(points) - 1) * count
    triangles.append(np.stack([np.full(segments, first), i + 1, i], axis=1))
    triangles.append(np.stack([np.full(segments, last), end + i, end + i + 1], axis=1))
    return MeshPart(
        vertices=vertices,
        triangles=np.concatenate(triangles),
        uvs=np.concatenate([*uvs, [[0.5, 0.0], [0.5, 1.0]]]),
        image=_skin(skin),
    )


def extrusion(
    outline: np.ndarray, height: float, *, top: Skin, side: Skin, bottom: Skin | None = None, bevel: float = 0.0
) -> MeshPart:
    """A prism over a counter-clockwise outline [N, 2] that is star-shaped about its mean, from z = 0 to `height`.

    `top` covers the outline's bounding box as seen from above (+y is the image's upper edge); `bevel` draws the top
    edge in by that many metres over the same height.
    """
    outline = np.asarray(outline, float)
    image, (on_top, on_side, on_bottom) = stack([top, side, side if bottom is None else bottom])
    centre = outline.mean(axis=0)
    reach = np.linalg.norm(outline - centre, axis=1, keepdims=True)
    inner = centre + (outline - centre) * (1 - bevel / reach)
    low, high = outline.min(axis=0), outline.max(axis=0)
    n = len(outline)
    vertices: list[np.ndarray] = []
    uvs: list[np.ndarray] = []
    triangles: list[np.ndarray] = []

    def planar(points: np.ndarray, z: float, span: tuple[float, float]) -> int:
        start = sum(len(p) for p in vertices)
        t = (points - low) / (high - low)
        vertices.append(np.column_stack([points, np.full(len(points), z)]))
        uvs.append(np.column_stack([t[:, 0], span[1] + t[:, 1] * (span[0] - span[1])]))
        return start

    i, j = np.arange(n), (np.arange(n) + 1) % n
    start = planar(np.concatenate([inner, centre[None]]), height, on_top)
    triangles.append(np.stack([start + i, start + j, np.full(n, start + n)], axis=1))
    if bevel > 0:
        start = planar(np.concatenate([outline, inner]), height, on_top)
        vertices[-1][:n, 2] = height - bevel
        triangles.append(np.stack([start + i, start + j, start + n + i], axis=1))
        triangles.append(np.stack([start + j, start + n + j, start + n + i], axis=1))
    start = sum(len(p) for p in vertices)
    ring = np.concatenate([outline, outline[:1]])
    u = np.linspace(0, 1, n + 1)
    for z, v in ((0.0, on_side[1]), (height - bevel, on_side[0])):
        vertices.append(np.column_stack([ring, np.full(n + 1, z)]))
        uvs.append(np.column_stack([u, np.full(n + 1, v)]))
    triangles.append(np.stack([start + i, start + i + 1, start + n + 1 + i], axis=1))
    triangles.append(np.stack([start + i + 1, start + n + 2 + i, start + n + 1 + i], axis=1))
    start = planar(np.concatenate([outline, centre[None]]), 0.0, on_bottom)
    triangles.append(np.stack([start + j, start + i, np.full(n, start + n)], axis=1))
    return MeshPart(
        vertices=np.concatenate(vertices), triangles=np.concatenate(triangles), uvs=np.concatenate(uvs), image=image
    )


def disc(radius: float, count: int = 32) -> np.ndarray:
    """A round outline [count, 2]."""
    angle = np.arange(count) * 2 * np.pi / count
    return radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def rectangle(x: float, y: float, corner: float = 0.0, steps: int = 3) -> np.ndarray:
    """A rectangular outline with side lengths x, y and rounded corners of the given radius."""
    if corner <= 0:
        return np.array([[-x, -y], [x, -y], [x, y], [-x, y]]) / 2
    centres = np.array([[x, y], [-x, y], [-x, -y], [x, -y]]) / 2 - corner * np.array(
        [[1, 1], [-1, 1], [-1, -1], [1, -1]]
    )
    turns = [k * np.pi / 2 + np.linspace(0, np.pi / 2, steps + 1) for k in range(4)]
    return np.concatenate(
        [c + corner * np.stack([np.cos(t), np.sin(t)], axis=1) for c, t in zip(centres, turns, strict=True)]
    )


def box(x: float, y: float, z: float, *, top: Skin, side: Skin, corner: float = 0.0, bevel: float = 0.0) -> MeshPart:
    """A box with side lengths x, y, z, standing on z = 0, with rounded vertical edges and a bevelled top."""
    return extrusion(rectangle(x, y, corner), z, top=top, side=side, bevel=bevel)
