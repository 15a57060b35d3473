"""`rlvla study report`: write a page with tables and figures of what a study has measured so far."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from rlvla_core.errors import RlvlaError
from rlvla_core.evaluation.study import StudyPlan, Trained, Video, read_plan, write_plan, write_study_report
from rlvla_core.runs import RunDirectory
from rlvla_core.runs.journal import flat_scalars
from rlvla_core.runs.plots import with_minutes
from rlvla_core.storage.json_files import read_json


@dataclass(frozen=True, kw_only=True)
class StudyReport:
    """Write the report of a study, finished or not: an HTML page, the same as Markdown, CSV files, figures, videos.

    Reads the plan, results and journals in --directory; writes into --output.
    """

    directory: Path = Path("runs/study")
    """Folder of the study, as given to `rlvla study`."""
    output: Path | None = None
    """Folder for the report; default: `report` in the folder of the study."""
    notes: Path | None = None
    """Text file whose paragraphs are shown at the top of the page."""

    def run(self) -> int:
        """Write the report; returns the exit code.

        Raises RlvlaError for a folder without a study and for results that do not belong together.
        """
        output = self.output or self.directory / "report"
        if self.notes is not None and not self.notes.is_file():
            raise RlvlaError(f"--notes {self.notes}: there is no such file")
        try:
            notes = "" if self.notes is None else self.notes.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RlvlaError(f"--notes {self.notes} cannot be read as UTF-8 text: {error}") from None
        write_plan(self.directory, with_journals(self.directory, read_plan(self.directory)))
        videos = copy_films(self.directory / "films", output)
        page, *_ = write_study_report(self.directory, output, videos=videos, notes=notes)
        Console().print(f"the report: {page}", markup=False, highlight=False, soft_wrap=True)
        return 0


def with_journals(study: Path, plan: StudyPlan) -> StudyPlan:
    """The plan with the environment steps and minutes that each training took so far."""
    return replace(plan, policies=tuple(measured(study, policy) for policy in plan.policies))


def measured(study: Path, policy: Trained) -> Trained:
    """The policy with environment steps and minutes from its journal; unchanged if it has no journal yet."""
    if policy.journal is None or not (study / policy.journal).is_file():
        return policy
    records = RunDirectory.open_read_only((study / policy.journal).parent).journal.read()
    if not records:
        return policy
    last = with_minutes([flat_scalars(record) for record in records])[-1]
    return replace(policy, env_steps=int(last.get("env_steps", 0)), minutes=round(last["minutes"], 2))


def copy_films(folder: Path, output: Path) -> list[Video]:
    """Copy the videos of paired episodes into the report's folder, and return them as blocks of the page."""
    found = []
    for comparison in sorted(folder.glob("*/*/comparison.json")):
        test, pair = comparison.parent.parent.name, comparison.parent.name
        place = output / "films" / f"{test}-{pair}.mp4"
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(comparison.parent / "paired.mp4", place)
        before, after = read_json(comparison, "evaluate the pair again")["names"]
        caption = f"The same starts: {before} on the left, {after} on the right."
        found.append(Video(path=f"films/{place.name}", title=test, caption=caption))
    return found
