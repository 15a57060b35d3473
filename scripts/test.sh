#!/usr/bin/env bash
# Everything that must hold before a commit: style, types, tests. More arguments go to pytest.
#
#   TEST_WORKERS=2    how many processes run tests
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv=${VENV:-.venv}

bash scripts/check.sh
workers=${TEST_WORKERS:-2}
# One thread each: two thread pools that spin against each other are slower than one core alone.
export OMP_NUM_THREADS=1 LP_NUM_THREADS=0
pytest() { "$venv/bin/python" -m pytest "$@"; }
# A file a process, in the order of the folders: xdist would leave the files of few, long tests to the end, for one core.
parallel=(-n "$workers" --dist loadfile --no-loadscope-reorder --durations 12 --durations-min 10)

if (($#)); then
  pytest "${parallel[@]}" "$@"
  exit
fi
printf '[test] running the tests on %s processes: 5 to 10 minutes on 2 cores\n' "$workers"
pytest "${parallel[@]}" --ignore tests/nodes
printf '[test] running the tests of the ROS nodes, which keep real time, on their own: 3 to 5 minutes\n'
# Without ROS these tests skip themselves: right on a machine without it, wrong here.
"$venv/bin/python" -c 'import rclpy, rlvla_msgs.msg'
# A machine that stands still for a moment breaks a deadline: one more try, and the summary names every test that took it.
pytest tests/nodes --reruns 1 -rR
