#!/usr/bin/env bash
# Everything that must hold before a commit: style, types, tests. More arguments go to pytest.
#
#   TEST_WORKERS=2    how many processes run tests
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv=${VENV:-.venv}

bash scripts/check.sh
printf '[test] running the tests on %s processes: about 10 minutes on 2 cores\n' "${TEST_WORKERS:-2}"
# One thread each: two thread pools that spin against each other are slower than one core alone.
export OMP_NUM_THREADS=1 LP_NUM_THREADS=0
exec "$venv/bin/python" -m pytest -n "${TEST_WORKERS:-2}" --dist loadfile "$@"
