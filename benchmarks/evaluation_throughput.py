"""How fast are the sixteen out-of-distribution tests: one pool of workers for all, or a process launch for each?

    python benchmarks/evaluation_throughput.py [BUNDLE] [--episodes 128] [--max-steps 80] [--apart 3]

Runs `rlvla study tests` on the bundle (default: the shipped base, which mostly fails: every episode then has its full
length) once for all tests together, and once for each of the first `--apart` of them in a process of its own, which is
the structure of the paper's released scripts. Both use all cores. Ends with one line of JSON.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rlvla_core.errors import RlvlaError
from rlvla_core.policy.bundle import load_bundle, save_bundle
from rlvla_core.policy.deploy import DeploySpec
from rlvla_core.policy.openvla.presets import TINY_BASE
from rlvla_sim import WorldConfig
from rlvla_sim.shifts import shifts
from rlvla_sim.vec_env import env_spec


def base_bundle(folder: Path) -> Path:
    """Write the shipped base into `folder` as a policy bundle of our world; returns its path."""
    policy = load_bundle(TINY_BASE)
    bundle = folder / "policy"
    deploy = DeploySpec.from_env(env_spec(WorldConfig()), policy)
    save_bundle(policy, bundle, deploy=deploy, provenance={"benchmark": "sixteen_tests"})
    return bundle


def seconds_of(bundle: Path, folder: Path, tests: list[str], options: list[str]) -> float:
    """Wall time in seconds of one `rlvla study tests`, its start included."""
    command = [sys.executable, "-m", "rlvla", "study", "tests", str(bundle), "--directory", str(folder), *options]
    began = time.perf_counter()
    code = subprocess.run([*command, "--tests", *tests], check=False).returncode
    if code:
        raise RlvlaError(f"rlvla study tests ended with {code}: its lines above say why")
    return time.perf_counter() - began


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bundle", type=Path, nargs="?", help="policy bundle; default: the shipped base")
    parser.add_argument("--episodes", type=int, default=128, help="episodes of each test")
    parser.add_argument("--max-steps", type=int, default=80, help="time limit of an episode")
    parser.add_argument("--apart", type=int, default=3, help="tests that also run in a process of their own")
    given = parser.parse_args()
    options = ["--episodes", str(given.episodes), "--max-steps", str(given.max_steps)]
    tests = [shift.name for shift in shifts()]
    apart = tests[: given.apart]
    try:
        with tempfile.TemporaryDirectory(prefix="rlvla-tests-") as name:
            folder = Path(name)
            bundle = given.bundle or base_bundle(folder)
            together = seconds_of(bundle, folder / "together", tests, options)
            single = sum(seconds_of(bundle, folder / "apart", [test], options) for test in apart)
    except RlvlaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    rates = [60 * given.episodes * count / seconds for count, seconds in ((len(tests), together), (len(apart), single))]
    metrics = {
        "benchmark": "sixteen_tests",
        "episodes_a_test": given.episodes,
        "max_steps": given.max_steps,
        "minutes_of_all": round(together / 60, 2),
        "episodes_a_minute": round(rates[0], 1),
        "episodes_a_minute_one_launch_a_test": round(rates[1], 1),
        "ratio": round(rates[0] / rates[1], 2),
    }
    print(json.dumps(metrics), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
