"""The paper's catalogue: clear errors; a folder of the same layout made here; the real one where there is one."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rlvla_core.errors import RlvlaError
from rlvla_sim.assets import baking, mesh_files
from rlvla_sim.assets.paper import assets_folder, paper_catalogue

BESIDE = Path(__file__).resolve().parents[2].parent / "shared" / "assets"
REAL = os.environ.get("RLVLA_ASSETS") or (str(BESIDE) if (BESIDE / "rl4vla").is_dir() else None)

CUBE = """o first
v -0.02 -0.02 0
v 0.02 -0.02 0
v 0.02 0.02 0
v -0.02 0.02 0
v -0.02 -0.02 0.04
v 0.02 -0.02 0.04
v 0.02 0.02 0.04
v -0.02 0.02 0.04
f 4 3 2 1
f 5 6 7 8
f 1 2 6 5
f 2 3 7 6
f 3 4 8 7
f 4 1 5 8
"""

COLLADA = """<?xml version="1.0"?>
<COLLADA xmlns="http://www.collada.org/2005/11/COLLADASchema" version="1.4.1">
<library_images><image id="i"><init_from>p.png</init_from></image></library_images>
<library_geometries><geometry id="g"><mesh>
<source id="pos"><float_array id="a" count="9">0 0 0 1 0 0 0 1 0</float_array></source>
<source id="map"><float_array id="b" count="6">0 0 1 0 0 1</float_array></source>
<vertices id="vert"><input semantic="POSITION" source="#pos"/></vertices>
<triangles count="1"><input semantic="VERTEX" source="#vert" offset="0"/>
<input semantic="TEXCOORD" source="#map" offset="1"/><p>0 0 1 1 2 2</p></triangles>
</mesh></geometry></library_geometries>
<library_visual_scenes><visual_scene id="s"><node id="n"><matrix>2 0 0 5 0 1 0 0 0 0 1 0 0 0 0 1</matrix>
<instance_geometry url="#g"/></node></visual_scene></library_visual_scenes></COLLADA>
"""


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder laid out like the paper's, with the same cube and images everywhere."""
    root = tmp_path / "assets"
    for part, count in (("more_carrot", 25), ("more_plate", 17)):
        entries = {f"{k:03d}_x": {"name": f"{part} {k}", "density": 500 + k} for k in range(count)}
        for key in entries:
            (root / part / key).mkdir(parents=True)
            (root / part / key / "collision.obj").write_text(CUBE)
        (root / part / "model_db.json").write_text(json.dumps(entries))
    tables = {f"{k:03d}.png": {"name": f"table {k}", "texture": f"{k:03d}.png"} for k in range(21)}
    for folder in ("imgs", "textures"):
        (root / "more_table" / folder).mkdir(parents=True)
        for k, key in enumerate(tables):
            Image.new("RGB", (640, 480), (10 * k, 0, 0)).save(root / "more_table" / folder / key)
    (root / "more_table" / "model_db.json").write_text(json.dumps(tables))
    monkeypatch.setenv("RLVLA_ASSETS", str(root))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return root


def test_an_unset_folder_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RLVLA_ASSETS", raising=False)
    with pytest.raises(RlvlaError, match=r"RLVLA_ASSETS is not set.*procedural"):
        assets_folder()


def test_a_wrong_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RLVLA_ASSETS", str(tmp_path))
    with pytest.raises(RlvlaError, match=rf"{re.escape(str(tmp_path))}.*more_carrot"):
        paper_catalogue()


def test_the_layout_is_read_in_place_and_cached(copy: Path, tmp_path: Path) -> None:
    before = sorted(p for p in copy.rglob("*"))
    first = paper_catalogue()
    assert sorted(p for p in copy.rglob("*")) == before
    assert (len(first.objects), len(first.receptacles), len(first.tables), len(first.textures)) == (25, 17, 21, 16)
    assert first.objects[3].name == "more_carrot 3"
    assert first.objects[3].density == 503
    assert len(first.objects[0].collision) == 1
    np.testing.assert_allclose(first.objects[0].aabb_max, [0.02, 0.02, 0.04], atol=1e-6)
    assert first.tables[2].image(4, 3)[0, 0].tolist() == [20, 0, 0]
    assert first.textures[0].image(4, 3)[0, 0].tolist() == [10, 0, 0]

    (cached,) = (tmp_path / "cache" / "rlvla" / "assets").iterdir()
    cached.write_bytes(b"cut off")
    second = paper_catalogue()
    np.testing.assert_array_equal(second.objects[0].visual.texture, first.objects[0].visual.texture)
    assert cached.stat().st_size > 1000


@pytest.mark.parametrize(
    "missing", ["more_carrot/004_x/collision.obj", "more_table/imgs/007.png", "more_table/textures/016.png"]
)
def test_a_missing_file_is_named(copy: Path, missing: str) -> None:
    (copy / missing).unlink()
    with pytest.raises(RlvlaError, match=re.escape(missing)):
        paper_catalogue()


def test_a_broken_mesh_is_named(copy: Path) -> None:
    (copy / "more_plate" / "000_x" / "collision.obj").write_text("v 0 0 0\nf 1 2 9\n")
    with pytest.raises(RlvlaError, match=r"000_x/collision.obj"):
        paper_catalogue()


def test_obj_groups_and_components_are_parts(tmp_path: Path) -> None:
    path = tmp_path / "collision.obj"
    # The second group repeats the first one's places: still a part of its own, as it is another convex piece.
    path.write_text(CUBE + "o second\nf 5 6 7\nf 5 7 8\nf 1 2 3\n")
    sizes = sorted(len(part) for part in mesh_files.collision_parts(path))
    assert sizes == [3, 4, 8]


def test_collada_frames_and_images_are_applied(tmp_path: Path) -> None:
    (tmp_path / "textured.dae").write_text(COLLADA)
    Image.new("RGB", (2, 2), (9, 8, 7)).save(tmp_path / "p.png")
    (patch,) = mesh_files.read_visual(tmp_path / "textured.dae")
    np.testing.assert_allclose(patch.corners[0], [[5, 0, 0], [7, 0, 0], [5, 1, 0]])
    np.testing.assert_allclose(patch.uvs[0], [[0, 1], [1, 1], [0, 0]])
    assert patch.image[0, 0].tolist() == [9, 8, 7]


def sheet(count: int, image: np.ndarray) -> mesh_files.Coloured:
    """A flat square of 0.1 m with 2 * count^2 triangles."""
    a = np.linspace(0, 1, count + 1)
    u, v = np.meshgrid(a, a, indexing="ij")
    k = np.arange(count * (count + 1)).reshape(count, count + 1)[:, :-1].reshape(-1)
    triangles = np.concatenate(
        [np.stack([k, k + count + 1, k + 1], 1), np.stack([k + 1, k + count + 1, k + count + 2], 1)]
    )
    flat = np.stack([u, v], -1).reshape(-1, 2)
    corners = np.column_stack([flat * 0.1, np.zeros(len(flat))])[triangles]
    return mesh_files.Coloured(corners, flat[triangles], image)


def test_baking_keeps_colours_where_they_were() -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, :32], image[:, 32:] = (200, 30, 20), (10, 60, 220)
    mesh = baking.bake([sheet(60, image)])
    assert len(mesh.triangles) <= baking.FACE_LIMIT
    assert abs(np.ptp(mesh.vertices[:, :2], axis=0) - 0.1).max() < 1e-3
    rng = np.random.default_rng(0)
    weights = rng.dirichlet([1, 1, 1], 500)
    face = rng.integers(0, len(mesh.triangles), 500)
    place = np.einsum("sk,skd->sd", weights, mesh.vertices[mesh.triangles[face]])
    uv = np.einsum("sk,skd->sd", weights, mesh.uvs[mesh.triangles[face]])
    side = mesh.texture.shape[0]
    colour = mesh.texture[(uv[:, 1] * side).astype(int), (uv[:, 0] * side).astype(int)].astype(int)
    expected = np.where(place[:, :1] < 0.05, [[200, 30, 20]], [[10, 60, 220]])
    away = np.abs(place[:, 0] - 0.05) > 0.004
    assert away.sum() > 100
    assert np.abs(colour - expected)[away].max() <= 1


def test_a_mesh_of_loose_patches_is_thinned_without_holes() -> None:
    """Separate triangles (no shared corners) cannot be simplified by collapsing edges."""
    whole = sheet(60, np.full((1, 1, 3), 90, np.uint8))
    rng = np.random.default_rng(0)
    loose = mesh_files.Coloured(whole.corners + rng.normal(0, 1e-5, whole.corners.shape), whole.uvs, whole.image)
    mesh = baking.bake([loose])
    assert 200 < len(mesh.triangles) <= baking.FACE_LIMIT
    corners = mesh.vertices[mesh.triangles].astype(float)
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1).sum() / 2
    assert area == pytest.approx(0.01, rel=0.12)


@pytest.mark.skipif(REAL is None, reason="the paper's assets are not on this machine")
def test_the_real_assets_match_their_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RLVLA_ASSETS", str(REAL))
    assets = paper_catalogue()
    assert [a.name for a in assets.objects[:3]] == ["carrot", "kitchen shovel", "bread"]
    assert assets.receptacles[0].name == "plate"
    for part, group in (("more_carrot", assets.objects), ("more_plate", assets.receptacles)):
        entries = json.loads((assets_folder() / part / "model_db.json").read_text())
        for asset, entry in zip(group, entries.values(), strict=True):
            assert len(asset.visual.triangles) <= baking.FACE_LIMIT
            assert asset.density == entry["density"]
            everything = np.concatenate(asset.collision)
            for ours, box in ((everything.min(axis=0), "min"), (everything.max(axis=0), "max")):
                assert np.abs(ours - entry["bbox"][box]).max() < 0.001, asset.name
            assert np.abs(asset.aabb_min - entry["bbox"]["min"]).max() < 0.004, asset.name
            assert np.abs(asset.aabb_max - entry["bbox"]["max"]).max() < 0.004, asset.name
    assert assets.tables[0].image(64, 48).std() > 5
