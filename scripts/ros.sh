#!/usr/bin/env bash
# Installs ROS 2 from wheels into the virtual environment and builds the messages of ros2_ws/src/rlvla_msgs there. The
# demo does not need it. On a machine with a ROS 2 distribution use colcon instead (docs/how-to/install_ros2.md).
# A second call is instant.
#
#   VENV=.venv        folder of the environment, relative to the repository; scripts/setup.sh makes it
#   PIP_ARGS=         more arguments for pip
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv=${VENV:-.venv}
source_folder=ros2_ws/src/rlvla_msgs
build_folder="build/rlvla_msgs-$(basename "$venv")"
label=ros
. scripts/pip_install.sh

[[ -x "$venv/bin/python" ]] || fail "there is no environment $venv: run \`make setup\` first"
venv=$(cd "$venv" && pwd)
python="$venv/bin/python"

install_wheels() { pip_install "ROS 2 from wheels: about half a minute" install-ros.log ".[ros,ros-build]"; }

# The CMake files in the wheels contain include folders of the machine that built the wheels, and CMake stops if they do
# not exist: replace them by the folders of this Python.
mend_wheels() {
  local python_include numpy_include
  python_include=$("$python" -c 'import sysconfig; print(sysconfig.get_paths()["include"])')
  numpy_include=$("$python" -c 'import numpy; print(numpy.get_include())')
  [[ -f "$python_include/Python.h" ]] && command -v g++ >/dev/null ||
    fail "the messages need g++ and $python_include/Python.h (Debian, Ubuntu: apt-get install g++ python3-dev)"
  { grep -rlZE '/opt/python/cp3[0-9]+-cp3[0-9]+/' "$venv/share" --include='*.cmake' || true; } | xargs -0 -r sed -i -E \
    -e "s#/opt/python/cp3[0-9]+-cp3[0-9]+/lib/python3\.[0-9]+/site-packages/numpy/_?core/include#$numpy_include#g" \
    -e "s#/opt/python/cp3[0-9]+-cp3[0-9]+/include/python3\.[0-9]+#$python_include#g"
}

build_messages() {
  local start=$SECONDS
  say "building the messages: about 40 s (progress: $build_folder.log)"
  rm -rf "$build_folder"
  mkdir -p build
  export AMENT_PREFIX_PATH="$venv" CMAKE_PREFIX_PATH="$venv" PATH="$venv/bin:$PATH"
  if ! {
    cmake -S "$source_folder" -B "$build_folder" -G Ninja -DCMAKE_INSTALL_PREFIX="$venv" -DCMAKE_PREFIX_PATH="$venv" \
      -DPython3_EXECUTABLE="$python" -DBUILD_TESTING=OFF -DCMAKE_BUILD_TYPE=Release &&
      cmake --build "$build_folder" --target install
  } >"$build_folder.log" 2>&1; then
    tail -n 20 "$build_folder.log" >&2
    fail "the messages could not be built: the whole log is $build_folder.log"
  fi
  say "messages installed in $((SECONDS - start)) s"
}

# unless_done STAMP STEP...: run the steps unless the file STAMP holds the hash of stdin, on which the steps depend.
unless_done() {
  local stamp="$venv/$1" wanted
  wanted=$(sha256sum | cut -d ' ' -f 1)
  shift
  [[ -f "$stamp" && $(<"$stamp") == "$wanted" ]] && return
  for step in "$@"; do "$step"; done
  printf '%s\n' "$wanted" >"$stamp"
}

unless_done .rlvla-ros-installed install_wheels < <(cat pyproject.toml constraints.txt && printf '%s\n' "$venv")
unless_done .rlvla-msgs-installed mend_wheels build_messages < <(
  find "$source_folder" scripts/ros.sh -type f | LC_ALL=C sort | xargs sha256sum
  "$python" -c 'import sys; from importlib.metadata import version; print(sys.version, version("ros-rclpy"))'
  printf '%s\n' "$venv"
)
