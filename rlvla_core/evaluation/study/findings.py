"""All results that are computed from a study before its page and CSV files are written."""

from collections.abc import Sequence
from dataclasses import dataclass

from rlvla_core.evaluation.evaluate import METRICS
from rlvla_core.evaluation.study.comparisons import PairedRow, candidates, paired_rows
from rlvla_core.evaluation.study.curves import Curve, read_curves
from rlvla_core.evaluation.study.drops import MethodDrops, method_drops
from rlvla_core.evaluation.study.folder import StudyResults
from rlvla_core.evaluation.study.records import Trained


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Results of a study with the comparisons, drops and learning curves that follow from them."""

    study: StudyResults
    """The measured results."""
    pairs: Sequence[PairedRow]
    """Paired comparisons, for all candidates, training seeds, tests and temperatures that can be paired."""
    drops: Sequence[MethodDrops]
    """Generalisation drops, for all methods and temperatures that have any."""
    curves: Sequence[Curve]
    """Learning curves of the policies that have a journal."""
    missing_journals: Sequence[Trained]
    """Policies whose journal is not there (yet)."""

    def pairs_with(self, candidate: str, temperature: float) -> list[PairedRow]:
        """Paired comparisons with one candidate at one temperature."""
        return [row for row in self.pairs if (row.candidate, row.temperature) == (candidate, temperature)]

    def drops_at(self, temperature: float) -> list[MethodDrops]:
        """Generalisation drops of all methods at one temperature."""
        return [entry for entry in self.drops if entry.temperature == temperature]

    def metrics(self) -> list[str]:
        """Metrics that at least one result has, in the order of METRICS."""
        return [metric for metric in METRICS if any(metric in r.metrics() for r in self.study.results.values())]


def compute_findings(study: StudyResults) -> Findings:
    """Compute all comparisons, drops and curves of a study. Raises RlvlaError for a broken journal."""
    temperatures = study.plan.temperatures
    drops = (method_drops(study, method, t) for t in temperatures for method in study.plan.methods)
    curves, missing_journals = read_curves(study)
    return Findings(
        study=study,
        pairs=[
            row for t in temperatures for candidate in candidates(study) for row in paired_rows(study, candidate, t)
        ],
        drops=[entry for entry in drops if entry is not None],
        curves=curves,
        missing_journals=missing_journals,
    )
