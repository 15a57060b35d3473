"""The one description of the graph: what it refuses, what it hands to the nodes, and where its files come from."""

import ast
import importlib
import importlib.util
import inspect
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from rlvla_core.errors import RlvlaError
from rlvla_nodes import NODES
from rlvla_nodes.config_files import config_folder
from rlvla_nodes.drivers.driver import ArmDriver
from rlvla_nodes.graph import (
    FASTDDS_PROFILE,
    GraphSettings,
    NodeSpec,
    SimSettings,
    SimView,
    describe,
    transport_environment,
    write_parameters,
)
from rlvla_nodes.launch_arguments import arguments
from rlvla_nodes.robots import ROBOTS
from rlvla_sim.robots import ROBOTS as SIM_ROBOTS
from rlvla_sim.robots import View

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "ros2_ws" / "src" / "rlvla_nodes"


def parameters_of(node: str) -> set[str]:
    """Fields of the node's parameter class, from its source: importing the simulator takes seconds."""
    tree = ast.parse((SOURCE / f"{node}.py").read_text())
    (kind,) = [item for item in tree.body if isinstance(item, ast.ClassDef) and item.name.endswith("Parameters")]
    return {ast.unparse(item.target) for item in kind.body if isinstance(item, ast.AnnAssign)}


@pytest.fixture
def bundle(tmp_path: Path) -> str:
    """What `describe` looks at of a bundle."""
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy" / "config.json").write_text("{}")
    return str(tmp_path / "policy")


LOCK_STEP = SimSettings(lock_step=True)
CAMERA: dict[str, Any] = {"camera": "file", "camera_source": "film.mp4", "camera_info": "lens.yaml"}


@pytest.mark.parametrize(
    "given", [{}, {"robot": "sim_panda", "teleop": "spacemouse"}, {**CAMERA, "teleop": "gamepad"}, {"sim": LOCK_STEP}]
)
def test_nodes_have_every_parameter_that_they_are_given(bundle: str, given: dict[str, Any]):
    for spec in describe(GraphSettings(bundle=bundle, **given)):
        assert set(spec.parameters) <= parameters_of(spec.name)
        for file in spec.parameter_files:
            for key, values in yaml.safe_load(Path(file).read_text()).items():
                assert set(values["ros__parameters"]) <= parameters_of(key.rpartition("/")[2])


def test_the_views_are_the_simulators():
    assert get_args(SimView) == get_args(View)


@pytest.mark.parametrize("name", ROBOTS)
def test_everything_that_a_robot_of_the_table_names_is_there(name: str):
    entry = ROBOTS[name]
    assert (ROOT / "config" / "arms" / f"{entry.arm}.yaml").is_file()
    assert entry.sim_twin in SIM_ROBOTS
    assert name in re.findall(r"\w+", next(each.description for each in arguments() if each.name == "robot"))
    module = importlib.import_module(f"rlvla_nodes.drivers.{entry.driver}")
    wanted = {member for member in vars(ArmDriver) if not member.startswith("_")}
    kinds = [kind for kind in vars(module).values() if inspect.isclass(kind) and kind.__module__ == module.__name__]
    assert [kind for kind in kinds if wanted <= set(dir(kind))], f"no class there has all of {sorted(wanted)}"


def test_every_node_has_a_module_and_an_executable_of_its_name():
    assert [path.stem for path in sorted(SOURCE.glob("*_node.py"))] == list(NODES)
    executables = sorted((SOURCE / "executables").iterdir())
    assert [path.name for path in executables] == list(NODES)
    assert all(os.access(path, os.X_OK) for path in executables)
    assert len({path.read_text() for path in executables}) == 1, "each takes the node's name from its own"
    named = {word for key in yaml.safe_load((ROOT / "config" / "nodes.yaml").read_text()) for word in key.split("/")}
    assert named - {"", "**"} <= set(NODES)


def test_camera_and_teleop_run_only_where_asked_for(bundle: str):
    def names(**given: Any) -> set[str]:
        return {spec.name for spec in describe(GraphSettings(bundle=bundle, **given))}

    always = {"sim_robot_node", "arbiter_node", "policy_node", "trial_node"}
    assert names() == always
    assert names(camera="external") == always
    assert names(**CAMERA) == always | {"camera_node"}
    assert names(teleop="keyboard") == always | {"teleop_node"}


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"bundle": ""}, "no bundle: give the directory of a policy bundle"),
        ({"bundle": "/no/such"}, "/no/such is no policy bundle (no config.json)"),
        ({"robot": "wall"}, "unknown robot 'wall': choose one of sim, sim_panda"),
        ({"camera": "v4l2"}, "camera v4l2 needs camera_source and camera_info"),
        ({"camera": "file", "camera_source": "film.mp4"}, "camera file needs camera_source and camera_info"),
        ({"sim": LOCK_STEP, **CAMERA}, "lock_step needs a simulated robot and its camera"),
        ({"sim": LOCK_STEP, "teleop": "keyboard"}, "lock_step leaves no time for a person"),
        ({"config": "/no/such/config"}, "/no/such/config is missing"),
    ],
)
def test_what_cannot_work_is_one_line(bundle: str, given: dict[str, Any], line: str):
    with pytest.raises(RlvlaError) as raised:
        describe(GraphSettings(**{"bundle": bundle} | given))
    assert line in str(raised.value)
    assert "\n" not in str(raised.value)


def test_written_parameters_are_read_back_as_they_were(tmp_path: Path):
    parameters = {"instruction": 'put "it": on the plate # now, größer', "episode": 3, "speed": 0.0, "path": "no"}
    path = write_parameters(NodeSpec(name="some_node", parameters=parameters, parameter_files=()), tmp_path)
    assert yaml.safe_load(path.read_text(encoding="utf-8")) == {"/**/some_node": {"ros__parameters": parameters}}


def test_parameters_are_utf_8_in_every_locale(tmp_path: Path):
    code = (
        "from pathlib import Path; from rlvla_nodes.graph import NodeSpec, write_parameters;"
        "write_parameters(NodeSpec(name='a', parameters={'text': 'gr\\u00f6\\u00dfer'}, parameter_files=()), Path('.'))"
    )
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=os.environ | plain, check=True)
    assert "größer" in (tmp_path / "a.yaml").read_text(encoding="utf-8")


def test_checkout_uses_its_own_config(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(installed(tmp_path / "other")))
    assert config_folder("") == ROOT / "config"


def installed(prefix: Path) -> Path:
    """A prefix with the package's configuration in it."""
    shutil.copytree(ROOT / "config", prefix / "share" / "rlvla" / "config")
    return prefix


def as_installed(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Any:
    """The module `config_files` as if it had been installed to the folder."""
    (folder / "rlvla_nodes").mkdir(parents=True)
    path = shutil.copy(SOURCE / "config_files.py", folder / "rlvla_nodes")
    spec = importlib.util.spec_from_file_location("installed_config_files", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "installed_config_files", module)
    spec.loader.exec_module(module)
    return module


def test_installed_package_uses_the_config_of_its_prefix_not_of_an_older_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    older, prefix = installed(tmp_path / "older"), installed(tmp_path / "prefix")
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(older))
    config_files = as_installed(monkeypatch, prefix / "lib" / "python3.12" / "site-packages")
    assert config_files.config_folder("") == prefix / "share" / "rlvla" / "config"


def test_package_elsewhere_asks_ros_and_says_so_when_nobody_knows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    prefix = installed(tmp_path / "prefix")
    config_files = as_installed(monkeypatch, tmp_path / "a" / "b" / "c" / "d")
    monkeypatch.setenv("AMENT_PREFIX_PATH", os.pathsep.join(["", str(tmp_path / "empty"), str(prefix)]))
    assert config_files.config_folder("") == prefix / "share" / "rlvla" / "config"
    monkeypatch.setenv("AMENT_PREFIX_PATH", "")
    with pytest.raises(RlvlaError, match="set config to"):
        config_files.config_folder("")


def test_discovery_stays_on_this_machine_unless_the_user_says_otherwise(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("ROS_AUTOMATIC_DISCOVERY_RANGE", raising=False)
    monkeypatch.setenv("ROS_DISTRO", "kilted")
    ours = {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    assert transport_environment(ROOT / "config") == ours | {
        "FASTDDS_DEFAULT_PROFILES_FILE": str(ROOT / "config" / FASTDDS_PROFILE)
    }
    # Fast DDS 2 does not read the newer name.
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    assert transport_environment(ROOT / "config") == ours | {
        "FASTRTPS_DEFAULT_PROFILES_FILE": str(ROOT / "config" / FASTDDS_PROFILE)
    }
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")
    monkeypatch.setenv("FASTRTPS_DEFAULT_PROFILES_FILE", "mine.xml")
    assert transport_environment(ROOT / "config") == {}


def test_document_names_every_argument():
    text = (ROOT / "docs" / "reference" / "node_parameters.md").read_text(encoding="utf-8")
    table = text.partition("## Arguments of policy.launch.py")[2]
    rows = [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("| `")]
    names = [f"`{argument.name}`" for argument in arguments()]
    assert [row for row in rows if row in names] == names
