"""How the site is built, with Sphinx: `make docs`."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from sphinx.errors import ExtensionError
from sphinx.util.nodes import make_refnode

from burr_lightning import __version__
from burr_lightning.cli import main

HERE = Path(__file__).parent
ROOT = HERE.parent
warnings.filterwarnings("ignore", ".*set_application.* is deprecated")  # by sphinx-autodoc-typehints 3.6

project = "burr-lightning"
copyright = "the authors of burr-lightning"
release = version = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_autodoc_typehints",
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]
default_role = "py:obj"  # docstrings have their names in single backticks
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(?!burr_lightning\.).*"),  # no other project's names are known here
    ("py:class", r"burr_lightning\..*"),  # a type of an argument may be private
]
toc_object_entries_show_parents = "hide"
add_module_names = False

myst_heading_anchors = 4
suppress_warnings = ["sphinx_autodoc_typehints.forward_reference", "sphinx_autodoc_typehints.guarded_import"]

autodoc_class_signature = "mixed"
autodoc_member_order = "bysource"
napoleon_numpy_docstring = False
typehints_use_signature = True
typehints_use_rtype = False

html_theme = "furo"
html_title = f"burr-lightning {release}"
html_show_sphinx = False

PAGES_OF = {
    "CHANGELOG.md": "changes.md",
    "CONTRIBUTING.md": "contributing.md",
    "README.md": "index.md",
    "benchmarks/README.md": "measurements.md",
    "examples": "examples.md",
}
"""Pages of the site that stand for what is outside of its folder; other files can be downloaded."""

_LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)")


def rewrite_links(source: str, page: Path, written: Path) -> str:
    """Have links lead to pages of the site, where they lead out of its folder.

    Args:
        source: The text of a page, with links as a git host follows them.
        page: The page of the site.
        written: The file that the text is from: that page, or what it includes.
    """

    def moved(link: re.Match[str]) -> str:
        target = Path(os.path.normpath(written.parent / link[1]))
        outside = str(target.relative_to(ROOT)) if target.is_relative_to(ROOT) else ""
        if outside in PAGES_OF:
            target = HERE / PAGES_OF[outside]
        return Path(os.path.relpath(target, page.parent)).as_posix()

    return _LINK.sub(moved, source)


def _read(app: Any, name: str, source: list[str]) -> None:
    page = HERE / f"{name}.md"
    source[0] = rewrite_links(source[0], page, page)
    if name == "reference/options":
        source[0] += "".join(_helps(main, "burr-lightning"))


def _helps(command: click.Command, path: str) -> Iterator[str]:
    """A section for each command, with what it says of itself."""
    with click.Context(command, info_name=path, max_content_width=100, terminal_width=100) as context:
        yield f"\n## `{path}`\n\n```text\n{command.get_help(context)}\n```\n"
    for name, each in command.commands.items() if isinstance(command, click.Group) else ():
        yield from _helps(each, f"{path} {name}")


def _included(app: Any, path: Path, name: str, source: list[str]) -> None:
    source[0] = rewrite_links(source[0], HERE / f"{name}.md", HERE / path)


def _where_it_is_public(app: Any, env: Any, node: Any, content: Any) -> Any:
    """Lead from a name, or from the private module that it is defined in, to where it is documented."""
    target = node["reftarget"]
    if node.get("refdomain") != "py" or ("." in target and not target.startswith("burr_lightning.")):
        return None
    found = [
        (full, known)
        for full, known in env.domains.python_domain.objects.items()
        if full.rpartition(".")[2] == target.rpartition(".")[2] and known.objtype in _OF_MODULES
    ]
    if len(found) != 1:
        return None
    [(full, known)] = found
    return make_refnode(app.builder, node["refdoc"], known.docname, known.node_id, content, full)


_OF_MODULES = ("class", "data", "exception", "function")


def _hide_colon(app: Any, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Have napoleon read no type out of the first sentence of an attribute, which may have a colon."""
    if what in ("attribute", "data", "property") and lines:
        lines[0] = lines[0].replace(":", _COLON)


def _show_colon(app: Any, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    lines[:] = [line.replace(_COLON, ":") for line in lines]


_COLON = "\ue000"
_BEFORE, _AFTER = 400, 600
"""Napoleon comes at 500."""


def _see_that_nothing_is_loaded(app: Any, failure: Exception | None) -> None:
    """See that the site is whole without a network."""
    for page in sorted(Path(app.outdir).rglob("*.html")) if failure is None else []:
        found = _LOADED.search(page.read_text())
        if found:
            raise ExtensionError(f"{page} loads something from elsewhere: {found[0]}")


_LOADED = re.compile(r'<(?:iframe|img|link|script|source)\b[^>]*\b(?:src|href)="(?:https?:)?//[^"]*"')


def setup(app: Any) -> None:
    """Have every page's links rewritten, and names found."""
    app.connect("source-read", _read)
    app.connect("include-read", _included)
    app.connect("missing-reference", _where_it_is_public)
    app.connect("autodoc-process-docstring", _hide_colon, priority=_BEFORE)
    app.connect("autodoc-process-docstring", _show_colon, priority=_AFTER)
    app.connect("build-finished", _see_that_nothing_is_loaded)
