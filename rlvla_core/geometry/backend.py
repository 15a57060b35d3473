"""The library that computes for an array: numpy or torch, which name what the geometry needs alike.

torch is never imported here: where a tensor exists, somebody has imported it. Controllers and nodes that have none stay
free of its seconds of start-up.
"""

import sys
from types import ModuleType
from typing import Any

import numpy as np

Array = Any
"""A numpy array or a torch tensor of floats."""


def array_module(x: Array) -> ModuleType:
    """The module `torch` for a tensor, `numpy` for everything else."""
    return sys.modules["torch"] if isinstance(x, getattr(sys.modules.get("torch"), "Tensor", ())) else np


def array_like(values: Any, like: Array) -> Array:
    """`values` as an array of the library, dtype and device of `like`."""
    xp = array_module(like)
    return xp.asarray(values, dtype=like.dtype, **({} if xp is np else {"device": like.device}))
