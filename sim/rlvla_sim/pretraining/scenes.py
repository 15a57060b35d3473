"""Posed scenes for pretraining: images of an arm and things, and the answer to "where are they?".

Nothing is simulated: props are put where they would rest (or into the hand, or onto the receptacle), the hand where it
would be on its way. That gives hundreds of images a second, each with another table, other things, another hand. All
assets are of the training split and all positions inside the training workspace: the tests of generalisation stay
unseen. What varies more than in training varies by rule: half of the cameras are moved far, half of the tables and
receptacles change colour, and the same question is asked in many words.
"""

from dataclasses import dataclass, replace

import numpy as np
import sapien

from rlvla_core.geometry.camera import CameraSpec, project
from rlvla_core.geometry.rotations import matrix_of_quaternion, quaternion_product, rotation_about_z
from rlvla_core.geometry.transforms import rigid, rigid_inverse
from rlvla_sim.assets import catalogue
from rlvla_sim.assets.asset import Mesh, ObjectAsset
from rlvla_sim.camera_renderer import CameraRenderer
from rlvla_sim.config import WorldConfig
from rlvla_sim.episodes import HALF_WIDTH, YAWS
from rlvla_sim.expert import closing_yaw, downward
from rlvla_sim.grasp import Grasp, interior_points, plan_grasp
from rlvla_sim.kinematics import KinematicChain
from rlvla_sim.physics import DROP, TABLE_HEIGHT, Physics, drop_pose
from rlvla_sim.pretraining.dataset import LabelledImage
from rlvla_sim.pretraining.questions import QUESTIONS, squeezed
from rlvla_sim.robots import robot
from rlvla_sim.robots.spec import WORKSPACE_CENTRE

MODES = {"reaching": 0.5, "holding": 0.35, "placed": 0.15}
"""What the hand is doing, and the fraction of the scenes in which it does."""
MAX_DISTRACTORS = 2
"""Most objects on the table besides the named one."""
MIN_DISTANCE = 0.065
"""Metres between the centres of things on the table."""
HAND_NOISE = (0.015, 0.015, 0.010)
"""Standard deviation of the hand's place around its way, metres."""
HOVER, HIGH = 0.06, 0.08
"""Greatest height of a reaching hand above the object, and of a carried object above where it lay, metres."""
YAW_NOISE = 0.15
"""Standard deviation of the hand's yaw, radians."""
CAMERAS = ((0.006, 0.006), (0.02, 0.05))
"""Standard deviations of a camera's position [m] and direction [rad] around the robot's own camera, for near and for
far cameras. Every scene has its own camera, half of them far ones, so that objects appear all over the image."""
MARGIN = 0.04
"""Smallest distance of a named point from the image's edge, as a fraction of the image's side."""
YAW_SPREAD = 0.17
"""Largest difference of an object's yaw from the nearest training yaw, radians: half of the way to an unseen yaw is
0.2."""
GAIN = 0.35
"""Half of the tables and receptacles have each colour channel multiplied by its own factor in 1 ± GAIN."""
DYED = 24
"""Number of recoloured copies of each receptacle."""
LONG = 1.3
"""Objects at least this many times as long as wide have two labelled ends."""
CUT = -3 * np.pi / 8
"""Turn of the hand, radians, at which first and second end of an object change places: between two training yaws."""


class Scenes:
    """Draws labelled images of posed scenes of one robot; image (seed, number) is always the same."""

    def __init__(self, config: WorldConfig) -> None:
        self.config = config
        self.spec = robot(config.robot, config.assets)
        assets = catalogue(config.assets)
        self.objects = assets.objects[: assets.num_train_objects]
        self.receptacles = assets.receptacles[: assets.num_train_receptacles]
        self.tables = assets.tables[: assets.num_train_tables]
        colours = np.random.default_rng(0)
        self.dyed = {
            thing.name: [thing.visual] * DYED + [_dyed(thing.visual, colours) for _ in range(DYED)]
            for thing in self.receptacles
        }
        ends = [f"{thing.name}, {which} end" for which in ("first", "second") for thing in self.objects]
        self.point_names = ("hand", "receptacle", *(thing.name for thing in self.objects), *ends)
        self.camera = self.spec.seen(config.view, config.image_width, config.image_height)
        self.renderer = CameraRenderer(self.spec, self.camera, config.supersampling)
        self.physics = Physics(self.spec, 1.0 / config.physics_hz)
        self.shown_links = [link for link in self.physics.links if link.name in self.renderer.links]
        self.chain = KinematicChain.from_urdf(self.spec.urdf(), self.spec.tcp_link, self.spec.arm_joints)
        self.start = np.array(self.spec.arm_start)
        self.start_hand = self.chain.forward(self.start[None])[0]
        self.start_yaw = closing_yaw(self.start_hand, self.spec.closing_axis)
        self.base_T_world = rigid_inverse(self.spec.world_T_base)
        self.table_in_base = TABLE_HEIGHT - self.spec.base_position[2]
        at_rest = [self._rest(thing, np.array(WORKSPACE_CENTRE), 0.0)[:3, :3] for thing in self.objects]
        self.half_lengths = [_half_length(*pair) for pair in zip(self.objects, at_rest, strict=True)]

    def draw(self, seed: int, number: int) -> LabelledImage:
        """Image `number` of a seed, with its question and labels."""
        rng = np.random.default_rng([seed, number])
        while True:  # until the arm can reach the hand's place
            layout = self._layout(rng)
            joints, reached = self.chain.solve(layout.hand[None], self.start[None])
            if reached[0]:
                return self._image(layout, joints[0], rng)

    def _layout(self, rng: np.random.Generator) -> "_Layout":
        chosen = rng.permutation(len(self.objects))[: 1 + rng.integers(MAX_DISTRACTORS + 1)]
        places = _places(rng, len(chosen) + 1)
        things = [self.objects[i] for i in chosen]
        receptacle = self.receptacles[rng.integers(len(self.receptacles))]
        poses = [self._rest(thing, place, _yaw(rng)) for thing, place in zip(things, places[1:], strict=False)]
        plate = self._rest(receptacle, places[0], 0.0)
        thing, pose = things[0], poses[0]
        mode = rng.choice(list(MODES), p=list(MODES.values()))
        yaw = self.start_yaw
        grasp = plan_grasp(thing, pose, self.spec, self.table_in_base, start_yaw=yaw, yaw=yaw)
        finger = rng.uniform(0.8, 1.0) * self.spec.finger_open
        if mode == "reaching":
            position, turn = self._reaching(rng, grasp, yaw)
        else:
            shift = _carried(rng, mode, plate[:3, 3] - pose[:3, 3], 2 * _half_height(receptacle))
            pose[:3, 3] += shift
            position, turn = grasp.position + shift, grasp.yaw - yaw
            if mode == "holding":
                finger = max(self.spec.finger_closed, 0.0) + _half_width(
                    thing, pose, grasp, self.spec.finger_half_width
                )
            else:
                position[2] += rng.uniform(0.0, HIGH)
        hand = rigid(downward(self.spec.approach_axis, self.spec.closing_axis, yaw + turn), position)
        return _Layout(things, chosen.tolist(), poses, receptacle, plate, hand, finger, grasp.yaw - yaw - turn, mode)

    def _reaching(self, rng: np.random.Generator, grasp: Grasp, yaw: float) -> tuple[np.ndarray, float]:
        """Place [3] of a hand on its way from the start to a grasp, often near its end, and its turn from the start's
        `yaw`: any part of what the grasp needs, often none or all, wherever the hand is."""
        way = rng.beta(1.0, 1.5)  # 0 at the object, 1 at the start
        above = grasp.position + np.array([0.0, 0.0, rng.uniform(0.0, HOVER)])
        position = (1 - way) * above + way * self.start_hand[:3, 3] + rng.normal(size=3) * HAND_NOISE
        position[2] = max(position[2], grasp.position[2] - 0.005)  # not into the table
        return position, rng.beta(0.6, 0.6) * (grasp.yaw - yaw) + rng.normal() * YAW_NOISE

    def _rest(self, asset: ObjectAsset, xy: np.ndarray, yaw: float) -> np.ndarray:
        """Pose [4, 4] of an asset at rest on the table, base frame."""
        pose = drop_pose(asset, (float(xy[0]), float(xy[1])), yaw)
        place = self.base_T_world @ rigid(matrix_of_quaternion(pose.q.astype(np.float64)), pose.p)
        place[2, 3] -= DROP
        return place

    def _ends(self, index: int, pose: np.ndarray) -> np.ndarray:
        """Middle, first and second end [3, 3] of an object at a pose; a round one has no ends (NaN). Which end
        is the first goes with the turn of the hand that grasps the narrow side."""
        half = pose[:3, :3] @ self.half_lengths[index]
        across = np.arctan2(half[1], half[0]) - np.pi / 2 - self.start_yaw  # closing there grasps the narrow side
        if (across - CUT) % (2 * np.pi) > np.pi:
            half = -half
        return pose[:3, 3] + np.stack([np.zeros(3), half, -half])

    def _image(self, layout: "_Layout", joints: np.ndarray, rng: np.random.Generator) -> LabelledImage:
        self.physics.place_robot(joints)
        q = self.physics.articulation.qpos
        q[self.physics.finger_index] = min(layout.finger, self.spec.finger_open)
        self.physics.articulation.set_qpos(q)
        colours = self.dyed[layout.receptacle.name]
        plate_visual = colours[rng.integers(len(colours))]
        self.renderer.dress([plate_visual, *(thing.visual for thing in layout.things)], self._table(rng))
        poses = [self._in_world(pose) for pose in (layout.plate, *layout.poses)]
        hand, target, plate = layout.hand[:3, 3], layout.poses[0][:3, 3], layout.plate[:3, 3]
        points = np.full((len(self.point_names), 3), np.nan)
        points[0], points[1] = hand, plate
        things = points[2:].reshape(3, -1, 3)  # middles, first and second ends
        for index, pose in zip(layout.indices, layout.poses, strict=True):
            things[:, index] = self._ends(index, pose)
        pixels = self._look(points, rng)
        image = self.renderer.draw([(link.name, link.entity.pose) for link in self.shown_links], poses)
        free = -1.0 if layout.mode == "holding" else 1.0
        question = QUESTIONS[rng.integers(len(QUESTIONS))]
        return LabelledImage(
            image=image,
            instruction=question.format(object=layout.things[0].name, receptacle=layout.receptacle.name),
            target=np.array(
                [*squeezed(target - hand), *squeezed(plate - hand)[:2], layout.turn, free], dtype=np.float32
            ),
            pixels=pixels,
        )

    def _table(self, rng: np.random.Generator) -> np.ndarray:
        """Background [height, width, 3]: a training table; every second one recoloured, some of these mirrored or mixed
        with a second table."""
        first, second = (
            self.tables[i].image(self.camera.width, self.camera.height, self.spec.window(self.config.view))
            for i in rng.integers(len(self.tables), size=2)
        )
        if rng.uniform() < 0.5:
            return first
        weight = max(0.0, rng.uniform(-0.5, 0.5))
        mixed = (1 - weight) * first[:, :: rng.choice([-1, 1])] + weight * second
        return np.clip(mixed * rng.uniform(1 - GAIN, 1 + GAIN, size=3), 0, 255)

    def _look(self, points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Place a camera that sees all points [K, 3] (base frame, NaN for absent ones); returns their pixels [K, 2]."""
        size = np.array([self.config.image_width, self.config.image_height])
        while True:
            camera = self._camera_nearby(rng)
            pixels = project(points, camera).astype(np.float32)
            there = pixels[np.isfinite(pixels).all(-1)] / size
            if there.min() > MARGIN and there.max() < 1 - MARGIN:
                self.renderer.place_camera(camera)
                return pixels

    def _camera_nearby(self, rng: np.random.Generator) -> CameraSpec:
        shift, angle = CAMERAS[rng.integers(len(CAMERAS))]
        x, y, z = (np.array(self.camera.position_in_base) + rng.normal(size=3) * shift).tolist()
        turn = np.array([1.0, *(0.5 * rng.normal(size=3) * angle)])
        turned = quaternion_product(np.array(self.camera.quaternion_in_base), turn / np.linalg.norm(turn))
        w, i, j, k = turned.tolist()
        return replace(self.camera, position_in_base=(x, y, z), quaternion_in_base=(w, i, j, k))

    def _in_world(self, pose: np.ndarray) -> sapien.Pose:
        return sapien.Pose(self.spec.world_T_base @ pose)


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where everything in a scene is; poses [4, 4] in the base frame, the named object first."""

    things: list[ObjectAsset]
    indices: list[int]
    poses: list[np.ndarray]
    receptacle: ObjectAsset
    plate: np.ndarray
    hand: np.ndarray
    finger: float
    turn: float
    mode: str


def _yaw(rng: np.random.Generator) -> float:
    """A random yaw, radians: close to a training yaw, with either end of the object in front."""
    return float(rng.choice(YAWS) + rng.choice([0.0, np.pi]) + rng.uniform(-YAW_SPREAD, YAW_SPREAD))


def _dyed(mesh: Mesh, rng: np.random.Generator) -> Mesh:
    texture = np.clip(mesh.texture * rng.uniform(1 - GAIN, 1 + GAIN, size=3), 0, 255).astype(np.uint8)
    return replace(mesh, texture=texture)


def _places(rng: np.random.Generator, count: int) -> np.ndarray:
    """World xy [count, 2] in the training workspace, no two closer than MIN_DISTANCE."""
    while True:
        places = np.array(WORKSPACE_CENTRE) + rng.uniform(-HALF_WIDTH, HALF_WIDTH, size=(count, 2))
        apart = np.linalg.norm(places[:, None] - places[None], axis=-1) + np.eye(count)
        if apart.min() > MIN_DISTANCE:
            return places


def _carried(rng: np.random.Generator, mode: str, apart: np.ndarray, top: float) -> np.ndarray:
    """Shift [3] in metres of an object that is held on its way to a receptacle or was placed on it; the receptacle is
    `apart` [3] away and `top` high."""
    way = rng.uniform() if mode == "holding" else 1.0  # 0 where the object lay, 1 over the receptacle
    shift = way * apart
    shift[2] = rng.uniform(0.0, HIGH) + way * top if mode == "holding" else top
    shift[:2] += rng.normal(size=2) * 0.01
    return shift


def _half_length(asset: ObjectAsset, rotation: np.ndarray) -> np.ndarray:
    """Vector [3] in metres, asset frame, from the middle of an object that rests with this rotation [3, 3] to one end
    of its long side; NaN for an object that is about as long as wide."""
    points = (interior_points(asset) @ rotation.T)[:, :2]
    spread, axes = np.linalg.eigh(np.cov(points.T))
    reach = np.abs((points - points.mean(0)) @ axes).max(0)
    if spread[1] < LONG**2 * spread[0]:
        return np.full(3, np.nan)
    along = reach[1] * axes[:, 1]
    half: np.ndarray = rotation.T @ np.array([along[0], along[1], 0.0])
    return half


def _half_height(asset: ObjectAsset) -> float:
    return 0.5 * float(asset.aabb_max[2] - asset.aabb_min[2])


def _half_width(asset: ObjectAsset, pose: np.ndarray, grasp: Grasp, reach: float) -> float:
    """Half of the object's width, metres, where fingers of half width `reach` touch it."""
    points = interior_points(asset) @ pose[:3, :3].T
    closing = rotation_about_z(grasp.yaw)[:2, 0]
    across, along = points[:, :2] @ closing, points[:, :2] @ [-closing[1], closing[0]]
    slab = across[np.abs(along) < reach]
    return 0.5 * float(slab.max() - slab.min()) if len(slab) else 0.01
