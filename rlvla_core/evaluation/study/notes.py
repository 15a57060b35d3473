"""Notes that the report itself adds, whatever the results are: what a reader must know to judge the tables."""

from rlvla_core.evaluation.report import few_episodes_note, format_acting
from rlvla_core.evaluation.statistics import wilson
from rlvla_core.evaluation.study.comparisons import REFERENCE, candidates, shared_seeds
from rlvla_core.evaluation.study.findings import Findings
from rlvla_core.evaluation.study.folder import StudyResults
from rlvla_core.evaluation.study.published import PUBLICATIONS

PAPER_STEPS = 80
"""Time limit of an episode in the paper, in control steps."""


def automatic_notes(findings: Findings) -> list[str]:
    """Caveats of a study, one text each, the most important first."""
    study, plan = findings.study, findings.study.plan
    low, high = wilson(round(plan.episodes / 2), plan.episodes)
    notes = [
        f"{plan.episodes} episodes a test: near 50 %, the interval of a cell is {50 * (high - low):.0f} points to "
        f"either side.{few_episodes_note(plan.episodes)}",
        f"Training seeds: {', '.join(f'{method} {len(plan.seeds(method))}' for method in plan.methods)}."
        + _single_seed_note(study),
        f"The policy is `{plan.model}`"
        + ("." if plan.model == "openvla-7b" else ", the published ones are openvla-7b: compare shapes, not levels."),
        f"World: {plan.world.describe()}." + _world_note(study),
        "Success at the last step is the metric of every table that does not name another; success at any step "
        "(RLinf's) is never smaller and stands in the further metrics.",
        "Steps and minutes are those of each training alone, without the warm-up or the demonstrations below it; "
        "learning curves show the training episodes, not these tests.",
    ]
    for candidate in candidates(study):
        if alone := [seed for seed in plan.seeds(REFERENCE) if seed not in shared_seeds(study, candidate)]:
            names = ", ".join(f"{REFERENCE}-{seed}" for seed in alone)
            notes.append(
                f"{candidate} has no training seed {', '.join(map(str, alone))}: {names} is not paired with it."
            )
    if REFERENCE not in plan.methods:
        notes.append(f"The study has no {REFERENCE}: there are no paired comparisons.")
    if findings.missing_journals:
        names = ", ".join(policy.name for policy in findings.missing_journals)
        notes.append(f"No journal was found of {names}: their learning curves are missing.")
    return notes


def missing_lines(study: StudyResults) -> list[str]:
    """Results that are not measured yet, as one line for each policy and temperature."""
    groups: dict[tuple[str, float], list[str]] = {}
    for policy, test, temperature in study.missing:
        groups.setdefault((policy.name, temperature), []).append(test.title)
    of = len(study.plan.tests)
    return [
        f"{name}, {format_acting(temperature)}: {len(tests)} of {of} tests ({', '.join(tests)})"
        for (name, temperature), tests in groups.items()
    ]


def source_lines() -> list[str]:
    """Sources of the published numbers and their differences from this study, one line each."""
    return [
        f"{source.name}: {source.where}. Metric: {source.metric}. Temperature: {source.temperature}. Episodes a test: "
        f"{source.episodes}. World: {source.world}. {source.differs}."
        for source in PUBLICATIONS
    ]


def _single_seed_note(study: StudyResults) -> str:
    single = [method for method in study.plan.methods if len(study.plan.seeds(method)) == 1]
    if not single:
        return " Two or three of them show a spread, not an interval."
    return f" With a single one ({', '.join(single)}), a comparison is about trained policies, not about methods."


def _world_note(study: StudyResults) -> str:
    world, text = study.plan.world, ""
    if world.assets != "paper":
        text += " The published numbers are of the paper's own objects, receptacles, tables and textures."
    if world.max_steps != PAPER_STEPS:
        text += f" The paper's time limit is {PAPER_STEPS} steps."
    return text
