"""A recorded camera for the tests: a folder of images, and the file of the lens as camera_calibration saves it."""

from pathlib import Path

import numpy as np
import yaml
from PIL import Image

SIZE = (64, 48)
"""Width and height of the images, pixels."""


def save_images(folder: Path, count: int = 3, size: tuple[int, int] = SIZE) -> list[np.ndarray]:
    """Write PNG images of noise, each with its number as the first value; the images in the order of their names."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(3)
    made = [rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8) for _ in range(count)]
    for number, image in enumerate(made):
        image[0, 0, 0] = number
        Image.fromarray(image).save(folder / f"{number:03}.png")
    return made


def save_lens(
    folder: Path,
    size: tuple[int, int] = SIZE,
    matrix: tuple[float, float, float, float] = (60.0, 61.0, 32.0, 24.0),
    **changes: object,
) -> Path:
    """Write `lens.yaml`: fx, fy, cx, cy in pixels, no distortion; a change to None takes a key out. Returns it."""
    fx, fy, cx, cy = matrix
    data: dict[str, object] = {
        "image_width": size[0],
        "image_height": size[1],
        "camera_matrix": {"data": [fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0]},
        "distortion_model": "plumb_bob",
        "distortion_coefficients": {"data": [0.0] * 5},
    }
    path = folder / "lens.yaml"
    kept = {key: value for key, value in (data | changes).items() if value is not None}
    path.write_text(yaml.safe_dump(kept))
    return path
