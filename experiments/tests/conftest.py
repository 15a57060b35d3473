"""Puts the research scripts and the helpers of the learning and evaluation tests on the import path."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / folder) for folder in ("experiments", "tests/learning", "tests/evaluation")]
