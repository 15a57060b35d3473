#!/usr/bin/env bash
# Makes the virtual environment, installs the package into it, and checks that a Vulkan driver can draw.
# A second call is instant: a file in the environment holds the hash of what the installation depends on.
#
#   VENV=.venv        folder of the environment, relative to the repository
#   PYTHON=python3    interpreter of the environment (3.10 to 3.12)
#   EXTRAS=sim,dev    extras of pyproject.toml to install
#   PIP_ARGS=         more arguments for pip, for example another index for torch
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv=${VENV:-.venv}
extras=${EXTRAS:-sim,dev}
label=setup
. scripts/pip_install.sh

suits() { "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; }

find_python() {
  local candidate
  for candidate in ${PYTHON:+"$PYTHON"} python3 python3.12 python3.11 python3.10; do
    if command -v "$candidate" >/dev/null && suits "$candidate"; then
      printf '%s' "$candidate"
      return
    fi
  done
  fail "no Python 3.10 to 3.12 found (the simulator's wheels stop at 3.12): install one and call again with PYTHON=/path/to/python3.x"
}

make_venv() {
  local python
  python=$(find_python)
  say "making the environment $venv with $("$python" --version)"
  "$python" -m venv --clear "$venv" ||
    fail "$python cannot make environments: install its venv module (Debian, Ubuntu: apt-get install python3-venv)"
}

stamp="$venv/.rlvla-installed"
wanted=$({
  cat pyproject.toml setup.py constraints.txt
  printf '%s\n' "$extras" "${PIP_ARGS:-}" "$PWD"
} | sha256sum | cut -d ' ' -f 1)

if [[ ! -x "$venv/bin/python" ]] || ! suits "$venv/bin/python"; then
  make_venv
fi
if [[ ! -f "$stamp" || $(<"$stamp") != "$wanted" ]]; then
  pip_install "the packages: about 2 to 5 minutes, most of it torch" install.log ".[$extras]"
  printf '%s\n' "$wanted" >"$stamp"
fi
if [[ ",$extras," == *,sim,* && ! -f "$venv/.vulkan-works" ]]; then
  bash scripts/vulkan.sh "$venv/bin/python"
  touch "$venv/.vulkan-works"
fi
