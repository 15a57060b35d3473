"""The page of a study's report as a sequence of blocks."""

from collections.abc import Sequence

from rlvla_core.evaluation.report import format_acting
from rlvla_core.evaluation.study.blocks import Block, FigureImage, Fold, Heading, Items, Paragraph, Video
from rlvla_core.evaluation.study.comparisons import REFERENCE, candidates
from rlvla_core.evaluation.study.drop_bars import drop_bars
from rlvla_core.evaluation.study.estimates import HEADLINE
from rlvla_core.evaluation.study.findings import Findings
from rlvla_core.evaluation.study.forest import forest_plot
from rlvla_core.evaluation.study.learning_curves import learning_curves
from rlvla_core.evaluation.study.notes import automatic_notes, missing_lines, source_lines
from rlvla_core.evaluation.study.radar import radar_plot
from rlvla_core.evaluation.study.records import StudyPlan
from rlvla_core.evaluation.study.tables import (
    drop_table,
    own_means_table,
    paired_table,
    policies_table,
    published_means_table,
    published_tests_table,
    rate_table,
    tests_table,
)


def title(plan: StudyPlan) -> str:
    """Title of the page."""
    return f"Study: {plan.model} on {len(plan.tests)} tests"


def page(findings: Findings, videos: Sequence[Video], notes: str) -> list[Block]:
    """All blocks of the page in order, except the list of files.

    notes: paragraphs of the user, separated by blank lines, for the top of the page.
    """
    plan = findings.study.plan
    blocks: list[Block] = [Heading(text=title(plan), level=1), Paragraph(text=_what_was_run(plan)), *_missing(findings)]
    blocks += [Paragraph(text=text) for text in _paragraphs(notes)]
    blocks += [Heading(text="Notes", level=3), Items(texts=automatic_notes(findings))]
    for temperature in plan.temperatures:
        blocks += _rates(findings, temperature)
    blocks += _comparisons(findings)
    blocks += _drops(findings)
    blocks += _curves(findings)
    blocks += _published(findings)
    if videos:
        blocks += [Heading(text="Videos"), *videos]
    blocks += [
        Heading(text="Details"),
        *_metrics(findings),
        Fold(title="The tests", blocks=[tests_table(findings.study)]),
        Fold(title="The policies", blocks=[policies_table(plan)]),
    ]
    return blocks


def _what_was_run(plan: StudyPlan) -> str:
    date = f" Date: {plan.date}." if plan.date else ""
    commit = f"commit `{plan.commit}`" if plan.commit else "commit unknown"
    ways = ", ".join(map(format_acting, plan.temperatures))
    return (
        f"World: {plan.world.describe()}. {len(plan.policies)} policies of {len(plan.methods)} methods, "
        f"{plan.episodes} episodes a test (evaluation seed {plan.evaluation_seed}), {ways}. "
        f"Command: `{plan.command}`, {commit}. Machine: {plan.machine}.{date}"
    )


def _missing(findings: Findings) -> list[Block]:
    study = findings.study
    if not study.missing:
        return []
    total = len(study.missing) + len(study.results)
    text = "A mean is given only where all of its tests have been measured."
    heading = Heading(text=f"Unfinished: {len(study.missing)} of {total} results are missing", level=3)
    return [heading, Paragraph(text=text), Fold(title="What is missing", blocks=[Items(texts=missing_lines(study))])]


def _rates(findings: Findings, temperature: float) -> list[Block]:
    study = findings.study
    blocks: list[Block] = [
        Heading(text=f"Success at the last step, {format_acting(temperature)}"),
        rate_table(study, temperature),
    ]
    if (image := forest_plot(study, temperature)) is not None:
        caption = (
            f"Success at the last step with 95 % intervals over episodes, {format_acting(temperature)}; vertical "
            "strokes are the training seeds."
        )
        blocks.append(FigureImage(name=f"forest-T{temperature:g}.png", png=image, caption=caption))
    if (image := radar_plot(study, temperature)) is not None:
        caption = (
            f"Success of every method in every test, {format_acting(temperature)}; the letter is the axis of the test."
        )
        blocks.append(FigureImage(name=f"radar-T{temperature:g}.png", png=image, caption=caption))
    return blocks


def _comparisons(findings: Findings) -> list[Block]:
    blocks: list[Block] = []
    for temperature in findings.study.plan.temperatures:
        for candidate in candidates(findings.study):
            if rows := findings.pairs_with(candidate, temperature):
                name = f"{REFERENCE} against {candidate}, {format_acting(temperature)}"
                better = sum(row.holm_p <= 0.05 and row.comparison.difference > 0 for row in rows)
                worse = sum(row.holm_p <= 0.05 and row.comparison.difference < 0 for row in rows)
                summary = f"{name}: better in {better}, worse in {worse} of {len(rows)} pairs (Holm p <= 0.05)"
                blocks.append(Fold(title=summary, blocks=[paired_table(rows)]))
    return [Heading(text="Paired comparisons"), *blocks] if blocks else []


def _drops(findings: Findings) -> list[Block]:
    plan = findings.study.plan
    blocks: list[Block] = []
    for temperature in plan.temperatures:
        drops = findings.drops_at(temperature)
        if (image := drop_bars(drops, plan.methods, plan.axes)) is not None:
            blocks += [Heading(text=f"Drop, {format_acting(temperature)}", level=3), drop_table(drops, plan.axes)]
            caption = (
                f"Drop of success per axis with 95 % bootstrap intervals over episodes, {format_acting(temperature)}."
            )
            blocks.append(FigureImage(name=f"drop-T{temperature:g}.png", png=image, caption=caption))
    return [Heading(text="Generalisation drop"), *blocks] if blocks else []


def _curves(findings: Findings) -> list[Block]:
    image = learning_curves(findings.curves, findings.study.plan.methods)
    if image is None:
        return []
    caption = (
        "Learning curves: success in the training episodes against environment steps and wall time; for supervised "
        "methods the loss against updates and wall time. One line per training seed; pale: values of the journal, "
        "strong: running mean over a tenth of the run. Losses of different methods measure different things."
    )
    return [Heading(text="Learning curves"), FigureImage(name="learning.png", png=image, caption=caption)]


def _published(findings: Findings) -> list[Block]:
    study = findings.study
    own: list[Block] = []
    for temperature in study.plan.temperatures:
        own += [Heading(text=f"This study, {format_acting(temperature)}", level=3), own_means_table(study, temperature)]
    return [
        Heading(text="Beside published numbers"),
        Paragraph(
            text="Tables beside each other, never one table: models, metrics, sampling, objects and numbers of "
            "episodes differ. The notes below the tables say what is known of each source."
        ),
        *own,
        Heading(text="Published", level=3),
        published_means_table(),
        Fold(title="The paper's table, test by test", blocks=[published_tests_table()]),
        Items(texts=source_lines()),
    ]


def _metrics(findings: Findings) -> list[Block]:
    return [
        Fold(
            title=f"{metric.replace('_', ' ').capitalize()}, {format_acting(temperature)}",
            blocks=[rate_table(findings.study, temperature, metric)],
        )
        for metric in findings.metrics()
        if metric != HEADLINE
        for temperature in findings.study.plan.temperatures
    ]


def _paragraphs(notes: str) -> list[str]:
    return [" ".join(part.split()) for part in notes.split("\n\n") if part.strip()]
