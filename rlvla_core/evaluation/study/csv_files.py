"""The numbers of a report as CSV files: one row per number, with everything that identifies it."""

import csv
import io
from collections.abc import Iterable, Sequence

from rlvla_core.evaluation.statistics import wilson
from rlvla_core.evaluation.study.comparisons import REFERENCE
from rlvla_core.evaluation.study.curves import COLUMNS
from rlvla_core.evaluation.study.estimates import Estimate, axis_weights, estimate, ood_weights
from rlvla_core.evaluation.study.findings import Findings
from rlvla_core.evaluation.study.published import PAPER_EPISODES, PAPER_TESTS, PUBLISHED_MEANS
from rlvla_core.evaluation.study.records import IN_DISTRIBUTION

Value = str | int | float | None


def csv_files(findings: Findings) -> dict[str, tuple[str, str]]:
    """File name -> (content, description). Rates are fractions 0 .. 1; an empty cell is a number there is not."""
    return {
        "results.csv": (_results(findings), "every result and metric: successes, n, Wilson interval"),
        "means.csv": (_means(findings), "tests, axes and their mean over training seeds, with the seeds' spread"),
        "paired.csv": (_paired(findings), "paired comparisons with McNemar's and Holm's p"),
        "drops.csv": (_drops(findings), "generalisation drop per axis, absolute and relative"),
        "curves.csv": (_curves(findings), "learning curves"),
        "published.csv": (_published(), "published numbers, percent; none of this study"),
    }


def _results(findings: Findings) -> str:
    study = findings.study
    header = "method training_seed test_number test axis temperature metric successes n rate low high list_sha256"
    rows: list[Sequence[Value]] = []
    for policy in study.plan.policies:
        for temperature in study.plan.temperatures:
            for test in study.plan.tests:
                result = study.result(policy.method, policy.training_seed, test.name, temperature)
                for metric in () if result is None else result.metrics():
                    assert result is not None
                    successes = int(result.outcomes(metric).sum())
                    who = (policy.method, policy.training_seed, test.number, test.name, test.axis)
                    rate = (successes, result.n, successes / result.n, *wilson(successes, result.n))
                    rows.append((*who, f"{temperature:g}", metric, *rate, result.episodes.sha256))
    return _text(header, rows)


def _means(findings: Findings) -> str:
    study, plan = findings.study, findings.study.plan
    header = "method temperature metric group name tests n seeds rate low high seed_min seed_max"
    groups = [("test", test.name, {test.name: 1.0}) for test in plan.tests]
    groups += [
        ("axis", axis, axis_weights(plan, axis)) for axis in (IN_DISTRIBUTION, *plan.axes) if plan.tests_of(axis)
    ]
    if plan.axes:
        groups.append(("axes", "out-of-distribution", ood_weights(plan)))
    rows: list[Sequence[Value]] = []
    for method in plan.methods:
        for temperature in plan.temperatures:
            for metric in findings.metrics():
                for group, name, weights in groups:
                    if (found := estimate(study, method, weights, temperature, metric)) is not None:
                        rows.append((method, f"{temperature:g}", metric, group, name, *_numbers(found)))
    return _text(header, rows)


def _numbers(found: Estimate) -> tuple[Value, ...]:
    rates = found.seed_rates
    seeds = " ".join(map(str, rates))
    return found.tests, found.n, seeds, found.rate, found.low, found.high, min(rates.values()), max(rates.values())


def _paired(findings: Findings) -> str:
    header = "candidate reference training_seed test axis temperature n candidate_successes reference_successes"
    header += " only_candidate only_reference difference low high p holm_p holm_tests"
    rows: list[Sequence[Value]] = []
    for pair in findings.pairs:
        row = pair.comparison
        who = (pair.candidate, REFERENCE, pair.training_seed, pair.test.name, pair.test.axis, f"{pair.temperature:g}")
        counts = (row.n, row.before, row.after, row.only_before, row.only_after)
        rows.append((*who, *counts, row.difference, row.low, row.high, row.p_value, pair.holm_p, pair.family))
    return _text(header, rows)


def _drops(findings: Findings) -> str:
    header = "method temperature axis seeds in_distribution out_of_distribution drop low high relative relative_low"
    header += " relative_high seed_min seed_max"
    rows: list[Sequence[Value]] = []
    for entry in findings.drops:
        for drop in entry.axes:
            seeds = drop.seed_drops
            who = (entry.method, f"{entry.temperature:g}", drop.axis, " ".join(map(str, seeds)))
            rates = (drop.in_distribution, drop.out_of_distribution, drop.absolute, *drop.absolute95)
            relative = (drop.relative, *(drop.relative95 or (None, None)))
            rows.append((*who, *rates, *relative, min(seeds.values()), max(seeds.values())))
    return _text(header, rows)


def _curves(findings: Findings) -> str:
    rows = [
        (curve.policy.method, curve.policy.training_seed, *(record.get(name) for name in COLUMNS))
        for curve in findings.curves
        for record in curve.records
    ]
    return _text(f"method training_seed {' '.join(COLUMNS)}", rows)


def _published() -> str:
    rows: list[Sequence[Value]] = []
    for test in PAPER_TESTS:
        for model, rate in (("OpenVLA, SFT 16k", test.sft), ("OpenVLA, PPO", test.ppo)):
            rows.append(("RL4VLA", model, "test", test.axis, test.title, 100 * rate, PAPER_EPISODES))
    names = ("in_distribution", "vision", "semantics", "execution", "out_of_distribution")
    for row in PUBLISHED_MEANS:
        for name in names:
            axis = name.replace("_", "-")
            rows.append((row.source, row.model, "axis", axis, f"mean of {axis}", getattr(row, name), None))
    return _text("source model group axis name percent n", rows)


def _text(header: str, rows: Iterable[Sequence[Value]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header.split())
    writer.writerows([f"{value:.6g}" if isinstance(value, float) else value for value in row] for row in rows)
    return buffer.getvalue()
