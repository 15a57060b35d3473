# Sourced by setup.sh and ros.sh: `say`, `fail` and `pip_install`. Reads $label, $venv and $PIP_ARGS.
# shellcheck shell=bash

read -ra pip_args <<<"${PIP_ARGS:-}"

say() { printf '[%s] %s\n' "$label" "$*"; }
fail() {
  printf '[%s] error: %s\n' "$label" "$*" >&2
  exit 1
}

# pip_install WHAT LOG SPEC: install SPEC with the pinned versions; prints the end of the log if pip fails.
pip_install() {
  local log="$venv/$2" start=$SECONDS
  say "installing $1 (progress: $log)"
  if ! "$venv/bin/python" -m pip install --no-input --disable-pip-version-check \
    -c constraints.txt ${pip_args[@]+"${pip_args[@]}"} -e "$3" >"$log" 2>&1; then
    grep -v '^WARNING' "$log" | tail -n 15 >&2
    fail "pip could not install them: the lines above say why, the whole log is $log"
  fi
  say "installed in $((SECONDS - start)) s"
}
