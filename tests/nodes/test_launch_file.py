"""launch/policy.launch.py: executed against recording stubs, and by the real `ros2 launch` where there is one."""

import importlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import yaml

from rlvla_core.errors import RlvlaError
from rlvla_nodes import NODES
from rlvla_nodes.config_files import PACKAGE
from rlvla_nodes.graph import GraphSettings, describe
from rlvla_nodes.launch_arguments import arguments, settings_from
from rlvla_nodes.supervisor import Child

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "launch" / "policy.launch.py"
STUBS = Path(__file__).parent / "launch_stubs"
STUBBED = ("launch", "launch_ros")


def forget() -> None:
    """No module of launch is loaded, real or not."""
    for name in [name for name in sys.modules if name.partition(".")[0] in STUBBED]:
        del sys.modules[name]


@pytest.fixture
def launch_file(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The launch file, imported over the stubs."""
    forget()
    monkeypatch.syspath_prepend(str(STUBS))
    spec = importlib.util.spec_from_file_location("policy_launch", FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert str(STUBS) in str(sys.modules["launch"].__file__)
    yield module
    forget()


@pytest.fixture
def bundle(tmp_path: Path) -> str:
    """What `describe` looks at of a bundle."""
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy" / "config.json").write_text("{}")
    return str(tmp_path / "policy")


def launched(module: ModuleType, **given: str) -> tuple[list, list]:
    """Do what `ros2 launch` does: (declared arguments, actions that they lead to)."""
    context = sys.modules["launch"].LaunchContext(launch_configurations=dict(given))
    declared, actions = [], []
    for entity in module.generate_launch_description().entities:
        actions += entity.execute(context) or []
        declared += [entity] if hasattr(entity, "default_value") else []
    return declared, actions


def nodes(actions: list) -> list:
    """The node actions among them."""
    return [action for action in actions if hasattr(action, "executable")]


def read(files: list[str]) -> list[dict]:
    """The contents of parameter files."""
    return [yaml.safe_load(Path(file).read_text()) for file in files]


def test_every_setting_is_an_argument_with_default_description_and_choices(launch_file: ModuleType, bundle: str):
    declared, _ = launched(launch_file, bundle=bundle)
    names = [argument.name for argument in declared]
    assert names == [argument.name for argument in arguments()]
    assert {"bundle", "robot", "sim_episode", "sim_table_penetration_m"} <= set(names) and len(set(names)) == len(names)
    assert "sim" not in names and not any("." in name for name in names)
    assert all(argument.description.strip() for argument in declared)
    by_name = {argument.name: argument for argument in declared}
    assert by_name["camera"].choices == ["sim", "file", "v4l2", "external"]
    assert by_name["sim_image_width"].choices is None
    assert settings_from({argument.name: argument.default_value for argument in declared}) == GraphSettings()
    with pytest.raises(RuntimeError, match="drone"):
        launched(launch_file, bundle=bundle, camera="drone")


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"teleop": "keyboard", "robot": "sim_panda", "sim_episode": "7"},
        {"camera": "v4l2", "camera_source": "/dev/video0", "camera_info": "lens.yaml", "teleop": "gamepad"},
        {
            "sim_lock_step": "true",
            "temperature": "0.5",
            "instruction": 'put "it": on plate # 1',
            "sim_max_steps": "80",
        },
    ],
)
def test_same_processes_as_rlvla_run(launch_file: ModuleType, bundle: str, tmp_path: Path, given: dict[str, str]):
    _, actions = launched(launch_file, bundle=bundle, **given)
    settings = settings_from({argument.name: argument.default for argument in arguments()} | given | {"bundle": bundle})
    children = [Child(spec, tmp_path, lambda *_: None) for spec in describe(settings)]
    assert [node.executable for node in nodes(actions)] == [child.spec.name for child in children]
    for node, child in zip(nodes(actions), children, strict=True):
        files = [child.command[i + 1] for i, word in enumerate(child.command) if word == "--params-file"]
        assert read(node.parameters) == read(files)
        assert node.additional_env == child.spec.environment
        assert node.additional_env, "the transport's profile and the discovery range"


def test_everything_that_is_named_exists(launch_file: ModuleType, bundle: str):
    _, actions = launched(
        launch_file, bundle=bundle, camera="file", camera_source="f", camera_info="i", teleop="gamepad"
    )
    assert {node.executable for node in nodes(actions)} == set(NODES)
    for node in nodes(actions):
        assert node.package == PACKAGE
        executable = ROOT / "ros2_ws" / "src" / "rlvla_nodes" / "executables" / node.executable
        assert os.access(executable, os.X_OK)
        assert importlib.util.find_spec(f"rlvla_nodes.{node.executable}") is not None
        assert all(read(node.parameters))


def test_error_ends_all_and_a_signal_brings_the_node_back(launch_file: ModuleType, bundle: str):
    _, actions = launched(launch_file, bundle=bundle)
    handlers = [action.event_handler for action in actions if hasattr(action, "event_handler")]
    assert [handler.target_action for handler in handlers] == nodes(actions)
    assert all(node.respawn and node.respawn_delay == 1.0 for node in nodes(actions))
    context = sys.modules["launch"].LaunchContext()
    for handler in handlers:
        for code in (0, -9, -2):
            assert not handler.on_exit(SimpleNamespace(returncode=code, process_name="camera_node-1"), context)
        failed = SimpleNamespace(returncode=1, process_name="camera_node-1")
        with pytest.raises(RlvlaError, match="camera_node-1 ended with exit code 1"):
            handler.on_exit(failed, context)
        context.is_shutdown = True
        assert not handler.on_exit(failed, context)
        context.is_shutdown = False


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"bundle": ""}, "no bundle"),
        ({"bundle": "/no/such"}, "/no/such is no policy bundle"),
        ({"robot": "wall"}, "unknown robot 'wall': choose one of sim, sim_panda"),
        ({"sim_lock_step": "maybe"}, "sim_lock_step:=maybe is neither true nor false"),
        ({"sim_episode": "1.5"}, "sim_episode:=1.5 is no whole number"),
        ({"temperature": "hot"}, "temperature:=hot is no number"),
    ],
)
def test_bad_argument_is_one_line(launch_file: ModuleType, bundle: str, given: dict[str, str], line: str):
    with pytest.raises(RlvlaError) as raised:
        launched(launch_file, **{"bundle": bundle} | given)
    assert line in str(raised.value)
    assert "\n" not in str(raised.value)


def test_launch_file_needs_nothing_heavy():
    """`ros2` runs it in the system's Python, where only what the distribution brings is installed."""
    program = f"import runpy, sys; sys.path.insert(0, {str(STUBS)!r}); runpy.run_path({str(FILE)!r}); "
    program += "print(*{n for n, m in sys.modules.items() if 'site-packages' in str(getattr(m, '__file__', ''))})"
    done = subprocess.run([sys.executable, "-c", program], cwd="/", capture_output=True, text=True, check=True)
    installed = {name.partition(".")[0] for name in done.stdout.split()}
    assert "yaml" in installed
    assert not installed & {"torch", "transformers", "numpy", "scipy", "pinocchio", "sapien", "rclpy", "rlvla_msgs"}


def test_real_launch_shows_every_argument():
    ros2 = shutil.which("ros2")
    if ros2 is None or importlib.util.find_spec("launch_ros") is None:
        pytest.skip("no launch_ros or no ros2 here: they come with a ROS 2 distribution, not with wheels")
    command = [sys.executable, ros2, "launch", str(FILE), "--show-args"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert [argument.name for argument in arguments() if f"'{argument.name}'" not in done.stdout] == []
