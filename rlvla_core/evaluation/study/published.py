"""Published numbers of the same benchmark, their sources, and how these differ from a study of this project.

The report shows them in separate tables: no row, mean or figure mixes them with measurements of this project.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Publication:
    """A publication of success rates, and how they were measured."""

    name: str
    """Short name of the publication."""
    where: str
    """Reference of the publication."""
    metric: str
    """Success metric of its numbers."""
    temperature: str
    """Sampling temperature of the action tokens."""
    episodes: str
    """Number of episodes behind each number."""
    world: str
    """Simulated world of the measurements."""
    differs: str
    """What differs from a study of this project."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedTest:
    """Success rates of the paper in one test; fractions of PAPER_EPISODES."""

    axis: str
    """Axis of the test, as in AXES."""
    title: str
    """Name of the test in the paper's table."""
    sft: float
    """Success rate of OpenVLA after supervised fine-tuning on 16k demonstrations."""
    ppo: float
    """Success rate of OpenVLA after PPO."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedMeans:
    """Mean success rates over the tests of each axis, in percent."""

    source: str
    """Name of the Publication."""
    model: str
    """Model and training method."""
    in_distribution: float
    vision: float
    semantics: float
    execution: float
    out_of_distribution: float
    """Mean out of distribution, as the publication gives it."""


PUBLICATIONS = (
    Publication(
        name="RL4VLA",
        where="J. Liu et al., What Can RL Bring to VLA Generalization?, arXiv 2505.19789, NeurIPS 2025, main table",
        metric="success at the last step (of 80)",
        temperature="0.6",
        episodes="3 x 64 = 192; whether the 3 seeds are of training or of evaluation is an open question there (by the "
        "code: evaluation), and start states are drawn at random for each policy, so nothing is paired",
        world="WidowX 250S; the paper's 25 objects, 17 receptacles, 21 tables and 16 textures",
        differs="Model: openvla-7b (bfloat16), warm-up on 140 demonstrations, 2 M environment steps on one A100. "
        "Numbers taken from three summaries that agree with each other, not from the paper's own page. For SFT another "
        "set circulates: 88.5 in distribution, vision 74.0, semantics 61.8, execution 46.2. One eighth of the "
        "multi-object (unseen) episodes have a single object, by an error of the released environment",
    ),
    Publication(
        name="RLinf",
        where="RLinf documentation, publications/rlinf_vla.rst and examples/embodiment/maniskill.rst, August 2026",
        metric="success at any step of the episode: never smaller than success at the last step",
        temperature="0.6",
        episodes="not stated; the percentages are multiples of 1/256 in distribution, and of 1/1280, 1/896 and 1/768 "
        "in the axes, so probably 128 to 256 a test",
        world="a port of the paper's",
        differs="Model: openvla-7b (or OpenVLA-OFT) on 8 GPUs with larger batches than the paper. The RL4VLA row is "
        "RLinf's evaluation of the released checkpoint. The warm-up's semantics: 35.94 in one file, 35.75 in another. "
        "Its mean over all tests is not in every row the mean of the three axes",
    ),
    Publication(
        name="FAN",
        where="arXiv 2604.01570",
        metric="not stated in what was read",
        temperature="not stated in what was read",
        episodes="not stated in what was read",
        world="the paper's benchmark",
        differs="Model: openvla-7b; PPO and SFT are its re-runs of RL4VLA (PPO in distribution: 95.9 +- 3.2), FAN adds "
        "a regulariser to each",
    ),
)

PAPER_EPISODES = 192
"""Number of episodes behind every number of the paper's table: all of them are multiples of 1/192."""

PAPER_TESTS = (
    PublishedTest(axis="in-distribution", title="in distribution", sft=0.781, ppo=0.938),
    PublishedTest(axis="vision", title="unseen table", sft=0.719, ppo=0.844),
    PublishedTest(axis="vision", title="dynamic texture, weak", sft=0.719, ppo=0.833),
    PublishedTest(axis="vision", title="dynamic texture, strong", sft=0.557, ppo=0.630),
    PublishedTest(axis="vision", title="dynamic noise, weak", sft=0.708, ppo=0.854),
    PublishedTest(axis="vision", title="dynamic noise, strong", sft=0.505, ppo=0.667),
    PublishedTest(axis="semantics", title="unseen objects", sft=0.453, ppo=0.714),
    PublishedTest(axis="semantics", title="unseen receptacles", sft=0.615, ppo=0.750),
    PublishedTest(axis="semantics", title="unseen instructions", sft=0.672, ppo=0.891),
    PublishedTest(axis="semantics", title="multi-object, seen", sft=0.615, ppo=0.750),
    PublishedTest(axis="semantics", title="multi-object, unseen", sft=0.297, ppo=0.578),
    PublishedTest(axis="semantics", title="distractive receptacle", sft=0.672, ppo=0.812),
    PublishedTest(axis="semantics", title="multi-receptacle, unseen", sft=0.458, ppo=0.599),
    PublishedTest(axis="execution", title="unseen position", sft=0.568, ppo=0.807),
    PublishedTest(axis="execution", title="unseen robot pose", sft=0.339, ppo=0.797),
    PublishedTest(axis="execution", title="mid-episode reposition", sft=0.286, ppo=0.745),
)


def paper_means() -> tuple[PublishedMeans, PublishedMeans]:
    """(SFT, PPO): means of the paper, computed here from PAPER_TESTS; out of distribution is the mean of three axes."""

    def means(model: str, column: str) -> PublishedMeans:
        by_axis: dict[str, list[float]] = {}
        for test in PAPER_TESTS:
            by_axis.setdefault(test.axis, []).append(100 * getattr(test, column))
        rates = {axis: sum(values) / len(values) for axis, values in by_axis.items()}
        inside, *outside = rates.values()
        return PublishedMeans(
            source="RL4VLA",
            model=model,
            in_distribution=inside,
            vision=rates["vision"],
            semantics=rates["semantics"],
            execution=rates["execution"],
            out_of_distribution=sum(outside) / len(outside),
        )

    return means("OpenVLA, SFT 16k", "sft"), means("OpenVLA, PPO", "ppo")


def _row(source: str, model: str, *rates: float) -> PublishedMeans:
    inside, vision, semantics, execution, outside = rates
    return PublishedMeans(
        source=source,
        model=model,
        in_distribution=inside,
        vision=vision,
        semantics=semantics,
        execution=execution,
        out_of_distribution=outside,
    )


PUBLISHED_MEANS = (
    *paper_means(),
    _row("RLinf", "OpenVLA, warm-up", 53.91, 38.75, 35.94, 42.11, 39.10),
    _row("RLinf", "OpenVLA, RL4VLA's PPO checkpoint", 93.75, 80.47, 75.00, 81.77, 79.15),
    _row("RLinf", "OpenVLA, GRPO", 84.38, 74.69, 72.99, 77.86, 75.15),
    _row("RLinf", "OpenVLA, PPO", 96.09, 82.03, 78.35, 85.42, 81.93),
    _row("RLinf", "OpenVLA-OFT, base", 28.13, 27.73, 12.95, 11.72, 18.29),
    _row("RLinf", "OpenVLA-OFT, GRPO", 94.14, 84.69, 45.54, 44.66, 60.64),
    _row("RLinf", "OpenVLA-OFT, PPO", 97.66, 92.11, 64.84, 73.57, 77.05),
    _row("FAN", "OpenVLA, SFT (re-run)", 78.1, 76.6, 57.4, 40.4, 58.1),
    _row("FAN", "OpenVLA, FAN-SFT", 89.8, 81.7, 63.5, 44.8, 63.3),
    _row("FAN", "OpenVLA, PPO (re-run)", 95.9, 80.1, 79.7, 85.8, 81.9),
    _row("FAN", "OpenVLA, FAN-PPO", 97.4, 85.0, 86.7, 92.6, 88.1),
)
