"""camera_node in a real ROS graph: what another node hears of it, and how it refuses and ends."""

import re
import signal
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from camera_files import save_images, save_lens
from diagnostic_msgs.msg import DiagnosticArray
from PIL import Image as PilImage
from rclpy.node import Node
from ros_graph import Graph
from sensor_msgs.msg import CameraInfo, Image

from rlvla_core.errors import RlvlaError
from rlvla_nodes import topics
from rlvla_nodes.camera_node import LATE_DISCOVERY_S, CameraNode
from rlvla_nodes.convert import image_of, to_seconds

RATE_HZ = 20.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four images of 64x48 without loss, each with its number as the first value."""
    save_images(tmp_path / "images", 4)
    return tmp_path / "images"


class Viewer:
    """Another node that looks at the camera."""

    def __init__(self, graph: Graph) -> None:
        self.images: list[Image] = []
        self.infos: list[CameraInfo] = []
        self.status: dict[str, str] = {}
        node = graph.make(Node, "viewer")
        node.create_subscription(Image, topics.IMAGE, self.images.append, topics.STREAM)
        node.create_subscription(CameraInfo, topics.CAMERA_INFO, self.infos.append, topics.STREAM)
        node.create_subscription(DiagnosticArray, topics.DIAGNOSTICS, self._read, topics.EVENTS)

    def _read(self, array: DiagnosticArray) -> None:
        for status in array.status:
            self.status = {value.key: value.value for value in status.values} | {"line": status.message}


def test_images_arrive_unchanged_in_step_with_their_lens(graph: Graph, folder: Path) -> None:
    viewer = Viewer(graph)
    camera = graph.make(CameraNode, path=str(folder), camera_info=str(save_lens(folder.parent)), rate_hz=RATE_HZ)
    assert graph.until(lambda: len(viewer.images) >= 60 and len(viewer.infos) >= 60)
    stamps = [to_seconds(image.header.stamp) for image in viewer.images]
    rate = (len(stamps) - 1) / (stamps[-1] - stamps[0])
    gaps = np.array([b - a for a, b in pairwise(stamps)])
    delay = graph_now(camera) - stamps[-1]
    print(f"rate {rate:.2f} Hz, stamps' gaps {1e3 * gaps.min():.3f}..{1e3 * gaps.max():.3f} ms")
    assert rate == pytest.approx(RATE_HZ, rel=0.1)
    assert gaps.min() > 0
    assert np.abs(gaps * RATE_HZ - np.round(gaps * RATE_HZ)).max() < 0.05, "stamps say when images were due"
    assert (stamps[-1] - stamps[0]) * RATE_HZ == pytest.approx(round((stamps[-1] - stamps[0]) * RATE_HZ), abs=0.05)
    assert -0.001 < delay < 0.2
    by_stamp = {to_seconds(info.header.stamp): info for info in viewer.infos}
    # The last image may have come before its lens, and the first lens before its image.
    for image in viewer.images[1:-1]:
        info = by_stamp[to_seconds(image.header.stamp)]
        assert image.header == info.header
        assert image.header.frame_id == "camera_color_optical_frame"
        assert (info.width, info.height, info.k[0], image.encoding) == (64, 48, 60.0, "rgb8")
    for image in viewer.images[:8]:
        pixels = image_of(image)
        made = np.asarray(PilImage.open(folder / f"{pixels[0, 0, 0]:03}.png"))
        assert np.array_equal(pixels, made)
    numbers = [int(image_of(image)[0, 0, 0]) for image in viewer.images]
    assert sum((b - a) % 4 != 1 for a, b in pairwise(numbers)) <= 3, "none left out, none twice, but for a busy machine"
    assert graph.until(lambda: float(viewer.status.get("rate_hz", 0)) > 0.9 * RATE_HZ)
    assert viewer.status["reopenings"] == "0"
    print(f"diagnostics: {viewer.status}")


def graph_now(node: Node) -> float:
    return to_seconds(node.get_clock().now().to_msg())


def test_played_once_it_says_that_it_has_ended(graph: Graph, folder: Path) -> None:
    viewer = Viewer(graph)
    graph.make(CameraNode, path=str(folder), camera_info=str(save_lens(folder.parent)), rate_hz=50.0, loop=False)
    assert graph.until(lambda: "has ended after 4 images" in viewer.status.get("line", ""), 5.0)
    assert len(viewer.images) <= 4


def test_an_image_of_another_size_ends_the_node(graph: Graph, folder: Path) -> None:
    PilImage.fromarray(np.zeros((24, 32, 3), np.uint8)).save(folder / "9.png")
    graph.make(CameraNode, path=str(folder), camera_info=str(save_lens(folder.parent)), rate_hz=50.0)
    with pytest.raises(RlvlaError, match=r"32x24 pixels, .* describes 64x48"):
        graph.spin(5.0)


REFUSED = [
    ({"path": "/nowhere/clip.mp4"}, "does not exist"),
    ({"path": ""}, "`path` is empty"),
    ({"camera_info": ""}, "`camera_info` is empty"),
    ({"source": "v4l2", "path": "/dev/video99"}, "plug the camera in"),
    ({"source": "realsense"}, "file, v4l2"),
    ({"rate_hz": 0.0}, "rate_hz is 0.0"),
]


def test_what_it_refuses(graph: Graph, folder: Path) -> None:
    for changes, word in REFUSED:
        with pytest.raises(RlvlaError, match=word) as raised:
            graph.make(CameraNode, **{"path": str(folder), "camera_info": str(save_lens(folder.parent))} | changes)
        assert "\n" not in str(raised.value)


def arguments(folder: Path, width: int = 64, height: int = 48) -> list[str]:
    parameters = {"path": folder, "camera_info": save_lens(folder.parent, (width, height))}
    return ["--ros-args", *[word for key, value in parameters.items() for word in ("-p", f"{key}:={value}")]]


def test_a_second_camera_ends_with_one_line_and_1(graph: Graph, folder: Path) -> None:
    graph.make(Node, "camera").create_publisher(Image, topics.IMAGE, topics.STREAM)
    process = graph.process("rlvla_nodes.camera_node", *arguments(folder))
    assert graph.until(lambda: not process.runs)
    assert process.wait(30.0) == 1
    # A publisher may become known after this node has opened its own camera, and its name seconds later.
    opened = r"(\[INFO\] .*: file .*\n)?"
    expected = f"error: (/camera|another node) already publishes {topics.IMAGE}: stop it, or do not start camera_node\n"
    assert re.fullmatch(opened + expected, process.output), process.output


def test_a_second_camera_that_is_discovered_late_ends_the_node_too(graph: Graph, folder: Path) -> None:
    node = graph.make(CameraNode, path=str(folder), camera_info=str(save_lens(folder.parent)))
    graph.spin(0.3)  # alone so far
    graph.make(Node, "camera").create_publisher(Image, topics.IMAGE, topics.STREAM)
    with pytest.raises(RlvlaError, match="already publishes"):
        graph.spin(LATE_DISCOVERY_S)
    assert node._other_publisher() == "/camera"


def test_a_wrong_size_ends_with_one_line_and_1(graph: Graph, folder: Path) -> None:
    process = graph.process("rlvla_nodes.camera_node", *arguments(folder, 640, 480))
    assert process.wait(30.0) == 1
    assert process.output.count("\n") == 1
    assert "gives 64x48 pixels" in process.output and "describes 640x480" in process.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_two_signals_end_it_with_0(graph: Graph, folder: Path, number: signal.Signals) -> None:
    viewer = Viewer(graph)
    process = graph.process("rlvla_nodes.camera_node", *arguments(folder))
    assert graph.until(lambda: viewer.images)
    process.signal(number)
    process.signal(number)
    assert process.wait() == 0
    assert "Traceback" not in process.output
