"""From a camera image to the model's input: the one transform of simulation, training and robot.

uint8 [B, H, W, 3] RGB -> [B, 6, S, S]: bicubic resize with antialiasing to S x S (aspect ratio ignored, as OpenVLA's
"resize-naive"), scaled to 0..1, then normalised twice: channels 0-2 with ImageNet's mean and deviation for the DINO
tower, channels 3-5 with 0.5 and 0.5 for the SigLIP tower. An image that already has the side S is not resampled.

Two resamplers exist in OpenVLA's world. `tensor` is what reinforcement learning uses (no rounding after the resize);
`pil` is the original processor (rounds to uint8, differs by up to two grey levels).
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from rlvla_core.errors import RlvlaError

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation of ImageNet's channels, of pixels in 0..1: what the DINO tower was trained with."""
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
"""Mean and standard deviation that the SigLIP tower was trained with."""
LETTERBOX_GREY = 127
"""Grey level of the bars beside a letterboxed image, before both normalisations."""


@dataclass(frozen=True, kw_only=True)
class ImageTransform:
    """The transform as a callable, uint8 [B, H, W, 3] -> [B, 6, S, S]; it holds no state.

    Raises RlvlaError for a letterbox with the resampler `tensor`.
    """

    size: int
    """Side S of the square result, pixels."""
    resampler: Literal["tensor", "pil"] = "tensor"
    """How the image is resized: `tensor` (no rounding, as in reinforcement learning) or `pil` (rounds to uint8)."""
    strategy: str = "resize-naive"
    """How the image becomes square: `resize-naive` (stretched) or `letterbox` (grey bars added first; `pil` only)."""
    dtype: torch.dtype = torch.float32
    """Precision of the arithmetic and the result. bfloat16 repeats the rounding of the 7B training code."""

    def __post_init__(self) -> None:
        if self.strategy == "letterbox" and self.resampler != "pil":
            raise RlvlaError("image strategy letterbox needs the resampler `pil`")

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Transform images uint8 [B, H, W, 3] -> [B, 6, S, S]. Raises RlvlaError for another type or shape."""
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[-1] != 3:
            raise RlvlaError(f"images must be uint8 [B, H, W, 3], got {images.dtype} {list(images.shape)}")
        return self.normalise(self.resize(images))

    def resize(self, images: torch.Tensor) -> torch.Tensor:
        """Resize images uint8 [B, H, W, 3] -> [B, 3, S, S], grey levels 0..255; `tensor` may overshoot slightly."""
        square = images.shape[1] == images.shape[2] == self.size
        if self.resampler == "pil" and not square:
            images = torch.stack([self._resize_pil(image) for image in images])
            square = True
        planes = images.permute(0, 3, 1, 2).to(self.dtype)
        if square:
            return planes
        # Interpolation runs in float32 and is rounded afterwards, as torchvision does for bfloat16 input.
        resized = F.interpolate(
            planes.float(), size=(self.size, self.size), mode="bicubic", antialias=True, align_corners=False
        )
        return resized.to(self.dtype)

    def normalise(self, planes: torch.Tensor) -> torch.Tensor:
        """Normalise grey levels 0..255 twice, for DINO and for SigLIP: [B, 3, S, S] -> [B, 6, S, S]."""
        unit = planes / 255
        out = []
        for mean, deviation in (IMAGENET, HALF):
            m, d = (torch.tensor(x, dtype=unit.dtype, device=unit.device).view(3, 1, 1) for x in (mean, deviation))
            out.append((unit - m) / d)
        return torch.cat(out, dim=1)

    def hash(self) -> str:
        """Identity of the transform: 16 hex digits that change with its arithmetic; bundles are checked against it."""
        facts = asdict(self) | {"dtype": str(self.dtype), "mean_std": [IMAGENET, HALF], "version": 1}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]

    def _resize_pil(self, image: torch.Tensor) -> torch.Tensor:
        drawn = Image.fromarray(image.cpu().numpy())
        if self.strategy == "letterbox":
            side = max(drawn.size)
            left, top = ((side - length) // 2 for length in drawn.size)
            canvas_size = (drawn.width + 2 * left, drawn.height + 2 * top)
            canvas = Image.new("RGB", canvas_size, (LETTERBOX_GREY,) * 3)
            canvas.paste(drawn, (left, top))
            drawn = canvas
        resized = drawn.resize((self.size, self.size), Image.Resampling.BICUBIC)
        return torch.from_numpy(np.array(resized)).to(image.device)
