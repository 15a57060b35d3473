#!/usr/bin/env bash
# Checks style (ruff) and types (mypy); takes seconds and needs no simulator.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
python="${VENV:-.venv}/bin/python"

"$python" -m ruff check .
"$python" -m ruff format --check .
"$python" -m mypy
