"""Every picture of the documentation is there, and a script in this repository makes it."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("*.py"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
SCRIPTS = [*(ROOT / "docs").glob("*.py"), ROOT / "benchmarks" / "bench.py"]
INDEX = (ROOT / "docs" / "examples.md").read_text()


def pictures_of(page):
    return {
        (page.parent / target).resolve()
        for target in re.findall(r"!\[[^\]]*\]\(([^)\s]+\.png)\)", page.read_text())
    }


def makes(script, name):
    """Whether a script names a picture: in full, as a text alone, or by a pattern that begins like it."""
    text = script.read_text()
    patterns = re.findall(r"([\w-]{4,})(?:\*|\{\w+\})(?:\.png)", text)
    return f"{name}.png" in text or f'"{name}"' in text or any(name.startswith(part) for part in patterns)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_picture_of_a_page_is_there(page):
    assert [picture.name for picture in pictures_of(page) if not picture.exists()] == []


def test_every_picture_is_on_a_page_and_made_by_a_script():
    kept = {path.resolve() for path in (ROOT / "docs" / "images").glob("*.png")}
    shown = set().union(*(pictures_of(page) for page in PAGES))
    assert sorted(picture.name for picture in kept - shown) == []
    made_by_none = [
        picture.stem for picture in kept if not any(makes(script, picture.stem) for script in SCRIPTS)
    ]
    assert made_by_none == []


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_in_the_index_with_a_picture_and_says_what_to_look_at(example):
    part = INDEX.partition(f"\n## {example}\n")[2].partition("\n## ")[0]
    assert f"(../examples/{example}.py)" in part
    assert f"(images/{example}.png)" in part
    assert "to look at" in (ROOT / "examples" / f"{example}.py").read_text().split('"""')[1]


def test_the_index_has_no_other():
    assert sorted(re.findall(r"^## (\w+)$", INDEX, re.MULTILINE)) == EXAMPLES


def test_the_layers_of_the_code_are_those_of_the_table_for_contributors():
    from test_layering import LAYERS

    rows = re.findall(r"^\| [^|]+ \| (`[^|]+) \| [^|]+ \|$", (ROOT / "CONTRIBUTING.md").read_text(), re.M)
    named = [{name.strip("`/ ") for name in row.split(",")} for row in rows[: len(LAYERS)]]
    assert named == LAYERS
