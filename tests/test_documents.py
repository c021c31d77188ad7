"""What the README and the docs say is run."""

import os
import re
import subprocess

import pytest
from pages import PAGES, ROOT, PageError, Reader, blocks, name_of


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_of_a_page_does_what_it_says(page, own_home, monkeypatch):
    Reader(own_home / "page", monkeypatch).read(page)


WRONG = {
    "```python\nprint(1 / 0)\n```": "block_0.py: exit status 1",
    "```python\n# away.py\nx = 1\n```\n```python\nimport home\n```": "No module named 'home'",
    "```console\nburr-lightning show nothing\n```": "burr-lightning show nothing: exit status 1",
    "<!-- not run: there is none -->\n```console\nburr-lightning show --blue x\n```": "No such option",
    "```console\nburr-lightning shw x\n```": "exit status 2",
    "```console\nburr-lightning watch\n```": "Missing argument",
    "```console\npython nothing.py\n```": "no file nothing.py",
    "```console\npip install 'burr-lightning[nothing]'\n```": "no such extra",
    "```console\nmake nothing\n```": "no such target",
    "```console\nnothing-that-exists --here\n```": "no program",
    "```console\nls nothing\n```": "ls nothing: exit status",
    "```bash\nif true\n```": "bash -n: exit status",
    "```pyhton\n1\n```": "a language that nothing is known of",
    "```{code-block} python\n1\n```": "a language that nothing is known of",
    "```console\npip instal ruff\n```": "only pip install is known here",
    "<!-- not run: it is slow -->\n```python\n1\n```": "run in any case",
}


@pytest.mark.parametrize(("text", "said"), WRONG.items())
def test_a_block_that_does_not_is_named_with_what_it_printed(text, said, own_home, monkeypatch):
    page = own_home / "page.md"
    page.write_text(text + "\n")
    with pytest.raises(PageError, match=re.escape(said)) as error:
        Reader(own_home / "folder", monkeypatch).read(page)
    assert "page.md, line " in str(error.value)


def test_blocks_of_a_page_share_files_variables_and_runs(own_home, monkeypatch):
    page, reader = own_home / "page.md", Reader(own_home / "folder", monkeypatch)
    page.write_text(SHARED)
    reader.read(page)
    assert reader.said["WHO=you python deep/say.py 3"] == "you 3 True\n"
    assert reader.said["python deep/say.py 4"] == "me 4 True\n"


SHARED = """
1. A block in a list:

   ```python
   # deep/say.py
   import os, sys
   print(os.environ["WHO"], sys.argv[1], os.path.exists("made"))
   ```
```python
# digits.py
NOT_THE_ONE_OF_THE_TESTS = True
```
```python
from digits import NOT_THE_ONE_OF_THE_TESTS
open("made", "w").close()
```
```console
export WHO=me
WHO=you python deep/say.py 3
python deep/say.py \
  4  # of more than one line
```
"""


@pytest.mark.parametrize(("block", "target"), [(1, "demo"), (2, "test")])
def test_the_plain_lines_are_those_that_make_runs(block, target):
    command = ["make", "--dry-run", "--always-make", "--no-print-directory", target]
    outer = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, env=outer)
    made = [line for line in done.stdout.splitlines() if not line.startswith("touch ")]
    assert blocks(ROOT / "README.md", "console")[block].code.splitlines() == made


def test_every_local_link_leads_somewhere():
    for document in [*PAGES, ROOT / "CONTRIBUTING.md"]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_the_state_keys_in_the_docs_are_those_of_the_state():
    from burr_lightning import state

    documented = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "machine.md").read_text(), re.MULTILINE)
    keys = set(state.initial_state({}, None, None))
    assert keys == set(documented) & keys
    in_docstring = set(re.findall(r"^\| `(\w+)` \|", state.__doc__, re.MULTILINE))
    assert in_docstring == keys
