"""Every procedural mesh is closed, light, life-size, graspable and stays where it is put."""

import numpy as np
import pytest
import trimesh
from scipy.spatial import ConvexHull

from rlvla_sim.assets import ObjectAsset, catalogue
from rlvla_sim.assets.build import convex_hull
from rlvla_sim.assets.shapes import lathe, tube

OBJECTS = catalogue().objects
RECEPTACLES = catalogue().receptacles
EVERYTHING = OBJECTS + RECEPTACLES
WIDEST_GRASP = 0.046
"""Metres; the WidowX gripper opens to 0.074."""


def each(assets: tuple[ObjectAsset, ...]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("asset", assets, ids=[a.name for a in assets])


@each(EVERYTHING)
def test_surface_is_closed_and_faces_outward(asset: ObjectAsset) -> None:
    mesh = trimesh.Trimesh(asset.visual.vertices, asset.visual.triangles, process=False)
    mesh.merge_vertices(merge_tex=True, merge_norm=True)
    for part in mesh.split(only_watertight=False):
        assert part.is_watertight
        assert part.volume > 0


@each(EVERYTHING)
def test_mesh_is_one_light_valid_draw_call(asset: ObjectAsset) -> None:
    mesh = asset.visual
    assert (mesh.vertices.dtype, mesh.triangles.dtype, mesh.uvs.dtype) == (np.float32, np.int32, np.float32)
    assert (mesh.normals.dtype, mesh.texture.dtype, mesh.texture.ndim) == (np.float32, np.uint8, 3)
    assert len(mesh.triangles) <= 600
    assert len(mesh.vertices) == len(mesh.uvs) == len(mesh.normals) == mesh.triangles.max() + 1
    assert mesh.uvs.min() >= 0
    assert mesh.uvs.max() <= 1
    np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=1), 1, atol=1e-5)
    corners = mesh.vertices[mesh.triangles].astype(float)
    face = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    face /= np.linalg.norm(face, axis=1, keepdims=True)
    assert np.einsum("fkd,fd->fk", mesh.normals[mesh.triangles], face).min() > 0.3


@each(EVERYTHING)
def test_collision_parts_are_small_hulls_inside_the_box(asset: ObjectAsset) -> None:
    assert 1 <= len(asset.collision) <= 5
    for part in asset.collision:
        assert part.dtype == np.float32
        assert 4 <= len(part) <= 64
        assert len(ConvexHull(part.astype(float)).vertices) >= 0.9 * len(part)
        assert (part.min(axis=0) > asset.aabb_min - 0.003).all()
        assert (part.max(axis=0) < asset.aabb_max + 0.003).all()
    lowest = min(float(part[:, 2].min()) for part in asset.collision)
    assert lowest == pytest.approx(float(asset.aabb_min[2]), abs=2e-4)


@each(OBJECTS)
def test_objects_fit_a_small_gripper(asset: ObjectAsset) -> None:
    length, width, height = asset.aabb_max - asset.aabb_min
    assert width <= WIDEST_GRASP
    assert width <= length + 1e-6
    assert 0.035 <= length <= 0.15
    assert 0.019 <= height <= 0.068
    assert 300 <= asset.density <= 1900
    np.testing.assert_allclose(asset.aabb_min + asset.aabb_max, 0, atol=1e-5)


@each(OBJECTS)
def test_there_is_something_to_grasp_at_the_middle(asset: ObjectAsset) -> None:
    """Fingers that close along y on a 16 mm slab around the origin meet the object at mid-height."""
    planes = [ConvexHull(part.astype(float)).equations for part in asset.collision]
    slab = np.stack(np.meshgrid([-0.008, 0, 0.008], np.linspace(-0.022, 0.022, 45), [-0.003, 0, 0.003]), -1).reshape(
        -1, 3
    )
    inside = np.any([(slab @ p[:, :3].T + p[:, 3] <= 0).all(axis=1) for p in planes], axis=0)
    width = np.ptp(slab[inside, 1])
    assert 0.010 <= width <= 0.044


@each(RECEPTACLES)
def test_receptacles_are_flat_and_stand_on_zero(asset: ObjectAsset) -> None:
    x, y, height = asset.aabb_max - asset.aabb_min
    assert 0.078 <= min(x, y) <= max(x, y) <= 0.126
    assert 0.004 <= height + 1e-6 <= 0.0095
    assert asset.aabb_min[2] == pytest.approx(0, abs=1e-6)
    np.testing.assert_allclose((asset.aabb_min + asset.aabb_max)[:2], 0, atol=1e-5)


def test_the_training_plate_has_the_papers_size() -> None:
    plate = RECEPTACLES[0]
    assert plate.name == "plate"
    np.testing.assert_allclose(plate.aabb_max - plate.aabb_min, [0.11, 0.11, 0.006], atol=1e-6)


@each(EVERYTHING)
def test_rests_where_it_is_put(asset: ObjectAsset) -> None:
    """After a drop from 1 cm and one second: tilted by less than 3 degrees, moved by less than 3 mm."""
    sapien = pytest.importorskip("sapien")
    physx = sapien.physx
    scene = sapien.Scene([physx.PhysxCpuSystem()])
    scene.set_timestep(1 / 240)
    material = physx.PhysxMaterial(1.0, 1.0, 0.0)

    def add(body: object, shapes: list, z: float) -> object:
        for shape in shapes:
            body.attach(shape)  # type: ignore[attr-defined]
        entity = sapien.Entity()
        entity.add_component(body)
        entity.set_pose(sapien.Pose([0, 0, z]))
        scene.add_entity(entity)
        return entity

    add(physx.PhysxRigidStaticComponent(), [physx.PhysxCollisionShapeBox([0.5, 0.5, 0.05], material)], -0.05)
    hulls = [
        physx.PhysxCollisionShapeConvexMesh(vertices=p, scale=np.ones(3, np.float32), material=material)
        for p in asset.collision
    ]
    for hull in hulls:
        hull.set_density(asset.density)
    body = physx.PhysxRigidDynamicComponent()
    entity = add(body, hulls, 0.01 - float(asset.aabb_min[2]))
    for _ in range(240):
        scene.step()
    matrix = entity.pose.to_transformation_matrix()  # type: ignore[attr-defined]
    assert np.degrees(np.arccos(min(1.0, matrix[2, 2]))) < 3.0
    assert np.hypot(matrix[0, 3], matrix[1, 3]) < 0.003
    assert matrix[2, 3] + asset.aabb_min[2] == pytest.approx(0, abs=0.002)
    assert 0.01 < body.mass < 0.2


def test_a_lathe_has_the_volume_of_its_cylinder() -> None:
    part = lathe([(0, 0), (0.02, 0), (0.02, 0.05), (0, 0.05)], (1, 0, 0), 64)
    mesh = trimesh.Trimesh(part.vertices, part.triangles)
    assert mesh.volume == pytest.approx(np.pi * 0.02**2 * 0.05, rel=0.003)


def test_a_bent_tube_keeps_its_radius() -> None:
    turn = np.linspace(0, np.pi / 2, 24)
    path = [(float(0.1 * np.sin(a)), float(0.1 * np.cos(a)), 0.0) for a in turn]
    part = tube(path, [0.01] * 24, (1, 0, 0), segments=48)
    mesh = trimesh.Trimesh(part.vertices, part.triangles)
    # Pappus: area of the section times the length of the path of its centre.
    assert mesh.volume == pytest.approx(np.pi * 0.01**2 * 0.1 * np.pi / 2, rel=0.01)


def test_a_large_hull_is_reduced_but_keeps_its_foot_and_size() -> None:
    rng = np.random.default_rng(0)
    ball = rng.normal(size=(2000, 3))
    ball /= np.linalg.norm(ball, axis=1, keepdims=True)
    ball[:, 2] = np.maximum(ball[:, 2], -0.8)
    hull = convex_hull(ball)
    assert len(hull) <= 64
    assert (hull[:, 2] < -0.799).sum() >= 8
    assert ConvexHull(hull.astype(float)).volume > 0.85 * ConvexHull(ball).volume
