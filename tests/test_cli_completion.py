"""Completion in a real shell, and the ids that it is given."""

import os
import shutil
import subprocess
import sys

import pytest
from at_work import CLI

from burr_lightning import BurrCallback
from burr_lightning.testing import ScriptedModule, scripted_loader


@pytest.fixture
def stored(make_trainer, own_home):
    for run_id, project in (("digits-1", "digits"), ("digits-2", "digits"), ("words", "text")):
        burr = BurrCallback(run_id, project, tracker=False)
        make_trainer(burr, max_epochs=1).fit(ScriptedModule(loss=[0.5]), scripted_loader())
    return own_home / "runs"


@pytest.fixture
def path(tmp_path):
    """A PATH on which burr-lightning is, as it is installed."""
    program = tmp_path / "bin" / "burr-lightning"
    program.parent.mkdir()
    code = CLI[2].replace("sys.path.remove('')", "")
    program.write_text(f"#!{sys.executable}\n{code}\n")
    program.chmod(0o755)
    return f"{program.parent}:{os.environ['PATH']}"


def completed(path, *words):
    """What bash offers where the last of the words was begun."""
    script = (
        'eval "$(burr-lightning completion bash)"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
        '_burr_lightning_completion burr-lightning; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", script, "bash", "burr-lightning", *map(str, words)],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
class TestBash:
    @pytest.mark.parametrize(
        "command", ["show", "watch", "verify", "graph", "resume", "review", "compare", "diff"]
    )
    def test_the_ids_of_runs(self, path, stored, command):
        assert completed(path, command, "dig") == ["digits-1", "digits-2"]

    def test_every_run_of_several(self, path, stored):
        assert completed(path, "diff", "digits-1", "w") == ["words"]
        assert completed(path, "compare", "digits-1", "w") == ["words"]

    def test_all_runs_and_the_latest(self, path, stored):
        assert completed(path, "show", "") == ["digits-1", "digits-2", "words", "latest"]
        assert completed(path, "show", "la") == ["latest"]

    def test_those_of_a_project_and_a_place(self, path, stored, monkeypatch):
        monkeypatch.delenv("BURR_LIGHTNING_HOME")
        assert completed(path, "show", "d") == []
        assert completed(path, "show", "--root-dir", stored, "--project", "text", "") == ["words", "latest"]
        assert completed(path, "show", "--root-dir", stored, "--project", "t") == ["text"]

    def test_commands_and_options(self, path, own_home):
        assert completed(path, "wa") == ["watch"]
        assert completed(path, "watch", "--on") == ["--once"]

    def test_without_a_store_nothing_is_offered_and_nothing_is_made(self, path, own_home):
        assert completed(path, "show", "") == []
        assert not (own_home / "runs").exists()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_for_each_shell(shell):
    done = subprocess.run([*CLI, "completion", shell], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert f"_BURR_LIGHTNING_COMPLETE={shell}_complete" in done.stdout
    if shutil.which(shell):
        assert subprocess.run([shell, "-n"], input=done.stdout, text=True, check=False).returncode == 0


def asked(shell, words, at):
    """What the program says when the script of a shell asks it."""
    variables = {"_BURR_LIGHTNING_COMPLETE": f"{shell}_complete", "COMP_WORDS": words, "COMP_CWORD": at}
    env = {**os.environ, **variables}
    done = subprocess.run(CLI, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("shell", "at"),
    [("zsh", "2"), ("fish", "d")],  # zsh says which word, counted from 0, and fish what is typed of it
)
def test_what_the_scripts_of_zsh_and_fish_are_answered(stored, shell, at):
    ids = [("digits-1", "digits"), ("digits-2", "digits")]
    answers = {
        "zsh": [line for run_id, project in ids for line in ("plain", run_id, project)],
        "fish": [f"plain,{run_id}\t{project}" for run_id, project in ids],
    }
    assert asked(shell, "burr-lightning show d", at) == answers[shell]


def test_completing_imports_nothing_heavy(stored):
    code = (
        "import sys\nfrom burr_lightning.cli import main\n"
        "try:\n    main(prog_name='burr-lightning')\n"
        "finally:\n    print(*{'torch', 'lightning', 'burr', 'numpy'} & {*sys.modules}, file=sys.stderr)"
    )
    asked = {"COMP_WORDS": "burr-lightning show digits-", "COMP_CWORD": "2"}
    env = {**os.environ, **asked, "_BURR_LIGHTNING_COMPLETE": "bash_complete"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["plain,digits-1", "plain,digits-2"]
    assert done.stderr == "\n"
