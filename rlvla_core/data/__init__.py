"""Demonstrations and trials on disk (LeRobot v3 layout), their statistics and filters."""

from rlvla_core.data.dataset import Dataset, FrameBatch
from rlvla_core.data.episode import Episode
from rlvla_core.data.filter import IdleFilter, drop_idle, moving_steps
from rlvla_core.data.merge import merge
from rlvla_core.data.statistics import action_statistics
from rlvla_core.data.writer import DatasetWriter

__all__ = [
    "Dataset",
    "DatasetWriter",
    "Episode",
    "FrameBatch",
    "IdleFilter",
    "action_statistics",
    "drop_idle",
    "merge",
    "moving_steps",
]
