"""A study: methods times tests times training seeds, and the report that keeps apart what must not be pooled."""

from rlvla_core.evaluation.study.blocks import Video
from rlvla_core.evaluation.study.folder import (
    Study,
    read_plan,
    read_record,
    read_study,
    record_path,
    with_earlier,
    write_plan,
    write_record,
)
from rlvla_core.evaluation.study.records import AXES, StudyPlan, TestInfo, TestRecord, Trained, World
from rlvla_core.evaluation.study.report import write_report

__all__ = [
    "AXES",
    "Study",
    "StudyPlan",
    "TestInfo",
    "TestRecord",
    "Trained",
    "Video",
    "World",
    "read_plan",
    "read_record",
    "read_study",
    "record_path",
    "with_earlier",
    "write_plan",
    "write_record",
    "write_report",
]
