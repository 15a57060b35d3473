"""The image of one world: a SAPIEN scene with visuals only, drawn by the paper's camera over a table image.

Nothing here is simulated: bodies are put where the physics has them. Robot, objects and receptacles are all there
is to draw; what the renderer leaves transparent is the table image (the green screen of the paper, section 1.2).
Lights cast no shadow, as nothing that could catch one is drawn.
"""

from functools import cache
from pathlib import Path

import numpy as np
import sapien
from sapien import render

from rlvla_core.environment import CameraSpec
from rlvla_core.errors import RlvlaError
from rlvla_sim.assets.asset import Mesh
from rlvla_sim.robots import RobotSpec
from rlvla_sim.texture_overlay import TextureOverlay, foreground_box, with_texture

AMBIENT = 0.3
LIGHTS = (((0.0, 0.0, -1.0), 1.5), ((-1.0, -0.5, -1.0), 0.6), ((1.0, 1.0, -1.0), 0.6))
"""Direction and strength of the lights: the paper's directions, a little dimmer so that pale things keep shades."""
NEAR, FAR = 0.01, 10.0
SHADER = str(Path(sapien.__file__).parent / "vulkan_shader" / "minimal")
"""SAPIEN's one-pass shader pack: colour with alpha 0 where nothing is drawn."""


def render_device() -> sapien.Device:
    """The NVIDIA GPU where there is one, else `cpu`: a process can draw on one device only, and ManiSkill, which may
    share the process, picks in the same way."""
    try:
        return sapien.Device("cuda")
    except RuntimeError:
        return sapien.Device("cpu")


def _renderer() -> sapien.Scene:
    """An empty scene with a renderer; raises RlvlaError where Vulkan has no device."""
    render.set_log_level("error")
    try:
        return sapien.Scene([render.RenderSystem(render_device())])
    except RuntimeError as error:
        raise RlvlaError(
            f"no Vulkan device to draw with ({error}): install a driver, for CPUs `apt install mesa-vulkan-drivers`"
        ) from error


@cache
def _robot_visuals(spec: RobotSpec) -> tuple[tuple[str, render.RenderBodyComponent], ...]:
    """(link name, visual body) of every link with a shape, read once a process."""
    builder = _renderer().create_urdf_loader().load_file_as_articulation_builder(str(spec.urdf()))
    return tuple((link.name, link.build_render_component()) for link in builder.link_builders if link.visual_records)


@cache
def asset_visual(mesh: Mesh) -> render.RenderBodyComponent:
    """The visual body of a mesh, uploaded once a process."""
    height, width, _ = mesh.texture.shape
    pixels = np.full((height, width, 4), 255, dtype=np.uint8)
    pixels[..., :3] = mesh.texture
    material = render.RenderMaterial(base_color=[1.0, 1.0, 1.0, 1.0], specular=0.1, roughness=0.8)
    material.base_color_texture = render.RenderTexture2D(pixels, "R8G8B8A8Unorm", srgb=True)
    body = render.RenderBodyComponent()
    triangles = mesh.triangles.astype(np.uint32)
    body.attach(render.RenderShapeTriangleMesh(mesh.vertices, triangles, mesh.normals, mesh.uvs, material))
    return body


@cache
def no_reflections() -> render.RenderTexture:
    """One pixel instead of the table by which the shader weights what a surface mirrors of its surroundings.

    Where none is given, SAPIEN integrates that table once a process, which takes a CPU seconds, and the renderer has no
    surroundings: they are black.
    """
    return render.RenderTexture(np.zeros((1, 1, 4), dtype=np.uint8), 2, "R8G8B8A8Unorm")


class CameraRenderer:
    """Draws uint8 images [height, width, 3] of one world."""

    def __init__(self, spec: RobotSpec, camera: CameraSpec, supersampling: int) -> None:
        self.camera = camera
        self.supersampling = supersampling
        self.scene = _renderer()
        self.scene.set_ambient_light([AMBIENT] * 3)
        for direction, strength in LIGHTS:
            self.scene.add_directional_light(direction, [strength] * 3)
        self.links = {name: self._add(body) for name, body in _robot_visuals(spec)}
        self.props: list[sapien.Entity] = []
        self.background = np.zeros((camera.height, camera.width, 3), dtype=np.float32)
        self.texture: tuple[TextureOverlay, np.ndarray] | None = None
        self.eye = self._add_camera(spec)
        self.place_camera(camera)

    def _add(self, body: render.RenderBodyComponent) -> sapien.Entity:
        entity = sapien.Entity()
        entity.add_component(body.clone())
        self.scene.add_entity(entity)
        return entity

    def _add_camera(self, spec: RobotSpec) -> render.RenderCameraComponent:
        camera, scale = self.camera, self.supersampling
        # Image formats are global in SAPIEN and ManiSkill changes them: ask for ours whenever a camera is made.
        render.set_picture_format("Color", "r8g8b8a8unorm")
        eye = render.RenderCameraComponent(camera.width * scale, camera.height * scale, SHADER)
        fx, fy, cx, cy = (scale * value for value in (camera.fx, camera.fy, camera.cx, camera.cy))
        eye.set_perspective_parameters(NEAR, FAR, fx, fy, cx, cy, 0.0)
        self.base = sapien.Pose(list(spec.base_position), list(spec.base_quaternion))
        mount = sapien.Entity()
        mount.add_component(eye)
        self.scene.add_entity(mount)
        eye.set_texture("BRDFLUT", no_reflections())  # known to cameras of a scene only
        return eye

    def place_camera(self, camera: CameraSpec) -> None:
        """Look from this camera's pose; its intrinsics must be the renderer's own."""
        pose = sapien.Pose(list(camera.position_in_base), list(camera.quaternion_in_base))
        self.eye.entity.set_pose(self.base * pose)

    def dress(
        self, meshes: list[Mesh], background: np.ndarray, texture: tuple[TextureOverlay, np.ndarray] | None = None
    ) -> None:
        """Show these meshes as props 0, 1, ... and this image (uint8 [height, width, 3]) behind everything, with a
        texture (from `TextureOverlay.texture`) blended in where one is given."""
        for entity in self.props:
            self.scene.remove_entity(entity)
        self.props = [self._add(asset_visual(mesh)) for mesh in meshes]
        self.background = background.astype(np.float32)
        self.texture = texture

    def pose(self, links: list[tuple[str, sapien.Pose]], props: list[sapien.Pose]) -> None:
        """Put links and props at these world poses."""
        for name, pose in links:
            self.links[name].set_pose(pose)
        for entity, pose in zip(self.props, props, strict=True):
            entity.set_pose(pose)

    def draw(self, links: list[tuple[str, sapien.Pose]], props: list[sapien.Pose]) -> np.ndarray:
        """The image, uint8 [height, width, 3], with links and props at these world poses."""
        self.pose(links, props)
        return self.compose(self.render())

    def render(self) -> np.ndarray:
        """Robot and props alone, uint8 [s height, s width, 4], alpha 0 where there is nothing."""
        self.scene.update_render()
        self.eye.take_picture()
        return self.eye.get_picture("Color")

    def compose(self, foreground: np.ndarray, span: tuple[int, int] | None = None) -> np.ndarray:
        """`render`'s image over the background, uint8 [height, width, 3]; `span`: see `with_texture`."""
        if self.texture is None:
            return overlay(foreground, self.background)
        texture_overlay, texture = self.texture
        front, alpha = shrunk(foreground, self.camera.height)
        sizes = None if span is None else (np.array(span[:1]), np.array(span[1:]))
        image = with_texture(front[None], alpha[None], self.background[None], texture[None], texture_overlay, sizes)[0]
        return (image + 0.5).astype(np.uint8)

    def box_size(self, foreground: np.ndarray) -> tuple[int, int]:
        """Height and width of the box around what `render` drew, pixels of the image."""
        _, alpha = shrunk(foreground, self.camera.height)
        _, _, height, width = foreground_box(alpha[None])
        return int(height[0]), int(width[0])


def shrunk(colour: np.ndarray, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Means over blocks of s x s rendered pixels: colour times coverage, float32 [H, W, 3] in 0..255, and coverage,
    float32 [H, W, 1] in 0..1.

    `colour` is uint8 [sH, sW, 4] with alpha 255 where something was drawn and 0 elsewhere (colour 0 there, too).
    """
    scale = colour.shape[0] // height
    # Adding slices, rows first, is three times as fast as a mean over the axes of blocks.
    rows = colour[0::scale].astype(np.uint16)
    for i in range(1, scale):
        rows += colour[i::scale]
    columns = rows.reshape(height, -1, scale, 4)
    total = columns[:, :, 0].astype(np.float32)
    for j in range(1, scale):
        total += columns[:, :, j]
    total *= 1.0 / scale**2
    return total[..., :3], total[..., 3:] * (1.0 / 255.0)


def overlay(colour: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Rendered foreground (see `shrunk`) over a background image, float32 [H, W, 3] in 0..255: uint8 [H, W, 3]."""
    front, alpha = shrunk(colour, len(background))
    return (front + (1.0 - alpha) * background + 0.5).astype(np.uint8)
