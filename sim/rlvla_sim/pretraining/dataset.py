"""Pretraining images on disk: shards that worker processes fill, read as frames for training.

A folder holds `scenes.json` and safetensors files with `image` uint8 [n, H, W, 3], `answer` float32 [n, 7] (the
targets), `pixels` float32 [n, K, 2] and, as metadata, the instructions. A shard appears whole or not at all, so an
interrupted collection goes on where it stopped.
"""

import json
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from safetensors import safe_open
from safetensors.numpy import save

from rlvla_core.data.dataset import FrameBatch
from rlvla_core.errors import RlvlaError
from rlvla_core.processes import one_thread
from rlvla_core.storage.atomic import replace_file
from rlvla_core.storage.json_files import read_json, replace_json

SETTINGS = "scenes.json"
"""File that says which plan a folder's scenes are of."""
SHARD = 1000
"""Number of scenes in one shard file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelledImage:
    """An image of a posed scene, the question about it and the labels to learn."""

    image: np.ndarray
    """uint8 [H, W, 3]."""
    instruction: str
    """The question, in place of an instruction."""
    target: np.ndarray
    """float32 [7]: the answer, see `questions.ANSWER`; kept in shards as `answer`."""
    pixels: np.ndarray
    """float32 [K, 2]: where the source's `point_names` are in the image (u right, v down); NaN for an absent one."""


class SceneSource(Protocol):
    """Draws labelled images of scenes; image (seed, number) is always the same."""

    point_names: tuple[str, ...]
    """Names of the K points in `LabelledImage.pixels`."""

    def draw(self, seed: int, number: int) -> LabelledImage:
        """Image `number` of a seed."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class ScenePlan:
    """Which scenes to draw."""

    scenes: int
    """Number of scenes."""
    seed: int
    """Seed of the scenes, see `SceneSource.draw`."""
    settings: dict[str, Any]
    """JSON of everything else that decides the images; compared when an interrupted collection goes on."""


def collect_scenes(
    open_source: Callable[[], SceneSource], plan: ScenePlan, out: Path, *, processes: int
) -> Iterator[int]:
    """Draw what is missing of `plan` in the folder `out`; yields the number of scenes that are there.

    `open_source` is called once in each worker process and must be importable there. Raises RlvlaError if `out` holds
    another plan, and when a worker dies (what is finished stays).
    """
    settings = {"scenes": plan.scenes, "seed": plan.seed, "shard": SHARD, "settings": plan.settings}
    settings = json.loads(json.dumps(settings))
    out.mkdir(parents=True, exist_ok=True)
    path = out / SETTINGS
    if path.exists() and read_json(path, "remove the folder") != settings:
        raise RlvlaError(f"{out} holds scenes of other settings: remove it or choose another directory")
    replace_json(path, settings)
    starts = range(0, plan.scenes, SHARD)
    done = [first for first in starts if shard_path(out, first).exists()]
    finished = sum(min(SHARD, plan.scenes - first) for first in done)
    yield finished
    with (
        one_thread(),
        ProcessPoolExecutor(
            processes, multiprocessing.get_context("spawn"), initializer=_begin, initargs=(open_source,)
        ) as pool,
    ):
        missing = [first for first in starts if first not in done]
        jobs = [
            pool.submit(_draw_shard, plan.seed, range(first, min(first + SHARD, plan.scenes)), out) for first in missing
        ]
        try:
            for job in as_completed(jobs):
                finished += job.result()
                yield finished
        except BrokenProcessPool as error:
            raise RlvlaError(f"a process that draws scenes died: what is in {out} stays, start again") from error
        finally:
            pool.shutdown(cancel_futures=True)


def shard_path(folder: Path, first: int) -> Path:
    """Path of the shard that begins with scene `first`."""
    return folder / f"scenes-{first:07d}.safetensors"


class _Worker:
    """The source that a worker process keeps open between shards."""

    open_source: Callable[[], SceneSource]
    source: SceneSource | None = None


def _begin(open_source: Callable[[], SceneSource]) -> None:
    _Worker.open_source = staticmethod(open_source)


def _draw_shard(seed: int, numbers: range, out: Path) -> int:
    # Opened here and not in `_begin`: what fails in a job reaches the caller with its own words.
    source = _Worker.source = _Worker.source or _Worker.open_source()
    scenes = [source.draw(seed, number) for number in numbers]
    tensors = {
        "image": np.stack([scene.image for scene in scenes]),
        "answer": np.stack([scene.target for scene in scenes]),
        "pixels": np.stack([scene.pixels for scene in scenes]),
    }
    facts = {"instructions": [scene.instruction for scene in scenes], "points": source.point_names}
    replace_file(
        shard_path(out, numbers[0]), save(tensors, metadata={name: json.dumps(value) for name, value in facts.items()})
    )
    return len(scenes)


class SceneDataset:
    """Scenes as training frames: targets stand where actions would, and `state` holds the pixels of the named
    points."""

    def __init__(self, folders: Sequence[Path], device: torch.device | str = "cpu") -> None:
        """Read every scene into the memory of `device`.

        Raises RlvlaError for a folder without scenes, and for folders whose scenes name different points.
        """
        images, targets, pixels = [], [], []
        self.instructions: list[str] = []
        names = set()
        for path in [path for folder in folders for path in _shards(folder)]:
            with safe_open(str(path), framework="pt") as file:
                facts = file.metadata()
                images.append(file.get_tensor("image").to(device))
                targets.append(file.get_tensor("answer").to(device))
                pixels.append(file.get_tensor("pixels").to(device))
            self.instructions += json.loads(facts["instructions"])
            names.add(tuple(json.loads(facts["points"])))
        if len(names) != 1:
            raise RlvlaError("these scenes name different points: draw them with one version of the catalogue")
        self.images, self.targets = torch.cat(images), torch.cat(targets)
        self.state = torch.cat(pixels)  # [N, K, 2]
        self.names: tuple[str, ...] = names.pop()
        self.height, self.width = self.images.shape[1:3]
        self.episode_index = torch.arange(len(self.images))

    @property
    def num_frames(self) -> int:
        """Number of scenes N."""
        return len(self.images)

    def frames(self, indices: torch.Tensor) -> FrameBatch:
        """The scenes with these numbers, int64 [B], as a batch of frames."""
        return FrameBatch(
            images=self.images[indices],
            actions=self.targets[indices],
            instructions=[self.instructions[i] for i in indices.tolist()],
            state=self.state[indices].flatten(1),
        )

    def pixels(self, frames: FrameBatch) -> torch.Tensor:
        """Pixels of the named points, float32 [B, K, 2]; NaN for absent ones (the labels of the localisation loss)."""
        assert frames.state is not None
        return frames.state.unflatten(1, (len(self.names), 2))


def _shards(folder: Path) -> list[Path]:
    paths = sorted(folder.glob("scenes-*.safetensors"))
    if not paths:
        raise RlvlaError(f"{folder} holds no scenes: draw them with `rlvla pretrain`")
    return paths
