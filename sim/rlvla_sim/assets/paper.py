"""The paper's assets (RL4VLA, Liu et al. 2025), read in place from the folder that RLVLA_ASSETS names.

They are for research use only and are never part of this repository. Frames, densities, names (spelling included)
and order are those of the files: objects lie around their origin, not exactly at the centre of their box.
"""

import hashlib
import os
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from rlvla_core.errors import RlvlaError
from rlvla_core.storage.atomic import staged_file
from rlvla_core.storage.json_files import read_json
from rlvla_sim.assets import baking, mesh_files
from rlvla_sim.assets.asset import IMAGE_SIZE, Catalogue, Mesh, ObjectAsset, TableAsset, TextureAsset
from rlvla_sim.assets.build import convex_hull

ENVIRONMENT = "RLVLA_ASSETS"
CACHE_VERSION = 2
"""Version of the cached light meshes: raise it when this code makes other meshes from the same files."""
COUNTS = {"more_carrot": 25, "more_plate": 17, "more_table": 21}
"""Folder -> number of entries that its database must have."""


def named_folder() -> Path:
    """The folder that RLVLA_ASSETS names; raises RlvlaError where the variable is unset."""
    named = os.environ.get(ENVIRONMENT)
    if not named:
        raise RlvlaError(f"{ENVIRONMENT} is not set: name the folder with the paper's assets, or use assets=procedural")
    return Path(named)


def assets_folder() -> Path:
    """The folder that holds more_carrot, more_plate and more_table: RLVLA_ASSETS itself or its `rl4vla`.

    Raises RlvlaError where the variable is unset or the folder lacks them.
    """
    named = named_folder()
    for folder in (named, named / "rl4vla"):
        if all((folder / part / "model_db.json").is_file() for part in COUNTS):
            return folder
    raise RlvlaError(
        f"{ENVIRONMENT}={named} holds no more_carrot, more_plate and more_table folders with a model_db.json each: "
        "name the folder with the paper's assets, or use assets=procedural"
    )


def paper_catalogue() -> Catalogue:
    """All of the paper's objects, plates, table images and overlay textures.

    The first call makes light copies of the meshes (about a minute) and keeps them in the user's cache directory.
    """
    root = assets_folder()
    tables = _database(root, "more_table")
    images = [root / "more_table" / "imgs" / key for key in tables]
    # Texture index e = 1 .. 16 is entry e of the database; entry 0 has weight 0, entries 17 .. 20 are not used.
    overlays = [root / "more_table" / "textures" / entry["texture"] for entry in list(tables.values())[1:17]]
    for path in images + overlays:
        if not path.is_file():
            raise RlvlaError(f"{path} is missing: copy the paper's assets again")
    return Catalogue(
        name="paper",
        objects=tuple(_object(root / "more_carrot" / k, v) for k, v in _database(root, "more_carrot").items()),
        receptacles=tuple(_object(root / "more_plate" / k, v) for k, v in _database(root, "more_plate").items()),
        tables=tuple(
            TableAsset(entry["name"], partial(_read_image, path))
            for entry, path in zip(tables.values(), images, strict=True)
        ),
        textures=tuple(TextureAsset(path.stem, partial(_read_image, path)) for path in overlays),
    )


def _database(root: Path, part: str) -> dict[str, dict]:
    path = root / part / "model_db.json"
    entries = read_json(path, "copy the paper's assets again")
    if len(entries) != COUNTS[part]:
        raise RlvlaError(f"{path} lists {len(entries)} entries, expected {COUNTS[part]}: copy the paper's assets again")
    return entries


def _read_image(path: Path) -> np.ndarray:
    try:
        image = Image.open(path).convert("RGB")
    except OSError as error:
        raise RlvlaError(f"{path} is not a readable image ({error}): copy the paper's assets again") from error
    return np.array(image if image.size == IMAGE_SIZE else image.resize(IMAGE_SIZE, Image.Resampling.LANCZOS))


def _object(folder: Path, entry: dict) -> ObjectAsset:
    collision = folder / "collision.obj"
    if not collision.is_file():
        raise RlvlaError(f"{collision} is missing: copy the paper's assets again")
    # Three visual meshes are not in every copy of the assets: the collision mesh stands in, in plain grey.
    visual = next((p for p in (folder / f"textured.{e}" for e in ("dae", "glb")) if p.is_file()), collision)
    used = sorted({collision, visual, *folder.glob("*.png")})
    digest = hashlib.sha256(f"{CACHE_VERSION} {baking.FACE_LIMIT} {baking.TEXTURE_SIDE} {visual.name}".encode())
    for path in used:
        digest.update(path.read_bytes())
    cached = _cache_directory() / f"{digest.hexdigest()[:32]}.npz"
    arrays = _load(cached)
    if arrays is None:
        arrays = _convert(visual, collision)
        _save(cached, arrays)
    parts = tuple(arrays[f"part{k}"] for k in range(int(arrays["parts"])))
    mesh = Mesh(*(arrays[key] for key in ("vertices", "triangles", "uvs", "texture", "normals")))
    return ObjectAsset(name=entry["name"], density=float(entry["density"]), visual=mesh, collision=parts)


def _convert(visual: Path, collision: Path) -> dict[str, np.ndarray]:
    mesh = baking.bake(mesh_files.read_visual(visual))
    hulls = [convex_hull(part) for part in mesh_files.collision_parts(collision)]
    arrays = {key: getattr(mesh, key) for key in ("vertices", "triangles", "uvs", "texture", "normals")}
    return arrays | {"parts": np.array(len(hulls))} | {f"part{k}": hull for k, hull in enumerate(hulls)}


def _cache_directory() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "rlvla" / "assets"


def _load(path: Path) -> dict[str, np.ndarray] | None:
    """The arrays of a cached file; None where it is missing or damaged (it is then made again)."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None


def _save(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write under another name first, so that no other process ever reads half a file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with staged_file(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    except OSError as error:
        raise RlvlaError(f"cannot write {path} ({error.strerror}): set XDG_CACHE_HOME to a writable folder") from error
