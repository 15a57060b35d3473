"""Evaluation of policies: fixed episode lists, success metrics, confidence intervals, paired comparisons, videos."""

from rlvla_core.evaluation.episode_list import EpisodeList
from rlvla_core.evaluation.evaluate import EvaluationResult, Recording, evaluate, merge_results
from rlvla_core.evaluation.statistics import mcnemar, paired_difference, wilson

__all__ = [
    "EpisodeList",
    "EvaluationResult",
    "Recording",
    "evaluate",
    "mcnemar",
    "merge_results",
    "paired_difference",
    "wilson",
]
