"""A light copy of a heavy mesh: fewer triangles, and one texture with the colours of the original.

Simplification does not keep texture coordinates, and many files mix several materials. So every triangle of the
light mesh gets its own rectangle of a new texture, as large as the triangle, and each texel the colour of the nearest
point on the original.
"""

import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

from rlvla_sim.assets.asset import Mesh
from rlvla_sim.assets.build import corner_normals
from rlvla_sim.assets.mesh_files import Coloured

FACE_LIMIT = 1500
"""Triangles of a light mesh."""
TEXTURE_SIDE = 320
"""Texels along a side of a baked texture."""
FINEST = 6000.0
"""Highest useful resolution, texels per metre: the camera sees about one pixel per millimetre."""
TORN = 0.04
"""Fraction of border edges above which a mesh counts as torn into patches."""
SAMPLES = 120_000
"""Colour samples on the original's surface."""
FACING = 0.004
"""Metres by which two surfaces that face opposite ways count as further apart: the two sides of a sheet keep their own
colours."""


def bake(patches: list[Coloured], *, seed: int = 0) -> Mesh:
    """The light mesh of the given coloured triangles, in the same frame."""
    vertices, triangles = _simplified(np.concatenate([p.corners for p in patches]))
    triangles = _longest_edge_first(vertices, triangles)
    corners = vertices[triangles]
    normals = corner_normals(vertices, triangles)
    points, facing, colours = _sample(patches, np.random.default_rng(seed))
    tree = cKDTree(np.concatenate([points, FACING * facing], axis=1))

    size, place, foot = _packed(corners)
    texels, turned, targets = [], [], []
    for k, ((width, height), (column, row)) in enumerate(zip(size, place, strict=True)):
        j, i = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
        # Weights of the three corners; texels outside the triangle take the colour of a point on its edge, as a
        # border for filtering.
        c = j / (height - 1)
        b = i / (width - 1) - foot[k] * c
        weights = np.clip(np.stack([1 - b - c, b, c], axis=-1).reshape(-1, 3), 0, None)
        weights /= weights.sum(axis=1, keepdims=True)
        texels.append(weights @ corners[k])
        turned.append(weights @ normals[k])
        targets.append(((row + j) * TEXTURE_SIDE + column + i).reshape(-1))
    where = np.concatenate([np.concatenate(texels), FACING * np.concatenate(turned)], axis=1)
    _, nearest = tree.query(where, k=3)
    texture = np.zeros((TEXTURE_SIDE * TEXTURE_SIDE, 3), np.uint8)
    empty = np.ones(len(texture), bool)
    painted = np.concatenate(targets)
    texture[painted], empty[painted] = np.round(colours[nearest].mean(axis=1)), False
    # Texels between the rectangles copy a neighbour: coarser mipmap levels mix them in.
    rows, columns = distance_transform_edt(
        empty.reshape(TEXTURE_SIDE, TEXTURE_SIDE), return_distances=False, return_indices=True
    )
    texture = texture.reshape(TEXTURE_SIDE, TEXTURE_SIDE, 3)[rows, columns]

    last = size - 1
    tips = np.stack(
        [np.zeros_like(last, float), last * [1.0, 0.0], last * np.stack([foot, np.ones_like(foot)], axis=1)]
    )
    uvs = (place[:, None] + 0.5 + tips.transpose(1, 0, 2)) / TEXTURE_SIDE
    return Mesh(
        vertices=corners.reshape(-1, 3).astype(np.float32),
        triangles=np.arange(3 * len(triangles), dtype=np.int32).reshape(-1, 3),
        uvs=uvs.reshape(-1, 2).astype(np.float32),
        texture=texture,
        normals=normals.reshape(-1, 3).astype(np.float32),
    )


def _longest_edge_first(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    corners = vertices[triangles]
    edges = np.linalg.norm(np.roll(corners, -1, axis=1) - corners, axis=2)
    turn = (edges.argmax(axis=1)[:, None] + np.arange(3)) % 3
    return np.take_along_axis(triangles, turn, axis=1)


def _packed(corners: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rectangles for triangles [F, 3, 3] whose first edge is the longest, packed in shelves.

    Returns the sizes (width, height) and places (column, row), int64 [F, 2], in texels, and how far along the first
    edge the third corner stands, float [F] in 0..1. All have the same texels per metre, the most that fit.
    """
    edge, arm = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    length = np.linalg.norm(edge, axis=1)
    foot = np.einsum("fd,fd->f", arm, edge) / length**2
    altitude = np.linalg.norm(arm - foot[:, None] * edge, axis=1)
    scale = FINEST
    while True:
        size = np.maximum(np.ceil(np.stack([length, altitude], axis=1) * scale).astype(int) + 1, 2)
        place = np.zeros_like(size)
        column, row, shelf = 0, 0, 0
        for k in np.argsort(-size[:, 1], kind="stable"):
            if column + size[k, 0] > TEXTURE_SIDE:
                column, row, shelf = 0, row + shelf, 0
            place[k] = column, row
            column, shelf = column + size[k, 0], max(shelf, size[k, 1])
        if row + shelf <= TEXTURE_SIDE and size[:, 0].max() <= TEXTURE_SIDE:
            return size, place, foot
        scale *= 0.93


def _simplified(corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and triangles with at most about FACE_LIMIT faces; corners at the same place become one vertex."""
    import fast_simplification

    vertices, triangles = _joined(corners.reshape(-1, 3), np.arange(corners.shape[0] * 3).reshape(-1, 3), 1e-6)
    if len(triangles) > FACE_LIMIT:
        edges = np.sort(triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
        _, uses = np.unique(edges, axis=0, return_counts=True)
        if (uses == 1).mean() > TORN:
            # Collapsing edges tears such a mesh further; joining all vertices within a cell closes it.
            cell = 0.001
            while len(triangles) > FACE_LIMIT:
                vertices, triangles = _joined(vertices, triangles, cell)
                cell *= 1.1
        else:
            vertices, triangles = fast_simplification.simplify(
                vertices.astype(np.float32), triangles.astype(np.int32), target_count=FACE_LIMIT
            )
    a, b, c = (vertices[triangles[:, k]].astype(float) for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    return vertices.astype(float), triangles[area > 1e-10]


def _joined(vertices: np.ndarray, triangles: np.ndarray, cell: float) -> tuple[np.ndarray, np.ndarray]:
    """The vertices of each cell of that many metres become their mean; collapsed and repeated triangles go."""
    _, index, count = np.unique(np.round(vertices / cell).astype(int), axis=0, return_inverse=True, return_counts=True)
    index = index.reshape(-1)
    mean = np.stack([np.bincount(index, vertices[:, d]) for d in range(3)], axis=1) / count[:, None]
    faces = index[triangles]
    faces = faces[(faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])]
    first = faces.argmin(axis=1)
    return mean, np.unique(np.take_along_axis(faces, (first[:, None] + np.arange(3)) % 3, axis=1), axis=0)


def _sample(patches: list[Coloured], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points [S, 3], unit normals [S, 3] and colours [S, 3] spread evenly over the surface."""
    crosses = [np.cross(p.corners[:, 1] - p.corners[:, 0], p.corners[:, 2] - p.corners[:, 0]) for p in patches]
    areas = [np.linalg.norm(x, axis=1) for x in crosses]
    total = sum(a.sum() for a in areas)
    points, normals, colours = [], [], []
    for patch, cross, area in zip(patches, crosses, areas, strict=True):
        count = max(1, int(SAMPLES * area.sum() / total))
        face = rng.choice(len(area), count, p=area / area.sum())
        u, v = rng.random((2, count))
        over = u + v > 1
        u, v = np.where(over, 1 - u, u), np.where(over, 1 - v, v)
        weights = np.stack([1 - u - v, u, v], axis=1)
        height, width = patch.image.shape[:2]
        at = np.einsum("sk,skd->sd", weights, patch.uvs[face])
        column = np.floor((at[:, 0] % 1) * width).astype(int) % width
        row = np.floor((at[:, 1] % 1) * height).astype(int) % height
        points.append(np.einsum("sk,skd->sd", weights, patch.corners[face]))
        normals.append(cross[face] / area[face, None])
        colours.append(patch.image[row, column].astype(float))
    return np.concatenate(points), np.concatenate(normals), np.concatenate(colours)
