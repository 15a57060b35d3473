"""The tests of the research scripts import the scripts and the small worlds of the learning tests."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / folder) for folder in ("experiments", "tests/learning", "tests/evaluation")]
