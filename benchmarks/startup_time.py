"""How long does a process wait for its first image, and what would it wait if SAPIEN made its table of reflections?

    OMP_NUM_THREADS=1 LP_NUM_THREADS=0 python benchmarks/startup_time.py

One process: a new world's first images as `CameraRenderer` draws them, then the same of a second world whose camera is
not given a table. CPU seconds, the cost of starting the driver counted with the former. The images must be the same.
Ends with one line of JSON.
"""

import json
import sys
import time
from contextlib import nullcontext
from unittest import mock

import torch
from sapien.render import RenderCameraComponent

from rlvla.recipe import WORLD
from rlvla_sim import make_env


def first_image(*, own_table: bool) -> tuple[torch.Tensor, float]:
    """The images of a reset, uint8 [4, H, W, 3], and the CPU seconds until they are there."""
    unaware = nullcontext() if own_table else mock.patch.object(RenderCameraComponent, "set_texture")
    started = time.process_time()
    with unaware:
        env = make_env(WORLD, 4)
        images = env.reset(torch.arange(4)).images
    return images, time.process_time() - started


def main() -> int:
    torch.set_num_threads(1)
    images, seconds = first_image(own_table=True)
    usual, usual_seconds = first_image(own_table=False)
    same = torch.equal(images, usual)
    print(f"first images after {seconds:.1f} CPU s, with SAPIEN's table {usual_seconds:.1f} CPU s")
    print("the images are the same" if same else "error: the images differ")
    line = {"own_s": round(seconds, 2), "sapien_s": round(usual_seconds, 2), "ratio": round(usual_seconds / seconds, 1)}
    print(json.dumps({"benchmark": "first image", **line, "same": same}))
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
