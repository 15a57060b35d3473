"""Measuring a policy: frozen episode lists, both success metrics, intervals, paired comparisons, videos."""

from rlvla_core.evaluation.episode_list import EpisodeList
from rlvla_core.evaluation.evaluate import EvaluationResult, Recording, evaluate, merge
from rlvla_core.evaluation.statistics import mcnemar, paired_difference, wilson

__all__ = [
    "EpisodeList",
    "EvaluationResult",
    "Recording",
    "evaluate",
    "mcnemar",
    "merge",
    "paired_difference",
    "wilson",
]
