"""The renderer's own table of reflections: it saves seconds a process and must not change a pixel."""

import json
import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "startup_time.py"


def test_images_are_those_that_sapien_draws_with_a_table_of_its_own() -> None:
    """In a process of its own, as SAPIEN makes the table once a process."""
    done = subprocess.run([sys.executable, BENCHMARK], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["same"]
