"""The procedural catalogue as a whole: counts, names, images, uniqueness, the same bytes in every process."""

import itertools
import os
import subprocess
import sys

import numpy as np
import pytest

from rlvla_core.errors import RlvlaError
from rlvla_sim.assets import Catalogue, ObjectAsset, catalogue

DIGEST = """
import hashlib
from rlvla_sim.assets import catalogue
c, h = catalogue(), hashlib.sha256()
for a in c.objects + c.receptacles:
    m = a.visual
    for array in (m.vertices, m.triangles, m.uvs, m.texture, m.normals, *a.collision):
        h.update(array.tobytes())
for p in c.tables + c.textures:
    h.update(p.image(64, 48).tobytes())
print(h.hexdigest())
"""


@pytest.fixture(scope="module")
def assets() -> Catalogue:
    return catalogue("procedural")


def test_counts_are_those_of_the_paper(assets: Catalogue) -> None:
    assert (assets.num_train_objects, len(assets.objects)) == (16, 16 + 9)
    assert (assets.num_train_receptacles, len(assets.receptacles)) == (1, 1 + 16)
    assert (assets.num_train_tables, len(assets.tables)) == (16, 16 + 5)
    assert len(assets.textures) == 16


def test_names_are_different_and_plain(assets: Catalogue) -> None:
    for group in (assets.objects + assets.receptacles, assets.tables, assets.textures):
        names = [a.name for a in group]
        assert len(set(names)) == len(names)
        assert all(name == name.lower().strip() and name for name in names)


def test_one_process_builds_a_catalogue_once() -> None:
    assert catalogue() is catalogue()


def test_every_process_builds_the_same_bytes() -> None:
    digests = []
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed}
        run = subprocess.run(
            [sys.executable, "-c", DIGEST], env=environment, capture_output=True, text=True, check=True
        )
        digests.append(run.stdout)
    assert digests[0] == digests[1]
    assert len(digests[0].strip()) == 64


@pytest.mark.parametrize("size", [(640, 480), (96, 96), (224, 224), (160, 120)])
def test_images_have_the_asked_size(assets: Catalogue, size: tuple[int, int]) -> None:
    for asset in (assets.tables[0], assets.textures[0]):
        image = asset.image(*size)
        assert image.shape == (size[1], size[0], 3)
        assert image.dtype == np.uint8


def test_a_small_image_is_the_large_one_averaged(assets: Catalogue) -> None:
    """Antialiasing: each small pixel is close to the mean of its block, also on stripes and turf."""
    for table in assets.tables:
        blocks = table.image(640, 480).reshape(48, 10, 64, 10, 3).mean(axis=(1, 3))
        assert np.abs(table.image(64, 48) - blocks).mean() < 4.0, table.name


def test_images_are_cached_and_protected(assets: Catalogue) -> None:
    image = assets.tables[3].image(96, 96)
    assert assets.tables[3].image(96, 96) is image
    with pytest.raises(ValueError, match="read-only"):
        image[0, 0, 0] = 1


def test_images_differ_from_one_another(assets: Catalogue) -> None:
    for group in (assets.tables, assets.textures):
        small = {a.name: a.image(64, 48).astype(float) for a in group}
        for (first, a), (second, b) in itertools.combinations(small.items(), 2):
            assert np.abs(a - b).mean() > 15.0, (first, second)


def test_tables_leave_objects_visible(assets: Catalogue) -> None:
    """The middle of the image, where the objects are, is neither black, white nor wildly uneven."""
    for table in assets.tables:
        middle = table.image(64, 48)[16:36, 16:48].astype(float).mean(axis=2)
        assert 25 < middle.mean() < 245, table.name
        assert middle.std() < 45, table.name


def seen_colours(asset: ObjectAsset) -> np.ndarray:
    """Share of the visible area in each of 4 x 4 x 4 colour bins."""
    mesh = asset.visual
    corners = mesh.vertices[mesh.triangles].astype(float)
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    histogram = np.zeros(64)
    height, width = mesh.texture.shape[:2]
    for weights in itertools.product(np.linspace(0.1, 0.8, 5), repeat=2):
        if sum(weights) < 1:
            w = np.array([1 - sum(weights), *weights])
            uv = np.einsum("k,fkd->fd", w, mesh.uvs[mesh.triangles])
            texel = mesh.texture[(uv[:, 1] * height).astype(int), (uv[:, 0] * width).astype(int)] // 64
            np.add.at(histogram, texel @ np.array([16, 4, 1]), area)
    return histogram / histogram.sum()


def test_objects_differ_in_shape_or_colours(assets: Catalogue) -> None:
    for group in (assets.objects, assets.receptacles):
        looks = [(a.name, np.log(a.aabb_max - a.aabb_min), seen_colours(a)) for a in group]
        for (first, size_a, colour_a), (second, size_b, colour_b) in itertools.combinations(looks, 2):
            shape = np.abs(size_a - size_b).max() / np.log(2)
            colour = np.abs(colour_a - colour_b).sum() / 2
            assert shape + colour > 0.4, (first, second, shape, colour)


def test_an_unknown_catalogue_is_one_clear_line() -> None:
    with pytest.raises(RlvlaError, match=r"`objaverse`.*procedural.*paper"):
        catalogue("objaverse")


def test_an_empty_image_is_refused(assets: Catalogue) -> None:
    with pytest.raises(RlvlaError, match="0 x 96"):
        assets.tables[0].image(0, 96)
