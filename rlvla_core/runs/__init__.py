"""One run, one directory: configuration, provenance, journal, checkpoints, plots, policy bundle."""

from rlvla_core.runs.checkpoint import Checkpoint, CheckpointStore
from rlvla_core.runs.journal import Journal
from rlvla_core.runs.progress import Progress
from rlvla_core.runs.run_directory import RunDirectory

__all__ = ["Checkpoint", "CheckpointStore", "Journal", "Progress", "RunDirectory"]
