"""Which devices can compute."""

import torch

from rlvla_core.errors import RlvlaError


def check_device(device: str) -> None:
    """Raise RlvlaError unless `device` is `cpu`, or `cuda` or `cuda:N` and this machine has such a GPU."""
    kind, _, number = device.partition(":")
    if device != "cpu" and (kind != "cuda" or not (device == "cuda" or number.isdecimal())):
        raise RlvlaError(f"unknown device `{device}`: use cpu or cuda")
    if kind == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if count == 0:
            raise RlvlaError(f"device `{device}` needs an NVIDIA GPU that torch can see: use device cpu")
        if number and int(number) >= count:
            raise RlvlaError(f"device `{device}` is not there: this machine has {count} GPUs, counted from cuda:0")
