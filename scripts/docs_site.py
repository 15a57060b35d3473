"""What mkdocs does not do by itself for our site: API pages, formulas as MathML, links to files that are no pages.

mkdocs calls the `on_...` functions (mkdocs.yml, `hooks`). Formulas become MathML, which browsers draw without a script.
Docstrings are plain text with Markdown in it: `PlainDocstrings` keeps `[N, 3][6]` and `<name>` as they stand.
"""

import re
from pathlib import Path
from typing import Any

import griffe
from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
SOURCES = {"rlvla": ".", "rlvla_core": ".", "rlvla_sim": "sim", "rlvla_nodes": "ros2_ws/src"}
"""Package -> the folder that it lies in."""
FOLDER = "reference/api"
FORMULAS = {
    r'<span class="arithmatex">\\\((.*?)\\\)</span>': "inline",
    r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>': "block",
}
"""What arithmatex leaves in a page -> how the formula is shown."""
LINK = re.compile(r"\[([^\]]*)\]\(([^)#\s:]+)(#[^)\s]*)?\)")


class PlainDocstrings(griffe.Extension):
    """Escapes what Markdown would take for a reference or a tag, outside of code."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for each module, class, function and attribute."""
        if obj.docstring is not None:
            parts = obj.docstring.value.split("`")
            parts[::2] = [re.sub(r"\](\s*)\[", r"]\1\\[", part).replace("<", "&lt;") for part in parts[::2]]
            obj.docstring.value = "`".join(parts)


def packages() -> dict[str, list[str]]:
    """Dotted name of each package -> its modules, itself first. Private ones and folders of data are left out."""
    found: dict[str, list[str]] = {}
    for top, source in SOURCES.items():
        for init in sorted((ROOT / source / top).rglob("__init__.py")):
            folder = init.parent
            name = ".".join(folder.relative_to(ROOT / source).parts)
            modules = [name, *(f"{name}.{file.stem}" for file in sorted(folder.glob("[!_]*.py")))]
            found[name] = modules
    return found


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the API beside the other sections of the navigation."""
    pages: dict[str, list[Any]] = {}
    for name in packages():
        pages.setdefault(name.partition(".")[0], []).append({name: f"{FOLDER}/{name}.md"})
    assert config.nav is not None
    config.nav.append({"API": [{top: entries} for top, entries in pages.items()]})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """One page a package, made of its docstrings."""
    for name, modules in packages().items():
        text = "\n\n".join([f"# {name}", *(f"::: {module}" for module in modules)])
        files.append(File.generated(config, f"{FOLDER}/{name}.md", content=text))
    return files


def on_page_markdown(markdown: str, page: Page, files: Files, **_: Any) -> str:
    """A link to a file of the repository that is no page of the site becomes the file's path."""
    here = (ROOT / "docs" / page.file.src_uri).parent

    def path_instead(link: re.Match[str]) -> str:
        target = (here / link[2]).resolve()
        inside = ROOT / "docs" in target.parents
        page_of = files.get_file_from_path(target.relative_to(ROOT / "docs").as_posix()) if inside else None
        if not target.exists() or (page_of and not page_of.inclusion.is_excluded()):
            return link[0]
        path = target.relative_to(ROOT).as_posix()
        return f"`{path}`" if link[1].strip("`") in (path, target.name) else f"{link[1]} (`{path}`)"

    return LINK.sub(path_instead, markdown)


def on_page_content(html: str, **_: Any) -> str:
    """LaTeX, as arithmatex leaves it in the page, becomes MathML."""
    for pattern, display in FORMULAS.items():
        html = re.sub(pattern, lambda found, display=display: formula(found[1], display), html, flags=re.DOTALL)
    return html


def formula(escaped: str, display: str) -> str:
    """MathML of LaTeX that stands in HTML."""
    latex = escaped.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return convert(latex, display=display)
