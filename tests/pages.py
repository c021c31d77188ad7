"""Pages of the documentation, whose code blocks are run one after the other, as a reader does.

A page has a folder and a home of its own, empty at first. In it,

- a `python` block runs as a script. `examples/` is on its path. One whose first line names a file, as
  ``# train.py``, is written to that file instead, for what follows;
- of a `console` block each line is a command that succeeds. ``python FILE`` and ``burr-lightning`` are run,
  and so are `export` and what lists, shows and moves files;
- a command that waits for somebody (`ui`, `watch`, `work` without ``--once``, `review` without an answer) is
  only checked: its options and arguments are parsed. So is a block with ``<!-- not run: why -->`` above it;
- other programs are checked to exist: what is installed with pip is a requirement, with extras that there
  are, and what is made is a target of the Makefile. So are files of the repository, which other tests run,
  and the commands of a line with operators of the shell in it;
- a `bash` block is a script that bash can read. Blocks of other languages are shown, and nothing is done.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
from packaging.requirements import InvalidRequirement, Requirement
from scripts import run_command, run_script

from burr_lightning.cli import main

ROOT = Path(__file__).parent.parent
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "howto").glob("*.md")),
    *sorted((ROOT / "docs" / "migration").glob("*.md")),
]

_BLOCK = re.compile(
    r"^(?:<!-- not run: [^\n]+? -->\n\n?(?P<left>))?"
    r"(?P<indent> *)```(?P<language>\S+)[^\n]*\n(?P<code>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)
_NAMED = re.compile(r"# ([\w./-]+\.py)\n")
_ASSIGNED = re.compile(r"[A-Za-z_]\w*=")
_OPERATOR = re.compile(r"[();<>|&]+")
_SHOWN = ("diff", "ini", "json", "nginx", "text", "toml", "yaml")
_DIRECTIVES = ("{eval-rst}", "{include}", "{toctree}")
"""Of MyST, which Sphinx checks."""
_FILES = ("cat", "cp", "ls", "mkdir", "mv", "rm")
_ELSEWHERE = ("cd", "export", "sbatch", "scancel", "scontrol", "squeue", "srun", "ssh")
"""Of the shell, of SLURM, of other machines: known without being here."""


class PageError(AssertionError):
    """A block of a page does not do what the page says."""


@dataclass(frozen=True)
class Block:
    """A block of code, and the line of the page that it begins in."""

    language: str
    code: str
    line: int
    is_left: bool


def blocks(page, language=None):
    """The blocks of a page, in order; those of one language, where one is given."""
    text = page.read_text()
    found = [
        Block(
            match["language"],
            textwrap.dedent(match["code"]),
            text.count("\n", 0, match.start("code")) + 1,
            match["left"] is not None,
        )
        for match in _BLOCK.finditer(text)
    ]
    return [block for block in found if language in (None, block.language)]


def name_of(page):
    return str(page.relative_to(ROOT)) if page.is_relative_to(ROOT) else page.name


class Reader:
    """Goes through a page in a folder, which is made; knows what each command has printed.

    Args:
        folder: Where it works.
        monkeypatch: Changes the environment, for as long as a test.
    """

    def __init__(self, folder, monkeypatch):
        folder.mkdir()
        self.folder, self.said = folder, {}
        self._environment = monkeypatch
        for name in [*os.environ]:
            if name.startswith(("BURR_LIGHTNING_", "RAY_ADDRESS", "SLURM_")):
                monkeypatch.delenv(name)
        monkeypatch.setenv("HOME", str(folder.parent / "home"))
        known = [path for path in [os.environ.get("PYTHONPATH")] if path]
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "examples"), *known]))
        # As where an environment is active: `python` is this one.
        monkeypatch.setenv("PATH", os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"])

    def read(self, page):
        """Do what a page says.

        Raises:
            PageError: If a block of it does not work. It names the page, the line, and what was printed.
        """
        for number, block in enumerate(blocks(page)):
            with _in_place(f"{name_of(page)}, line {block.line}"):
                self._do(number, block)

    def _do(self, number, block):
        if block.is_left and block.language != "console":
            raise PageError(f"a {block.language} block is run in any case")
        if block.language == "python":
            self._python(number, block.code)
        elif block.language == "console":
            for line in block.code.replace("\\\n", " ").splitlines():
                self._console(line, block.is_left)
        elif block.language == "bash":
            done = subprocess.run(
                ["bash", "-n"], input=block.code, capture_output=True, text=True, check=False
            )
            _succeeded("bash -n", done)
        elif block.language not in (*_SHOWN, *_DIRECTIVES):
            raise PageError(f"a language that nothing is known of: {block.language}")

    def _python(self, number, code):
        named = _NAMED.match(code)
        file = self.folder / (named[1] if named else f"block_{number}.py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(code)
        if not named:
            _succeeded(file.name, run_script(file, folder=self.folder, search=[ROOT / "examples"]))

    def _console(self, line, is_left):
        commands, with_operators = _commands(line)
        for typed in commands:
            assigned, words = _apart(typed)
            with _assigned(assigned):
                done = None if with_operators or is_left else self._run(line, *words)
            if done is None:
                _check(self.folder, *words)
            else:
                _succeeded(shlex.join(typed), done)
                self.said[shlex.join(typed)] = done.stdout

    def _run(self, line, program="", *arguments):
        """Run a command; ``None`` where it is one of those that are only checked."""
        if program == "export":
            for assigned in arguments:
                self._environment.setenv(*assigned.split("=", 1))
        elif program in _FILES:
            command = ["bash", "-c", line]
            return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        elif program == "python" and arguments and (self.folder / arguments[0]).is_file():
            return run_script(*arguments, folder=self.folder, search=[ROOT / "examples"])
        elif program == "burr-lightning" and not _waits(arguments):
            return run_command(*arguments, folder=self.folder)
        return None


@contextmanager
def _in_place(place):
    try:
        yield
    except PageError as error:
        raise PageError(f"{place}: {error}") from None


def _commands(line):
    """The commands of a line as lists of words, and whether it has operators of the shell."""
    try:
        lexer = shlex.shlex(line, posix=True, punctuation_chars="();<>|&")
        lexer.whitespace_split = True  # but for the operators
        words = list(lexer)
    except ValueError as error:
        raise PageError(f"not a line of a shell: {line}: {error}") from None
    commands = [[]]
    for word in words:
        if _OPERATOR.fullmatch(word):
            commands.append([])
        else:
            commands[-1].append(word)
    return [words for words in commands if words], len(commands) > 1


def _apart(words):
    """What is put into the environment of a command, and the command."""
    count = next((number for number, word in enumerate(words) if not _ASSIGNED.match(word)), len(words))
    return words[:count], words[count:]


@contextmanager
def _assigned(assigned):
    with pytest.MonkeyPatch.context() as changed:
        for word in assigned:
            changed.setenv(*word.split("=", 1))
        yield


def _waits(arguments):
    """Whether a command of ours ends only when somebody ends it, or answers it."""
    command, *rest = [word for word in arguments if not word.startswith("-")] or [""]
    if command == "work":
        return "--once" not in arguments
    if command == "review" and rest:
        return not {"--verdict", "--set", "--json"} & set(arguments)
    return command in ("ui", "watch") or (command, *rest[:1]) == ("study", "watch")


def _check(folder, program="", *arguments):
    if program == "burr-lightning":
        _parse(arguments)
    elif program in ("python", "python3") and arguments and arguments[0].endswith(".py"):
        known = [(place / arguments[0]).is_file() for place in (ROOT, folder)]
        _true(any(known), f"no file {arguments[0]}")
    elif os.path.basename(program) == "pip":
        _check_requirements(arguments)
    elif program == "make":
        targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        _true(set(arguments) <= set(targets), f"no such target: {arguments}")
    elif program not in _ELSEWHERE:
        _true(shutil.which(os.path.basename(program)), f"no program {program!r}")


def _parse(arguments):
    """See that a command of ours takes these options and arguments."""
    command, words = main, list(arguments)
    while isinstance(command, click.Group):
        name = words.pop(0) if words else ""
        _true(name in command.commands, f"no command of burr-lightning: {name!r}")
        command = command.commands[name]
    try:
        command.make_context(command.name, words)
    except click.ClickException as error:
        raise PageError(f"burr-lightning {shlex.join(arguments)}: {error.format_message()}") from None


def _check_requirements(arguments):
    """See that pip is told what it can install, with extras that there are."""
    project = (ROOT / "pyproject.toml").read_text().partition("[project.optional-dependencies]\n")[2]
    extras = set(re.findall(r"^(\w+) = \[", project.partition("\n[")[0], re.MULTILINE))
    _true(arguments[:1] == ("install",), f"only pip install is known here, not: pip {' '.join(arguments)}")
    for word in arguments[1:]:
        if word.startswith("-") or word.endswith((".txt", ".whl")):
            continue
        try:
            wanted = Requirement(re.sub(r"^\.", "burr-lightning", word))
        except InvalidRequirement as error:
            raise PageError(f"pip install {word}: {error}") from None
        if wanted.name == "burr-lightning":
            _true(wanted.extras <= extras, f"no such extra: {word}")


def _true(value, otherwise):
    if not value:
        raise PageError(otherwise)


def _succeeded(what, done):
    if done.returncode != 0:
        raise PageError(f"{what}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
