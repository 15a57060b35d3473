"""The directory of a run: its configuration, provenance, journal, checkpoints, plots and policy bundle."""

from rlvla_core.runs.checkpoint import Checkpoint, CheckpointStore
from rlvla_core.runs.journal import Journal
from rlvla_core.runs.progress import Progress
from rlvla_core.runs.run_directory import RunDirectory, open_run

__all__ = ["Checkpoint", "CheckpointStore", "Journal", "Progress", "RunDirectory", "open_run"]
