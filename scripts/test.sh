#!/usr/bin/env bash
# Checks style, types and tests, as before every commit. Arguments are passed to pytest.
#
#   TEST_WORKERS=2    number of processes that run tests
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv=${VENV:-.venv}

bash scripts/check.sh
workers=${TEST_WORKERS:-2}
# One thread per process: two thread pools on the same cores are slower than one core alone.
export OMP_NUM_THREADS=1 LP_NUM_THREADS=0
pytest() { "$venv/bin/python" -m pytest "$@"; }
# Whole files per process, in the order of the folders: xdist alone would run files of long tests last, on one core.
parallel=(-n "$workers" --dist loadfile --no-loadscope-reorder --durations 12 --durations-min 10)

if (($#)); then
  pytest "${parallel[@]}" "$@"
  exit
fi
printf '[test] running the tests on %s processes: 5 to 10 minutes on 2 cores\n' "$workers"
pytest "${parallel[@]}" --ignore tests/nodes
printf '[test] running the tests of the ROS nodes, which have deadlines, on their own: 3 to 5 minutes\n'
# Without ROS these tests skip themselves; here that is an error.
"$venv/bin/python" -c 'import rclpy, rlvla_msgs.msg'
# These tests have deadlines, which a busy machine can miss: a failed test gets one more try, and the summary names it.
pytest tests/nodes --reruns 1 -rR
