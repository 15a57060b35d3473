"""Finds the package's configuration: nodes.yaml, arms/, gamepads/ and the profile of Fast DDS."""

import os
from pathlib import Path

from rlvla_core.errors import RlvlaError

PACKAGE = "rlvla"
"""Name of the ROS package that installs the configuration."""


def config_folder(given: str = "") -> Path:
    """The configuration folder: the given one, or the one that came with this very code.

    That is the repository's for a checkout (also behind `pip install -e` and `colcon build --symlink-install`), else
    share/rlvla/config of the prefix that the code was installed to, else of one that ROS 2 knows. Raises RlvlaError if
    there is none.
    """
    if given:
        return existing(Path(given))
    parents = Path(__file__).resolve().parents
    known = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    prefixes = [*parents[4:5], *(Path(prefix) for prefix in known if prefix)]
    candidates = [repository / "config" for repository in parents[3:4] if (repository / "package.xml").is_file()]
    candidates += [prefix / "share" / PACKAGE / "config" for prefix in prefixes]
    for candidate in candidates:
        if (candidate / "nodes.yaml").is_file():
            return candidate
    raise RlvlaError("the package's config folder is not installed: set config to the repository's config folder")


def existing(path: Path) -> Path:
    """The path itself. Raises RlvlaError if nothing is there."""
    if not path.exists():
        raise RlvlaError(f"{path} is missing: set config to a folder that has it, or install the package again")
    return path
