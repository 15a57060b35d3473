"""One package for pip and for ROS 2: `pip install .` and `colcon build` both read this file.

pyproject.toml holds the metadata; here stand only the folders (the rooms lie where the architecture shows them) and
the data files that make the installation visible to ROS 2's ament index.
"""

from pathlib import Path

from setuptools import find_packages, setup

ROOMS = {".": ["rlvla*", "rlvla_core*"], "sim": ["rlvla_sim*"], "ros2_ws/src": ["rlvla_nodes*"]}
"""Folder -> patterns of the import packages that live in it."""


def files(folder: str, pattern: str) -> list[str]:
    """The files of a folder, as data_files wants them."""
    return sorted(str(path) for path in Path(folder).glob(pattern))


packages: list[str] = []
package_dir: dict[str, str] = {}
for folder, patterns in ROOMS.items():
    for package in find_packages(folder, include=patterns):
        packages.append(package)
        if folder != ".":
            package_dir[package] = f"{folder}/{package.replace('.', '/')}"

setup(
    # `colcon build --symlink-install` works in a folder without pyproject.toml, where the name would be UNKNOWN.
    name="rlvla",
    python_requires=">=3.10",
    packages=packages,
    package_dir=package_dir,
    package_data={"rlvla_sim": ["py.typed", "data/**/*"], "rlvla_core": ["py.typed", "policy/data/**/*"]},
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/rlvla"]),
        ("share/rlvla", ["package.xml"]),
        ("share/rlvla/launch", files("launch", "*.launch.py")),
        ("share/rlvla/config", files("config", "*.*")),
        ("share/rlvla/config/arms", files("config/arms", "*.yaml")),
        ("share/rlvla/config/gamepads", files("config/gamepads", "*.yaml")),
        # `ros2 launch` looks for executables here and nowhere else; console scripts would go to bin.
        ("lib/rlvla", files("ros2_ws/src/rlvla_nodes/executables", "*_node")),
    ],
)
