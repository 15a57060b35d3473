"""From parts to an asset: one mesh with one texture, smooth normals, convex collision parts."""

import numpy as np
from scipy import sparse
from scipy.spatial import ConvexHull

from rlvla_sim.assets import paint
from rlvla_sim.assets.asset import HULL_LIMIT, Mesh, ObjectAsset
from rlvla_sim.assets.shapes import MeshPart, stack

CREASE = np.cos(np.radians(50.0))
"""Cosine of the crease angle: faces that meet at less than 50 degrees are shaded as one smooth surface."""


FOOT = 2e-4
"""Metres above its lowest point within which a part is taken to rest on a table."""


def convex_hull(points: np.ndarray) -> np.ndarray:
    """Hull vertices, float32 [K, 3] with K <= 64, of points [N, 3].

    Larger hulls keep the outline of the face that they rest on (else they would roll) and their extreme points along
    the axes and in evenly spread directions.
    """
    points = np.unique(np.round(np.asarray(points, float), 7), axis=0)
    hull = points[ConvexHull(points).vertices]
    if len(hull) > HULL_LIMIT:
        foot = np.flatnonzero(hull[:, 2] < hull[:, 2].min() + FOOT)
        turn = np.arange(HULL_LIMIT // 3) * 2 * np.pi / (HULL_LIMIT // 3)
        around = np.stack([np.cos(turn), np.sin(turn)], axis=1)
        foot = foot[np.unique(np.argmax(around @ (hull[foot, :2] - hull[foot, :2].mean(axis=0)).T, axis=1))]
        count = HULL_LIMIT - 6 - len(foot)
        k = np.arange(count) + 0.5
        z, turn = 1 - 2 * k / count, k * np.pi * (3 - np.sqrt(5))
        ring = np.sqrt(1 - z * z)
        spread = np.stack([ring * np.cos(turn), ring * np.sin(turn), z], axis=1)
        directions = np.concatenate([spread, np.eye(3), -np.eye(3)])
        extreme = np.argmax(directions @ (hull - hull.mean(axis=0)).T, axis=1)
        hull = hull[np.unique(np.concatenate([foot, extreme]))]
    return hull.astype(np.float32)


def corner_normals(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Unit normals [F, 3, 3] of every triangle corner: the area-weighted mean over the faces at the same place that
    turn away by less than the crease angle."""
    corners = vertices[triangles]
    face = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    unit = face / np.maximum(np.linalg.norm(face, axis=1, keepdims=True), 1e-18)
    _, place = np.unique(np.round(vertices, 7), axis=0, return_inverse=True)
    at = place.reshape(-1)[triangles.reshape(-1)]
    owner = np.repeat(np.arange(len(triangles)), 3)
    here = sparse.csr_matrix((np.ones(len(at)), (np.arange(len(at)), at)))
    pairs = (here @ here.T).tocoo()
    together = np.einsum("ij,ij->i", unit[owner[pairs.row]], unit[owner[pairs.col]]) > CREASE
    total = np.zeros((len(at), 3))
    np.add.at(total, pairs.row[together], face[owner[pairs.col[together]]])
    length = np.linalg.norm(total, axis=1, keepdims=True)
    return np.where(length > 1e-18, total / np.maximum(length, 1e-18), unit[owner]).reshape(-1, 3, 3)


def merge(parts: list[MeshPart]) -> Mesh:
    """One mesh with one texture from several parts, in the frame of the parts."""
    image, spans = stack([p.image for p in parts])
    width = image.shape[1]
    places, uvs, normals = [], [], []
    for part, (v0, v1) in zip(parts, spans, strict=True):
        corners = part.vertices[part.triangles]
        area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
        triangles = part.triangles[area > 1e-12]  # `flattened` may leave triangles without area
        u = 0.5 / width + part.uvs[:, 0] * (1 - 1 / width)
        v = v0 + part.uvs[:, 1] * (v1 - v0)
        places.append(part.vertices[triangles].reshape(-1, 3))
        uvs.append(np.stack([u, v], axis=1)[triangles].reshape(-1, 2))
        normals.append(corner_normals(part.vertices, triangles).reshape(-1, 3))
    columns = [np.concatenate(c) for c in (places, uvs, normals)]
    corner = np.round(np.concatenate(columns, axis=1), 6)
    unique, index = np.unique(corner, axis=0, return_inverse=True)
    return Mesh(
        vertices=unique[:, :3].astype(np.float32),
        triangles=index.reshape(-1, 3).astype(np.int32),
        uvs=unique[:, 3:5].astype(np.float32),
        texture=paint.to_bytes(image),
        normals=(unique[:, 5:] / np.linalg.norm(unique[:, 5:], axis=1, keepdims=True)).astype(np.float32),
    )


def assemble(
    name: str, density: float, parts: list[MeshPart], *, hulls: list[MeshPart] | None = None, base_at_zero: bool = False
) -> ObjectAsset:
    """An asset from its parts, moved so that the origin is the centre of the bounding box (and on its base where
    `base_at_zero`). Each of `hulls` (default: each solid part) collides as its convex hull."""
    everything = np.concatenate([p.vertices for p in parts])
    low, high = everything.min(axis=0), everything.max(axis=0)
    origin = (low + high) / 2
    if base_at_zero:
        origin[2] = low[2]
    placed = [p.moved(*-origin) for p in parts]
    return ObjectAsset(
        name=name,
        density=density,
        visual=merge(placed),
        collision=tuple(convex_hull(p.vertices - origin) for p in (parts if hulls is None else hulls) if p.solid),
    )
