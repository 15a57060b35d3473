"""The rules that keep the house in order: who imports whom, what may be imported at all, how long a file may be."""

import ast
import dataclasses
import itertools
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rlvla.cli import COMMANDS, Command, main

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {"rlvla": ROOT / "rlvla", "rlvla_core": ROOT / "rlvla_core", "rlvla_sim": ROOT / "sim" / "rlvla_sim"}
PACKAGES |= {"rlvla_nodes": ROOT / "ros2_ws" / "src" / "rlvla_nodes"}
MAX_LINES = 350

FORBIDDEN_IMPORTS = {
    "rlvla": set(),
    "rlvla.worlds": {"rlvla.commands"},
    "rlvla.evaluation": {"rlvla.commands"},
    "rlvla_sim": {"rlvla", "rlvla_calibration", "rlvla_nodes"},
    "rlvla_core": {"rlvla", "rlvla_sim", "rlvla_calibration", "rlvla_nodes"},
    "rlvla_nodes": {"rlvla"},
    "rlvla_core.policy": {"rlvla_core.learning", "rlvla_core.evaluation"},
    "rlvla_core.data": {"rlvla_core.learning", "rlvla_core.evaluation"},
    "rlvla_core.runs": {"rlvla_core.learning", "rlvla_core.evaluation"},
    "rlvla_core.evaluation": {"rlvla_core.learning"},
}
"""Room -> rooms that it must not know."""

OWNED_IMPORTS = {
    "sapien": "rlvla_sim",
    "mani_skill": "rlvla_sim",
    "fast_simplification": "rlvla_sim",
    "rclpy": "rlvla_nodes",
    "pinocchio": "rlvla_core.control",
    "ruckig": "rlvla_core.control",
    "pyrealsense2": "rlvla_nodes",
    "launch": "rlvla_nodes",
    "launch_ros": "rlvla_nodes",
}
"""Heavy library -> the only room that may import it."""

BANNED_IMPORTS = {"pickle", "mplib", "timm", "torchvision"}
BANNED_CALLS = {"torch.load", "torch.save"}

MACHINE_TRACES = re.compile(
    r"(?<![\w.-])/(?:work/(?:main|shared|\.)|home/[a-z]|opt/(?:wheels|pypi))"
    r"|pypi\.(?:org|python)|files\.pythonhosted|deb\.debian\.org|download\.pytorch|(?:extra-)?index-url"
)
"""Paths of one machine and hosts of package registries have no place in the repository."""


def modules() -> list[tuple[str, Path]]:
    """(dotted name, file) of every module of the packages."""
    found = []
    for package, folder in PACKAGES.items():
        for path in sorted(folder.rglob("*.py")):
            words = [package, *path.relative_to(folder).with_suffix("").parts]
            found.append((".".join(words).removesuffix(".__init__"), path))
    return found


def imports(tree: ast.AST) -> set[str]:
    """Dotted names that a module imports, wherever in it: `from a.b import c` gives a.b and a.b.c."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in line {node.lineno}: write the full name"
            names |= {str(node.module)} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def within(name: str, room: str) -> bool:
    """Whether a dotted name lies in a room."""
    return name == room or name.startswith(f"{room}.")


def tracked_files() -> list[Path]:
    """Everything that git would commit."""
    command = ["git", "ls-files", "-co", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


@pytest.mark.parametrize(("name", "path"), modules(), ids=[name for name, _ in modules()])
def test_module_keeps_the_import_rules(name: str, path: Path) -> None:
    tree = ast.parse(path.read_text())
    imported = imports(tree)
    for room, forbidden in FORBIDDEN_IMPORTS.items():
        if within(name, room):
            wrong = {i for i in imported for f in forbidden if within(i, f)}
            assert not wrong, f"{name} lies in {room}, which must not import {sorted(wrong)}"
    if within(name, "rlvla_nodes") and name != "rlvla_nodes.drivers.simulated":
        simulated = {i for i in imported if within(i, "rlvla_sim")}
        assert not simulated, f"{name} imports {sorted(simulated)}: only its driver knows the simulator"
    for library, owner in OWNED_IMPORTS.items():
        used = any(within(i, library) for i in imported)
        assert not used or within(name, owner), f"{name} imports {library}, which belongs to {owner}"
    banned = {i for i in imported for b in BANNED_IMPORTS if within(i, b)}
    assert not banned, f"{name} imports {sorted(banned)}"
    calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not calls & BANNED_CALLS, f"{name} calls {sorted(calls & BANNED_CALLS)}: use safetensors and JSON"


def test_python_files_are_short() -> None:
    counts = {path: path.read_text().count("\n") for path in tracked_files() if path.suffix == ".py"}
    long = {str(path.relative_to(ROOT)): count for path, count in counts.items() if count > MAX_LINES}
    assert not long, f"split these, one concept a file: {long}"


def test_no_file_names_a_machine_or_a_registry() -> None:
    traces = []
    for path in tracked_files():
        if path == Path(__file__).resolve():
            continue
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        traces += [f"{path.relative_to(ROOT)}: {match.group()}" for match in MACHINE_TRACES.finditer(text)]
    assert not traces


@pytest.mark.parametrize(
    ("package", "allowed"), [("rlvla", set()), ("rlvla.cli", set()), ("rlvla_core", set()), ("rlvla_sim", {"torch"})]
)
def test_importing_a_package_loads_nothing_heavy(package: str, allowed: set[str]) -> None:
    heavy = {"torch", "sapien", "mani_skill", "transformers", "rclpy", "matplotlib"} - allowed
    program = f"import sys, time; t = time.perf_counter(); import {package}; print(time.perf_counter() - t); "
    program += f"print(*({heavy} & set(sys.modules)))"
    command = [sys.executable, "-c", program]
    seconds, *loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert not loaded
    assert allowed or float(seconds) < 0.5


def test_a_study_that_leaves_policies_to_other_processes_loads_no_language_model() -> None:
    """Seconds at every start: transformers and peft are imported where a model is built."""
    program = "import sys, rlvla.study; print(*({'transformers', 'peft', 'mani_skill'} & set(sys.modules)))"
    command = [sys.executable, "-c", program]
    assert not subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.parametrize("command", COMMANDS, ids=[command.name for command in COMMANDS])
def test_every_command_has_help(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([*command.words, "--help"])
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    assert f"rlvla {command.name}" in shown
    assert len(shown.splitlines()) > 4


@pytest.mark.parametrize("command", COMMANDS, ids=[command.name for command in COMMANDS])
def test_every_option_of_a_command_is_explained(command: Command) -> None:
    options = command.load()
    assert dataclasses.is_dataclass(options)
    assert getattr(options, "__dataclass_params__").frozen  # noqa: B009
    module = ast.parse(Path(str(sys.modules[options.__module__].__file__)).read_text())
    body = next(n for n in ast.walk(module) if isinstance(n, ast.ClassDef) and n.name == options.__name__).body
    explained = {
        ast.unparse(field.target)
        for field, note in itertools.pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(note, ast.Expr) and isinstance(note.value, ast.Constant)
    }
    own = {ast.unparse(field.target) for field in body if isinstance(field, ast.AnnAssign)}
    assert own == explained, f"write a line under {sorted(own - explained)}"


def module_level_imports(body: list[ast.stmt]) -> Iterator[ast.Import | ast.ImportFrom]:
    """Import statements of a module outside of its functions, those for type checkers included."""
    for statement in body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            yield statement
        elif not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            for part in ("body", "orelse", "handlers", "finalbody"):
                yield from module_level_imports(getattr(statement, part, []))


def test_no_module_imports_itself_through_others() -> None:
    """An edge leads to the imported module and to the packages above it, whose `__init__` runs first."""
    files = dict(modules())
    edges: dict[str, set[str]] = {}
    for name, path in files.items():
        found: set[str] = set()
        for node in module_level_imports(ast.parse(path.read_text()).body):
            if isinstance(node, ast.Import):
                targets = {alias.name for alias in node.names}
            else:
                within_it = {f"{node.module}.{alias.name}" for alias in node.names}
                # `from package import module` needs the package's own names only where they are no modules.
                targets = {t for t in within_it if t in files} | (
                    {str(node.module)} if within_it - set(files) else set()
                )
            for target in targets:
                words = target.split(".")
                above = {".".join(words[:i]) for i in range(1, len(words))}
                found |= {target} | {package for package in above if not within(name, package)}
        edges[name] = (found & set(files)) - {name}
    left = dict(edges)
    while ready := [name for name, needs in left.items() if not needs & set(left)]:
        for name in ready:
            del left[name]
    way = [min(left)] if left else []
    while way and way[-1] not in way[:-1]:
        way.append(min(edges[way[-1]] & set(left)))
    assert not way, f"import circle: {' -> '.join(way[way.index(way[-1]) :])}"


def test_only_the_table_of_models_knows_the_folder_of_a_model() -> None:
    """Presets may be used by anyone: they are names for sizes. Parity compares OpenVLA itself, part by part."""
    folder, everyone = "rlvla_core.policy.openvla", "rlvla_core.policy.openvla.presets"
    insiders = {"rlvla_core.policy.models", "rlvla_core.policy.openvla_parity"}
    for name, path in modules():
        if within(name, folder) or name in insiders:
            continue
        found = {i for i in imports(ast.parse(path.read_text())) if within(i, folder) and not within(i, everyone)}
        assert not found, (
            f"{name} imports {sorted(found)}: ask it of VLAModel or VLAConfig (policy/model.py), or move what it "
            f"needs out of {folder}"
        )


def test_text_files_are_utf_8_whatever_the_locale() -> None:
    """Without `encoding`, Python reads and writes in the encoding of the locale: a file of another machine breaks."""
    files = [file for _, file in modules()]
    for folder in ("benchmarks", "experiments", "scripts", "launch"):
        files += (ROOT / folder).glob("*.py")
    found = [
        f"{file.relative_to(ROOT)}:{node.lineno}"
        for file in files
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if node.func.attr in ("read_text", "write_text")
        if "encoding" not in [keyword.arg for keyword in node.keywords]
    ]
    assert found == []
