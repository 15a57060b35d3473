"""Robot descriptions with light visual meshes.

A stock Panda shows 133,000 triangles; on a CPU renderer they are most of an image's cost, and at policy resolution a
few hundred a link look the same. The light copy is made once, kept in the user's cache directory under a hash of all
that went in, and written to a temporary folder first, so that processes that start together never see half of one.
"""

import hashlib
import os
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from rlvla_core.errors import RlvlaError
from rlvla_core.storage.atomic import StagedDirectory

VERSION = "1"
"""Part of the hash: raise it when this file makes other meshes from the same input."""


def cache_directory() -> Path:
    """`rlvla` below XDG_CACHE_HOME or ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rlvla"


@cache
def light_urdf(source: Path, faces_per_link: int) -> Path:
    """Path of a copy of `source` whose visual meshes have about `faces_per_link` faces; other files are referred to
    where they are."""
    tree = ElementTree.parse(source)
    visuals = [mesh for link in tree.iter("link") for visual in link.iter("visual") for mesh in visual.iter("mesh")]
    digest = hashlib.sha256(f"{VERSION} {faces_per_link} {source}".encode())
    for path in [source, *(source.parent / mesh.get("filename", "") for mesh in visuals)]:
        digest.update(path.read_bytes())
    target = cache_directory() / "robots" / f"{source.stem}-{digest.hexdigest()[:16]}"
    if not target.exists():
        try:
            with StagedDirectory(target) as staged:
                _write(tree, visuals, source, staged.path, target, faces_per_link)
        except RlvlaError:
            # Another process was quicker: its copy is the same.
            if not target.exists():
                raise
    return target / source.name


def _write(
    tree: Any,
    visuals: list[ElementTree.Element],
    source: Path,
    building: Path,
    target: Path,
    faces: int,
) -> None:
    """Write the light meshes and the description into `building`, with paths as they will be in `target`."""
    lights: dict[str, str] = {}
    for mesh in visuals:
        name = mesh.get("filename", "")
        if name not in lights:
            file_name = f"{len(lights):02d}-{Path(name).stem}.glb"
            decimate(source.parent / name, building / file_name, faces)
            lights[name] = str(target / file_name)
    for mesh in tree.iter("mesh"):
        name = mesh.get("filename", "")
        mesh.set("filename", lights[name] if mesh in visuals else str((source.parent / name).resolve()))
    tree.write(building / source.name)


def decimate(source: Path, target: Path, faces: int) -> None:
    """Write a copy of a mesh file with about `faces` faces as .glb, each material keeping its colour."""
    import fast_simplification
    import trimesh

    scene = trimesh.load_scene(source)
    parts: list[Any] = scene.dump(concatenate=False)
    total = sum(len(part.faces) for part in parts)
    light = trimesh.Scene()
    for part in parts:
        colour = (
            part.visual.to_color().vertex_colors if part.visual.kind == "vertex" else part.visual.material.main_color
        )
        welded = trimesh.Trimesh(part.vertices, part.faces)
        welded.merge_vertices(merge_tex=True, merge_norm=True)
        target_count = max(12, round(faces * len(part.faces) / total))
        vertices, triangles = welded.vertices, welded.faces
        if len(triangles) > target_count:
            vertices, triangles = fast_simplification.simplify(vertices, triangles, target_count=target_count, agg=7)
        material = trimesh.visual.material.PBRMaterial(
            baseColorFactor=colour, roughnessFactor=0.6, metallicFactor=0.1, doubleSided=True
        )
        geometry = trimesh.Trimesh(vertices, triangles, process=False)
        geometry.visual = trimesh.visual.TextureVisuals(material=material)
        light.add_geometry(geometry)
    target.write_bytes(trimesh.exchange.gltf.export_glb(light, include_normals=True))
