"""Builds the tables of a report from the results of a study."""

from collections.abc import Sequence

from rlvla_core.evaluation.report import format_difference, format_p, format_rate
from rlvla_core.evaluation.study.blocks import Table
from rlvla_core.evaluation.study.comparisons import REFERENCE, PairedRow
from rlvla_core.evaluation.study.drops import DRAWS, AxisDrop, MethodDrops
from rlvla_core.evaluation.study.estimates import HEADLINE, Estimate, axis_weights, estimate, ood_weights
from rlvla_core.evaluation.study.folder import StudyResults
from rlvla_core.evaluation.study.published import PAPER_EPISODES, PAPER_TESTS, PUBLISHED_MEANS
from rlvla_core.evaluation.study.records import IN_DISTRIBUTION, StudyPlan

MISSING = "missing"


def rate_table(study: StudyResults, temperature: float, metric: str = HEADLINE) -> Table:
    """Table of the rates of one metric: a row per test, mean of an axis and mean of the axes; a column per method.

    Only the table of the headline metric has a caption that explains the cells.
    """
    plan = study.plan
    rows: list[list[str]] = []
    strong: set[int] = set()

    def add(title: str, weights: dict[str, float], is_mean: bool) -> None:
        if is_mean:
            strong.add(len(rows))
        cells = (estimate(study, method, weights, temperature, metric) for method in plan.methods)
        rows.append([title, *map(_cell, cells)])

    for axis in (IN_DISTRIBUTION, *plan.axes):
        tests = plan.tests_of(axis)
        for test in tests:
            add(test.title if axis == IN_DISTRIBUTION else f"{axis}: {test.title}", {test.name: 1.0}, False)
        if len(tests) > 1:
            add(f"{axis}, mean of {len(tests)}", axis_weights(plan, axis), True)
    if len(plan.axes) > 1:
        add(f"out of distribution, mean of {len(plan.axes)} axes", ood_weights(plan), True)
    caption = _rate_caption(plan) if metric == HEADLINE else ""
    return Table(header=["test", *plan.methods], rows=rows, strong=frozenset(strong), caption=caption)


def paired_table(rows: Sequence[PairedRow]) -> Table:
    """Table of the reference against one candidate: a row per training seed and test."""
    candidate = rows[0].candidate
    header = [
        "test",
        "training seed",
        candidate,
        REFERENCE,
        "difference [95 %]",
        f"only {candidate} / only {REFERENCE}",
    ]
    cells = []
    for row in rows:
        found = row.comparison
        cells.append(
            [
                row.test.title,
                str(row.training_seed),
                format_rate(found.before, found.n),
                format_rate(found.after, found.n),
                format_difference(found.difference, found.low, found.high),
                f"{found.only_before} / {found.only_after}",
                format_p(found.p_value),
                format_p(row.holm_p),
            ]
        )
    families = sorted({row.family for row in rows})
    caption = (
        f"The same episodes, pair by pair; positive: {REFERENCE} is better. Difference: Newcombe paired. p: exact "
        f"McNemar, two-sided; Holm p: adjusted for the {' or '.join(map(str, families))} tests of a training seed."
    )
    return Table(header=[*header, "McNemar p", "Holm p"], rows=cells, caption=caption)


def drop_table(drops: Sequence[MethodDrops], axes: Sequence[str]) -> Table:
    """Table of generalisation drops: a row per method with the drop of each axis and the order of the axes."""
    rows = []
    for entry in drops:
        found = {drop.axis: drop for drop in entry.axes}
        order = (
            " > ".join(entry.order) + f"\nin {100 * entry.order_fraction:.0f} % of the resamples" if entry.order else ""
        )
        rows.append([entry.method, *(_drop_cell(found.get(axis)) for axis in axes), order or MISSING])
    caption = (
        "Mean success of an axis' tests minus success in distribution, in percentage points, and below it as a "
        "fraction of the success in distribution. Intervals: 95 %, percentile bootstrap over episodes, fixed seed "
        f"({DRAWS} resamples), for these trained policies. Order: largest drop first."
    )
    return Table(header=["method", *axes, "order"], rows=rows, caption=caption)


def policies_table(plan: StudyPlan) -> Table:
    """Table of the policies: environment steps, demonstrations and minutes of their training."""
    rows = [
        [
            policy.method,
            str(policy.training_seed),
            f"{policy.env_steps:,}",
            f"{policy.demonstrations:,}",
            f"{policy.minutes:.1f}",
            f"`{policy.bundle}`",
        ]
        for policy in plan.policies
    ]
    header = ["method", "training seed", "environment steps", "demonstrations", "minutes", "bundle"]
    return Table(header=header, rows=rows)


def tests_table(study: StudyResults) -> Table:
    """Table of the tests: what changes in each of them, and the hash of its list of episodes."""
    hashes = {test: result.episodes.sha256[:8] for (_, test, _), result in study.results.items()}
    rows = [
        [str(test.number), test.title, test.axis, test.change, hashes.get(test.name, MISSING)]
        for test in study.plan.tests
    ]
    return Table(header=["number", "test", "axis", "what changes", "episode list (sha256)"], rows=rows)


def own_means_table(study: StudyResults, temperature: float) -> Table:
    """Table of the means of this study, with the columns of `published_means_table`."""
    plan = study.plan
    columns = [axis_weights(plan, axis) for axis in (IN_DISTRIBUTION, *plan.axes)] + [ood_weights(plan)]
    rows = [
        [f"{plan.model}, {method}", *(_cell(estimate(study, method, column, temperature)) for column in columns)]
        for method in plan.methods
    ]
    header = ["this study", "in distribution", *plan.axes, "out of distribution"]
    return Table(header=header, rows=rows, caption="Means over the tests of an axis; the last is the mean of the axes.")


def published_means_table() -> Table:
    """Table of published means per axis, in percent."""
    rows = [
        [
            f"{row.source}: {row.model}",
            *(
                str(round(rate, 2))
                for rate in (row.in_distribution, row.vision, row.semantics, row.execution, row.out_of_distribution)
            ),
        ]
        for row in PUBLISHED_MEANS
    ]
    caption = (
        "As published, without intervals (RL4VLA: means over its table, computed here); the sources are listed below."
    )
    header = ["published [%]", "in distribution", "vision", "semantics", "execution", "out of distribution"]
    return Table(header=header, rows=rows, caption=caption)


def published_tests_table() -> Table:
    """Table of the paper's success rates, with the intervals that follow from its number of episodes."""
    rows = [
        [
            test.title if test.axis == IN_DISTRIBUTION else f"{test.axis}: {test.title}",
            *(format_rate(round(rate * PAPER_EPISODES), PAPER_EPISODES) for rate in (test.sft, test.ppo)),
        ]
        for test in PAPER_TESTS
    ]
    caption = f"RL4VLA's published rates, as counts of {PAPER_EPISODES}; the intervals are Wilson's, computed here."
    return Table(header=["RL4VLA", "OpenVLA, SFT 16k", "OpenVLA, PPO"], rows=rows, caption=caption)


def _cell(found: Estimate | None) -> str:
    if found is None:
        return MISSING
    (first, *others) = found.seed_rates
    if not others and found.tests == 1:
        text = format_rate(found.successes, found.n)
    else:
        text = f"{100 * found.rate:.1f} % [{100 * found.low:.1f}, {100 * found.high:.1f}]"
    if others:
        text += "\nseeds " + ", ".join(f"{seed}: {100 * rate:.1f}" for seed, rate in found.seed_rates.items())
    elif found.absent:
        text += f"\nseed {first}"
    if found.absent:
        text += f"; {MISSING}: {', '.join(map(str, found.absent))}"
    return text


def _drop_cell(drop: AxisDrop | None) -> str:
    if drop is None:
        return MISSING
    text = format_difference(drop.absolute, *drop.absolute95)
    if drop.relative is None:
        text += "\nno success in distribution"
    else:
        text += f"\n{100 * drop.relative:+.0f} %"
        low, high = drop.relative95 or (None, None)
        text += f" [{100 * low:+.0f}, {100 * high:+.0f}]" if low is not None and high is not None else ""
    if len(drop.seed_drops) > 1:
        text += "\nseeds " + ", ".join(f"{seed}: {100 * value:+.1f}" for seed, value in drop.seed_drops.items())
    return text


def _rate_caption(plan: StudyPlan) -> str:
    several = any(len(plan.seeds(method)) > 1 for method in plan.methods)
    text = f"Each cell: {plan.episodes} episodes a test"
    text += " and training seed. " if several else ". "
    text += "In brackets: 95 % interval over episodes for these trained policies, Wilson's for one test and one seed"
    if several:
        text += (
            "; over several seeds, the episodes that they share count as clusters. Below: the rate of each training "
            "seed. Their spread is what training again would do, and the interval does not contain it"
        )
    return f"{text}."
