"""Studies: results of several training methods and seeds in several tests, and the report about them."""

from rlvla_core.evaluation.study.blocks import Video
from rlvla_core.evaluation.study.folder import (
    StudyResults,
    read_plan,
    read_record,
    read_study,
    record_path,
    with_earlier,
    write_plan,
    write_record,
)
from rlvla_core.evaluation.study.records import AXES, StudyPlan, TestInfo, TestRecord, Trained, WorldKey
from rlvla_core.evaluation.study.report import write_study_report

__all__ = [
    "AXES",
    "StudyPlan",
    "StudyResults",
    "TestInfo",
    "TestRecord",
    "Trained",
    "Video",
    "WorldKey",
    "read_plan",
    "read_record",
    "read_study",
    "record_path",
    "with_earlier",
    "write_plan",
    "write_record",
    "write_study_report",
]
