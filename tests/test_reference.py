"""The reference has what is public, and nothing else."""

import ast
import importlib
import inspect
import re

import pytest
from pages import ROOT

REFERENCE = ROOT / "docs" / "reference"
PACKAGE = ROOT / "burr_lightning"
PUBLIC = [
    "burr_lightning",
    "burr_lightning.actions",
    "burr_lightning.cli",
    "burr_lightning.conditions",
    "burr_lightning.desk",
    "burr_lightning.errors",
    "burr_lightning.figures",
    "burr_lightning.hooks",
    "burr_lightning.machines",
    "burr_lightning.mixins",
    "burr_lightning.pausing",
    "burr_lightning.recording",
    "burr_lightning.runs",
    "burr_lightning.stopping",
    "burr_lightning.testing",
    "burr_lightning.tuning",
    "burr_lightning.tuning.figures",
    "burr_lightning.tuning.ray",
]
"""The public modules; a name that several have is documented with the first."""

INTERNAL = {"acting", "commits", "persisters", "plots", "scheduling"}
"""Packages with an `__all__` for others of this library."""


def public_names():
    """Each name that is public, with the module that is said to have it."""
    homes = {}
    for module in PUBLIC:
        for name in importlib.import_module(module).__all__:
            value = getattr(importlib.import_module(module), name)
            homes.setdefault((name, id(value)), f"{module}.{name}")
    return sorted(homes.values())


def documented(directive=r"(?:auto\w+|py:\w+)"):
    text = "".join(page.read_text() for page in sorted(REFERENCE.glob("*.md")))
    return re.findall(rf"^\.\. {directive}:: ([\w.]+)", text, re.MULTILINE)


def test_every_public_name_is_documented_once_and_no_other():
    assert sorted(documented()) == public_names()


def test_every_public_class_and_function_but_errors_has_an_example_that_runs():
    """Errors are raised by others, whose pages and tests quote them."""
    without = []
    for full in public_names():
        home, _, name = full.rpartition(".")
        value = getattr(importlib.import_module(home), name)
        if not inspect.isfunction(value) and not inspect.isclass(value):
            continue
        if inspect.isclass(value) and issubclass(value, Exception):
            continue
        texts = [
            value.__doc__ or "",
            *(getattr(each, "__doc__", None) or "" for each in vars(value).values()),
        ]
        lines = [line for text in texts for line in text.splitlines() if ">>>" in line]
        if not any("+SKIP" not in line for line in lines):
            without.append(full)
    assert without == []


@pytest.mark.parametrize("module", PUBLIC)
def test_a_public_module_has_a_section_that_says_where_its_names_are_imported_from(module):
    text = "".join(page.read_text() for page in REFERENCE.glob("*.md"))
    assert f"\n## `{module}`\n" in text


def test_a_package_is_public_or_known_not_to_be():
    """A package that gets an `__all__` has to be decided about; parts of those above are theirs."""
    named = {path.parent.name for path in PACKAGE.glob("*/__init__.py") if "__all__ = [" in path.read_text()}
    assert named - INTERNAL == {module.split(".")[1] for module in PUBLIC if "." in module} & named


def environment_read():
    """The variables that the source asks the environment for, by the names that it has for them."""
    trees = [ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))]
    named = {
        target.id: node.value.value
        for tree in trees
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    asked = [name for tree in trees for node in ast.walk(tree) for name in _asked(node)]
    texts = [name.value if isinstance(name, ast.Constant) else named.get(ast.unparse(name)) for name in asked]
    parts = [ast.unparse(name) for name in asked if isinstance(name, ast.JoinedStr)]
    return {text for text in texts if isinstance(text, str)}, parts


def _asked(node):
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
        return node.args[:1] if _is_environment(node.func.value) else []
    if isinstance(node, ast.Subscript):
        return [node.slice] if _is_environment(node.value) else []
    if isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.In, ast.NotIn)):
        return [node.left] if _is_environment(node.comparators[0]) else []
    if isinstance(node, ast.keyword) and node.arg == "envvar":
        return [node.value]
    return []


def _is_environment(node):
    return ast.unparse(node).rpartition(".")[2].lstrip("_") in ("environ", "environment")


def test_the_environment_variables_in_the_reference_are_those_that_are_read():
    ours = (REFERENCE / "environment.md").read_text().split("\n## ")[1]
    rows = set(re.findall(r"^\| `(\w+)` \|", ours, re.MULTILINE))
    read, parts = environment_read()
    assert parts == ["f'SLURM_ARRAY_{name}_ID'"]
    assert rows == read | {"SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"}


def test_no_variable_is_asked_for_in_another_way():
    for path in sorted(PACKAGE.rglob("*.py")):
        assert "getenv" not in path.read_text(), path
