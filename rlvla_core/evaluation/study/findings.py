"""Everything that is computed from a study before a page or a CSV file is written."""

from collections.abc import Sequence
from dataclasses import dataclass

from rlvla_core.evaluation.evaluate import METRICS
from rlvla_core.evaluation.study.comparisons import PairedRow, candidates, paired_rows
from rlvla_core.evaluation.study.curves import Curve, read_curves
from rlvla_core.evaluation.study.drops import MethodDrops, method_drops
from rlvla_core.evaluation.study.folder import Study
from rlvla_core.evaluation.study.records import Trained


@dataclass(frozen=True, kw_only=True)
class Findings:
    """A study with its comparisons, drops and learning curves."""

    study: Study
    pairs: Sequence[PairedRow]
    """All candidates, training seeds, tests and temperatures that can be paired."""
    drops: Sequence[MethodDrops]
    """All methods and temperatures that have any."""
    curves: Sequence[Curve]
    missing_journals: Sequence[Trained]

    def pairs_with(self, candidate: str, temperature: float) -> list[PairedRow]:
        """Rows of one candidate at one temperature."""
        return [row for row in self.pairs if (row.candidate, row.temperature) == (candidate, temperature)]

    def drops_at(self, temperature: float) -> list[MethodDrops]:
        """Drops of all methods at one temperature."""
        return [entry for entry in self.drops if entry.temperature == temperature]

    def metrics(self) -> list[str]:
        """Metrics that some result has, in order."""
        return [metric for metric in METRICS if any(metric in r.metrics() for r in self.study.results.values())]


def find(study: Study) -> Findings:
    """Compute all of it. Raises RlvlaError for a broken journal."""
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
