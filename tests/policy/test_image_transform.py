"""The image transform against closed forms."""

import pytest
import torch

from rlvla_core.errors import RlvlaError
from rlvla_core.policy.image_transform import ImageTransform


def flat(red: int, green: int, blue: int, height: int = 48, width: int = 64) -> torch.Tensor:
    return torch.tensor([red, green, blue], dtype=torch.uint8).expand(1, height, width, 3).contiguous()


@pytest.mark.parametrize("resampler", ["tensor", "pil"])
def test_a_flat_colour_is_normalised_twice(resampler) -> None:
    pixels = ImageTransform(size=16, resampler=resampler)(flat(255, 0, 51))
    expected = [(1 - 0.485) / 0.229, (0 - 0.456) / 0.224, (0.2 - 0.406) / 0.225, 1.0, -1.0, -0.6]
    assert pixels.shape == (1, 6, 16, 16)
    torch.testing.assert_close(pixels.mean((0, 2, 3)), torch.tensor(expected), atol=1e-5, rtol=0)
    assert pixels.std((0, 2, 3)).max() < 1e-5


def test_a_image_of_the_right_size_is_not_resampled() -> None:
    noise = torch.randint(0, 256, (2, 16, 16, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    pixels = ImageTransform(size=16)(noise)
    restored = (pixels[:, 3:] * 0.5 + 0.5) * 255
    torch.testing.assert_close(restored, noise.permute(0, 3, 1, 2).float(), atol=1e-3, rtol=0)


def test_the_two_resamplers_agree_within_two_grey_levels() -> None:
    noise = torch.randint(0, 256, (1, 48, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    tensor = ImageTransform(size=24).resize(noise).clamp(0, 255)
    pil = ImageTransform(size=24, resampler="pil").resize(noise)
    assert (tensor - pil).abs().max() <= 2.0


def test_the_hash_tells_transforms_apart_and_is_stable() -> None:
    assert ImageTransform(size=64).hash() == ImageTransform(size=64).hash() == "9c56e66374df6d5d"
    others = {
        ImageTransform(size=32).hash(),
        ImageTransform(size=64, resampler="pil").hash(),
        ImageTransform(size=64, dtype=torch.bfloat16).hash(),
    }
    assert len(others | {"9c56e66374df6d5d"}) == 4


def test_wrong_images_are_refused() -> None:
    with pytest.raises(RlvlaError, match="must be uint8"):
        ImageTransform(size=16)(torch.zeros(1, 3, 16, 16))
