"""Learning curves of the trained policies of a study, read from the journals of their runs."""

from dataclasses import dataclass

import numpy as np

from rlvla_core.evaluation.study.folder import StudyResults
from rlvla_core.evaluation.study.records import Trained
from rlvla_core.runs.journal import Journal, flat_scalars
from rlvla_core.runs.plots import with_minutes

COLUMNS = ("iteration", "env_steps", "minutes", "success_at_end", "success_once", "loss", "accuracy")
"""Scalars of a journal that the report shows."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """The learning curve of one policy."""

    policy: Trained
    """The policy that was trained."""
    records: tuple[dict[str, float], ...]
    """Records of its journal in order, each with those of COLUMNS that it has."""

    def points(self, x: str, y: str) -> tuple[np.ndarray, np.ndarray]:
        """(x, y): values of two of COLUMNS, float [m] each, from the m records that have both."""
        pairs = [(record[x], record[y]) for record in self.records if x in record and y in record]
        columns = np.array(pairs, dtype=np.float64).reshape(-1, 2)
        return columns[:, 0], columns[:, 1]


def read_curves(study: StudyResults) -> tuple[list[Curve], list[Trained]]:
    """(curves, policies without one): the learning curves of a study, and the policies whose journal is not there yet.

    A policy whose plan names no journal is in neither list. Raises RlvlaError for a broken journal.
    """
    curves, missing = [], []
    for policy in study.plan.policies:
        if policy.journal is None:
            continue
        rows = with_minutes(
            [flat_scalars(row) for row in Journal(study.folder / policy.journal, read_only=True).read()]
        )
        records = tuple({name: row[name] for name in COLUMNS if name in row} for row in rows)
        if any(records):
            curves.append(Curve(policy=policy, records=records))
        else:
            missing.append(policy)
    return curves, missing
