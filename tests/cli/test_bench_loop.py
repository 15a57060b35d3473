"""`rlvla bench loop` ends with one line of JSON whose parts add up."""

import json
import subprocess
import sys


def test_last_line_holds_metrics_that_add_up() -> None:
    small = ["--num-envs", "4", "--iterations", "1", "--sim.max-steps", "4", "--ranks", "2"]
    command = [sys.executable, "-m", "rlvla", "bench", "loop", *small]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    metrics = json.loads(done.stdout.splitlines()[-1])
    assert (metrics["ranks"], metrics["num_envs"], metrics["env_steps"]) == (2, 4, 16)
    per_step = sum(metrics["ms_per_step_and_rank"].values())
    assert abs(metrics["env_steps_per_s"] - 2000.0 / per_step) < 0.01 * metrics["env_steps_per_s"] + 0.2
