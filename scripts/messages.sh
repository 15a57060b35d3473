#!/usr/bin/env bash
# Builds ros2_ws/src/rlvla_msgs with the ROS 2 wheels of the virtual environment and installs it there: about 40 s on
# two cores, once for each content of the interface files. On a machine with a ROS 2 distribution use colcon instead.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv=$(cd "${VENV:-.venv}" && pwd)
python="$venv/bin/python"
source_folder=ros2_ws/src/rlvla_msgs
build_folder="build/rlvla_msgs-$(basename "$venv")"

say() { printf '[messages] %s\n' "$*"; }

stamp="$venv/.rlvla-msgs-installed"
wanted=$({
  find "$source_folder" scripts/messages.sh -type f | LC_ALL=C sort | xargs sha256sum
  "$python" -c 'import sys; from importlib.metadata import version; print(sys.version, version("ros-rclpy"))'
  printf '%s\n' "$venv"
} | sha256sum | cut -d ' ' -f 1)
[[ -f "$stamp" && $(<"$stamp") == "$wanted" ]] && exit 0

# The wheels' CMake files name the include folders of the machine that built them, and CMake stops where they are
# missing: point them to the folders of this Python.
python_include=$("$python" -c 'import sysconfig; print(sysconfig.get_paths()["include"])')
numpy_include=$("$python" -c 'import numpy; print(numpy.get_include())')
if [[ ! -f "$python_include/Python.h" ]]; then
  printf '[messages] error: %s/Python.h is missing: install the headers of this Python (Debian, Ubuntu: apt-get install python3-dev)\n' "$python_include" >&2
  exit 1
fi
{ grep -rlE '/opt/python/cp3[0-9]+-cp3[0-9]+/' "$venv/share" --include='*.cmake' || true; } | xargs -r sed -i -E \
  -e "s#/opt/python/cp3[0-9]+-cp3[0-9]+/lib/python3\.[0-9]+/site-packages/numpy/_?core/include#$numpy_include#g" \
  -e "s#/opt/python/cp3[0-9]+-cp3[0-9]+/include/python3\.[0-9]+#$python_include#g"

say "building the ROS 2 messages: about 40 s, once (progress: $build_folder.log)"
start=$SECONDS
rm -rf "$build_folder"
mkdir -p build
export AMENT_PREFIX_PATH="$venv" CMAKE_PREFIX_PATH="$venv" PATH="$venv/bin:$PATH"
if ! {
  cmake -S "$source_folder" -B "$build_folder" -G Ninja -DCMAKE_INSTALL_PREFIX="$venv" -DCMAKE_PREFIX_PATH="$venv" \
    -DPython3_EXECUTABLE="$python" -DBUILD_TESTING=OFF -DCMAKE_BUILD_TYPE=Release &&
    cmake --build "$build_folder" --target install
} >"$build_folder.log" 2>&1; then
  tail -n 20 "$build_folder.log" >&2
  printf '[messages] error: the messages could not be built: the whole log is %s\n' "$build_folder.log" >&2
  exit 1
fi
printf '%s\n' "$wanted" >"$stamp"
say "messages installed in $((SECONDS - start)) s"
