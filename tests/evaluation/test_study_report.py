"""The report as a reader meets it: complete, repeatable, well formed, and silent about nothing that is missing."""

import csv
import io
import struct
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from study_fakes import TESTS, first, make_study, plan, trained, write_journal

from rlvla_core.errors import RlvlaError
from rlvla_core.evaluation.statistics import wilson
from rlvla_core.evaluation.study import Video, write_plan, write_study_report
from rlvla_core.evaluation.study.published import PAPER_EPISODES, PAPER_TESTS, PUBLICATIONS, PUBLISHED_MEANS

VOID = {"meta", "img", "br"}


class Checker(HTMLParser):
    """Fails on a tag that is not closed in order; keeps text, sources and links."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.text: list[str] = []
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.targets += [value for name, value in attrs if name in ("src", "href") and value]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def checked(page: Path) -> Checker:
    checker = Checker()
    checker.feed(page.read_text())
    checker.close()
    assert not checker.open
    return checker


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text())))


def full_study(folder: Path) -> None:
    policies = [
        trained("warm-up", 0, Path("runs/warm-up-0/metrics.jsonl")),
        trained("warm-up", 1),
        trained("ppo", 0, Path("runs/ppo-0/metrics.jsonl")),
        trained("ppo", 1, Path("runs/ppo-1/metrics.jsonl")),
        trained("sft-1000", 0),
    ]
    write_journal(folder / "runs/warm-up-0/metrics.jsonl", 5, supervised=True)
    write_journal(folder / "runs/ppo-0/metrics.jsonl", 12)
    write_journal(folder / "runs/ppo-1/metrics.jsonl", 9)
    counts = {"warm-up": 4, "ppo": 15, "sft-1000": 8}

    def success(method: str, seed: int, test: str) -> np.ndarray:
        return first(counts[method] + seed)

    make_study(folder, plan(policies), success)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    full_study(folder / "study")
    output = folder / "report"
    (output / "videos").mkdir(parents=True)
    (output / "videos" / "pose 1.mp4").write_bytes(b"mp4")
    videos = [Video(path="videos/pose 1.mp4", title="Unseen pose", caption="warm-up beside PPO")]
    write_study_report(folder / "study", output, videos=videos, notes="Cores were <shared>.\n\nSecond `note`.")
    return output


def test_page_is_well_formed_and_needs_only_itself(report: Path) -> None:
    page = checked(report / "index.html")
    assert {"script", "link", "iframe", "object"}.isdisjoint(page.tags)
    outside = [target for target in page.targets if not target.startswith("data:image/png;base64,")]
    assert "videos/pose%201.mp4" in outside and not any("//" in target for target in outside)
    assert all((report / target.replace("%20", " ")).is_file() for target in outside)
    text = "".join(page.text)
    assert "Cores were <shared>." in text and "unseen table & <nothing> else" in text
    assert page.tags.count("img") == 4 and page.tags.count("video") == 1


def test_markdown_links_lead_to_files_and_tables_are_rectangular(report: Path) -> None:
    text = (report / "README.md").read_text()
    for name in ("forest-T0.png", "radar-T0.png", "drop-T0.png", "learning.png", "results.csv"):
        assert f"]({name})" in text and (report / name).is_file()
    assert "](videos/pose%201.mp4)" in text and "Cores were &lt;shared>." in text
    block: list[int] = []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            block.append(line.count("|"))
        else:
            assert len(set(block)) <= 1
            block = []


def test_table_says_rate_interval_n_and_seeds(report: Path) -> None:
    text = (report / "README.md").read_text()
    lines = {line.split(" | ")[0].strip("|* "): line for line in reversed(text.splitlines()) if line.startswith("|")}
    low, high = wilson(8, 20)
    cell = f"8/20 = 40.0 % [{100 * low:.1f}, {100 * high:.1f}]"
    assert lines["vision: unseen table"].endswith(f"| {cell} |")
    # PPO: 15 and 16 of 20.
    assert "77.5 % [" in lines["vision: unseen table"] and "<br>seeds 0: 75.0, 1: 80.0" in lines["vision: unseen table"]
    assert "**vision, mean of 2**" in text and "**out of distribution, mean of 3 axes**" in text
    assert "Only n=20" in text and "Training seeds: warm-up 2, ppo 2, sft-1000 1." in text
    assert "ppo-1 is not paired with it" in text and "Unfinished" not in text
    assert "McNemar" in text and "Holm p" in text
    # Sources, and that no published number stands in a table of ours.
    assert all(source.name in text and source.differs in text for source in PUBLICATIONS)


def test_csv_rows_are_complete(report: Path) -> None:
    results = rows(report / "results.csv")
    assert len(results) == 5 * len(TESTS) * 3  # policies, tests, metrics
    assert len({(r["method"], r["training_seed"], r["test"], r["metric"]) for r in results}) == len(results)
    for row in results:
        assert all(row.values()) and row["n"] == "20" and row["temperature"] == "0"
        assert float(row["low"]) <= float(row["rate"]) <= float(row["high"])
    warm = next(
        r for r in results if (r["method"], r["training_seed"], r["metric"]) == ("warm-up", "1", "success_once")
    )
    assert warm["successes"] == "8"  # the first 5, and 8, 12, 16
    # Seed by seed: warm-up has both, sft-1000 one.
    assert len(rows(report / "paired.csv")) == 3 * len(TESTS)
    means = rows(report / "means.csv")
    assert len(means) == 3 * 3 * (len(TESTS) + 4 + 1)  # methods, metrics, tests + axes + their mean
    assert len(rows(report / "drops.csv")) == 3 * 3
    assert len(rows(report / "curves.csv")) == 5 + 12 + 9
    assert len(rows(report / "published.csv")) == 2 * len(PAPER_TESTS) + 5 * len(PUBLISHED_MEANS)


def test_images_are_wide_enough(report: Path) -> None:
    for path in report.glob("*.png"):
        header = path.read_bytes()[:24]
        assert header[:8] == b"\x89PNG\r\n\x1a\n"
        width, _ = struct.unpack(">II", header[16:24])
        assert width == 1350, path.name


def test_equal_studies_make_equal_bytes(report: Path, tmp_path: Path) -> None:
    full_study(tmp_path / "elsewhere")
    (tmp_path / "out" / "videos").mkdir(parents=True)
    (tmp_path / "out" / "videos" / "pose 1.mp4").write_bytes(b"mp4")
    videos = [Video(path="videos/pose 1.mp4", title="Unseen pose", caption="warm-up beside PPO")]
    notes = "Cores were <shared>.\n\nSecond `note`."
    written = write_study_report(tmp_path / "elsewhere", tmp_path / "out", videos=videos, notes=notes)
    assert {path.name for path in written} == {path.name for path in report.iterdir() if path.is_file()}
    for path in written:
        assert path.read_bytes() == (report / path.name).read_bytes(), path.name


def test_an_unfinished_study_says_what_is_missing(tmp_path: Path) -> None:
    full_study(tmp_path)
    for name in ("unseen-table-T0.json", "texture-weak-T0.json"):
        (tmp_path / "results" / "ppo-1" / name).unlink()
    (tmp_path / "results" / "sft-1000-0" / "unseen-table-T0.json").unlink()
    (tmp_path / "runs" / "ppo-1" / "metrics.jsonl").unlink()
    write_study_report(tmp_path, tmp_path / "report")
    text = (tmp_path / "report" / "README.md").read_text()
    assert "Unfinished: 3 of 30 results are missing" in text
    assert "- ppo-1, greedy: 2 of 6 tests (unseen table, dynamic texture, weak)" in text
    assert "No journal was found of ppo-1" in text
    table = next(line for line in text.splitlines() if line.startswith("| vision: unseen table"))
    assert table.endswith("| missing |") and "<br>seed 0; missing: 1" in table
    mean = next(line for line in text.splitlines() if line.startswith("| **vision, mean of 2**"))
    assert mean.endswith("| **missing** |")
    checked(tmp_path / "report" / "index.html")
    assert len(rows(tmp_path / "report" / "results.csv")) == (30 - 3) * 3


def test_a_study_without_any_result_still_has_a_page(tmp_path: Path) -> None:
    write_plan(tmp_path, plan([trained("ppo", 0), trained("warm-up", 0)]))
    write_study_report(tmp_path, tmp_path / "report")
    page = checked(tmp_path / "report" / "index.html")
    assert "img" not in page.tags and "Unfinished: 12 of 12 results are missing" in "".join(page.text)
    assert rows(tmp_path / "report" / "results.csv") == []


@pytest.mark.parametrize("path", ["gone.mp4", "/etc/hostname", "../study.json"])
def test_a_video_that_is_not_beside_the_page_is_refused(tmp_path: Path, path: str) -> None:
    write_plan(tmp_path, plan([trained("ppo", 0)]))
    with pytest.raises(RlvlaError, match="the report has no video"):
        write_study_report(tmp_path, tmp_path / "report", videos=[Video(path=path, title="")])


def test_published_numbers_agree_with_what_is_known_of_them() -> None:
    for test in PAPER_TESTS:
        for rate in (test.sft, test.ppo):  # multiples of 1/192, to three digits
            assert abs(rate - round(rate * PAPER_EPISODES) / PAPER_EPISODES) < 6e-4
    assert [sum(test.axis == axis for test in PAPER_TESTS) for axis in ("vision", "semantics", "execution")] == [
        5,
        7,
        3,
    ]
    sft, ppo = PUBLISHED_MEANS[:2]
    assert (sft.vision, sft.semantics, sft.execution) == pytest.approx((64.2, 54.0, 39.8), abs=0.06)
    assert (ppo.vision, ppo.semantics, ppo.execution) == pytest.approx((76.6, 72.8, 78.3), abs=0.06)
    rlinf = next(row for row in PUBLISHED_MEANS if (row.source, row.model) == ("RLinf", "OpenVLA, PPO"))
    assert (rlinf.vision + rlinf.semantics + rlinf.execution) / 3 == pytest.approx(rlinf.out_of_distribution, abs=0.01)
    assert {row.source for row in PUBLISHED_MEANS} == {source.name for source in PUBLICATIONS}
