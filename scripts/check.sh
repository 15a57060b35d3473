#!/usr/bin/env bash
# Style and types: seconds, no simulator needed.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
python="${VENV:-.venv}/bin/python"

"$python" -m ruff check .
"$python" -m ruff format --check .
"$python" -m mypy
