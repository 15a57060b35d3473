"""Reading mesh files into coloured triangles: .glb through trimesh, Blender's .dae and .obj directly."""

import itertools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from PIL import Image
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from rlvla_core.errors import RlvlaError

LARGEST_IMAGE = 1024
"""Pixels; larger textures are shrunk when they are read."""
PLAIN = np.full((1, 1, 3), 158, np.uint8)
"""Texture of a mesh without material: mid grey."""


@dataclass(frozen=True, eq=False, slots=True)
class Coloured:
    """Triangles with a texture, as separate corners."""

    corners: np.ndarray
    """float64 [F, 3, 3], metres."""
    uvs: np.ndarray
    """float64 [F, 3, 2], v down the rows of the image; may lie outside 0..1 (the image repeats)."""
    image: np.ndarray
    """uint8 [h, w, 3], sRGB."""


def read_visual(path: Path) -> list[Coloured]:
    """The coloured triangles of a .glb, .dae or .obj file, in the file's own frame.

    Raises RlvlaError for a file that cannot be read as a mesh.
    """
    reader = {".glb": _read_glb, ".dae": _read_dae, ".obj": _read_plain}[path.suffix]
    try:
        return reader(path)
    except (OSError, ValueError, KeyError, IndexError, AttributeError, ElementTree.ParseError) as error:
        raise RlvlaError(f"{path}: not a readable mesh ({error}); copy the file again") from error


def read_obj(path: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """The groups of a Wavefront file ("o" lines) as (vertices float64 [V, 3] of the whole file, triangles [F, 3]);
    polygons become fans."""
    vertices: list[list[float]] = []
    groups: list[list[list[int]]] = [[]]
    for line in path.read_text(encoding="utf-8").splitlines():
        word, *rest = line.split() or [""]
        if word == "v":
            vertices.append([float(x) for x in rest[:3]])
        elif word == "o":
            groups.append([])
        elif word == "f":
            corners = [int(item.split("/")[0]) for item in rest]
            corners = [c - 1 if c > 0 else len(vertices) + c for c in corners]
            groups[-1] += [[corners[0], b, c] for b, c in itertools.pairwise(corners)]
    places = np.array(vertices)
    found = [(places, np.array(group)) for group in groups if group]
    if not found:
        raise ValueError("no faces")
    return found


def collision_parts(path: Path) -> list[np.ndarray]:
    """The points [K, 3] of each convex part of a collision .obj: connected components of each of its groups.

    Raises RlvlaError for a file that cannot be read as a mesh.
    """
    try:
        return [part for vertices, triangles in read_obj(path) for part in connected_parts(vertices, triangles)]
    except (OSError, ValueError, IndexError) as error:
        raise RlvlaError(f"{path}: not a readable mesh ({error}); copy the file again") from error


def connected_parts(vertices: np.ndarray, triangles: np.ndarray) -> list[np.ndarray]:
    """The vertices [K, 3] of each connected component; vertices at the same place count as one."""
    places, index = np.unique(np.round(vertices, 6), axis=0, return_inverse=True)
    faces = index.reshape(-1)[triangles]
    rows, columns = faces[:, [0, 1]].reshape(-1), faces[:, [1, 2]].reshape(-1)
    graph = sparse.coo_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(places),) * 2)
    _, label = connected_components(graph, directed=False)
    used = np.unique(faces)
    return [places[used[label[used] == k]] for k in np.unique(label[used])]


def _shrunk(image: Image.Image) -> np.ndarray:
    image = image.convert("RGB")
    image.thumbnail((LARGEST_IMAGE, LARGEST_IMAGE), Image.Resampling.LANCZOS)
    return np.array(image)


def _srgb(linear: np.ndarray) -> np.ndarray:
    """glTF factors are linear light; textures here are sRGB (IEC 61966-2-1)."""
    x = np.clip(np.asarray(linear, float), 0, 1)
    curve = np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055)
    return np.round(255 * curve).astype(np.uint8)


def _read_glb(path: Path) -> list[Coloured]:
    import trimesh

    patches = []
    part: Any
    for part in trimesh.load_scene(path).dump():
        material = part.visual.material
        uvs, texture = part.visual.uv, material.baseColorTexture
        if texture is not None and uvs is not None:
            image = _shrunk(texture)
        else:
            factor = material.baseColorFactor
            linear = np.ones(3) if factor is None else np.asarray(factor, float)[:3] / 255
            image = _srgb(linear).reshape(1, 1, 3)
        places = np.zeros((len(part.vertices), 2)) if uvs is None else np.asarray(uvs, float) * [1, -1] + [0, 1]
        patches.append(Coloured(np.asarray(part.vertices, float)[part.faces], places[part.faces], image))
    return patches


def _read_plain(path: Path) -> list[Coloured]:
    return [Coloured(vertices[faces], np.zeros((len(faces), 3, 2)), PLAIN) for vertices, faces in read_obj(path)]


def _read_dae(path: Path) -> list[Coloured]:
    """COLLADA 1.4 as Blender writes it: one geometry a node, triangles, one image."""
    text = re.sub(r'\sxmlns="[^"]+"', "", path.read_text(encoding="utf-8"), count=1)
    root = ElementTree.fromstring(text)
    image_name = root.findtext(".//library_images/image/init_from")
    image = PLAIN if image_name is None else _shrunk(Image.open(path.parent / Path(image_name).name))

    def numbers(element: ElementTree.Element | None) -> np.ndarray:
        return np.array((element.text or "").split() if element is not None else [], float)

    patches = []
    for node in root.iterfind(".//visual_scene//node"):
        instance = node.find("instance_geometry")
        if instance is None:
            continue
        geometry = next(g for g in root.iterfind(".//geometry") if g.get("id") == instance.attrib["url"][1:])
        sources = {s.attrib["id"]: numbers(s.find("float_array")) for s in geometry.iterfind(".//source")}
        positions = sources[geometry.find(".//vertices/input").attrib["source"][1:]].reshape(-1, 3)  # type: ignore[union-attr]
        matrix = node.find("matrix")
        frame = np.eye(4) if matrix is None else numbers(matrix).reshape(4, 4)
        positions = positions @ frame[:3, :3].T + frame[:3, 3]
        for group in geometry.iterfind(".//triangles"):
            inputs = {i.attrib["semantic"]: i for i in group.iterfind("input")}
            stride = 1 + max(int(i.attrib["offset"]) for i in inputs.values())
            index = numbers(group.find("p")).astype(int).reshape(-1, 3, stride)
            corners = positions[index[..., int(inputs["VERTEX"].attrib["offset"])]]
            uvs = np.zeros((*corners.shape[:2], 2))
            if "TEXCOORD" in inputs:
                coordinates = sources[inputs["TEXCOORD"].attrib["source"][1:]].reshape(-1, 2)
                uvs = coordinates[index[..., int(inputs["TEXCOORD"].attrib["offset"])]] * [1, -1] + [0, 1]
            patches.append(Coloured(corners, uvs, image))
    return patches
