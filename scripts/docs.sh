#!/usr/bin/env bash
# Builds the documentation as a site in site/: strict, so that a broken link, a page that is nowhere in the navigation
# and a docstring that cannot be read fail. Installs what that takes into the virtual environment; a second call does not.
#
#   VENV=.venv        where the environment lies, relative to the repository; scripts/setup.sh makes it
#   PIP_ARGS=         more arguments for pip
#   SERVE=1           show the site at http://127.0.0.1:8000 and build it again after every change
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv=${VENV:-.venv}
label=docs
. scripts/pip_install.sh

[[ -x "$venv/bin/python" ]] || fail "there is no environment $venv: run \`make setup\` first"
stamp="$venv/.rlvla-docs-installed"
wanted=$(cat pyproject.toml constraints.txt | sha256sum | cut -d ' ' -f 1)
if [[ ! -f "$stamp" || $(<"$stamp") != "$wanted" ]]; then
  pip_install "what builds the documentation: about 20 seconds" install-docs.log ".[docs]"
  printf '%s\n' "$wanted" >"$stamp"
fi
export NO_MKDOCS_2_WARNING=1 # the theme's advertisement of its successor
if [[ -n ${SERVE:-} ]]; then
  exec "$venv/bin/python" -m mkdocs serve
fi
"$venv/bin/python" -m mkdocs build --strict --quiet
say "built: open site/index.html"
