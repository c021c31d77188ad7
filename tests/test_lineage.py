"""What a run's page and `burr-lightning watch` say of its parent and its forks."""

import json
import re
import shutil
from html import unescape

import pytest
from click.testing import CliRunner
from desk_runs import change_json, train
from starlette.testclient import TestClient

from burr_lightning import Run
from burr_lightning.cli import main
from burr_lightning.cli.following import FollowedRun
from burr_lightning.commits import Checkpoints
from burr_lightning.desk import create_app
from burr_lightning.layout import RunFolder
from burr_lightning.runs.family import KnownInfos, children_of
from burr_lightning.state import changed_by_fork
from burr_lightning.testing import ScriptedModule


class Rated(ScriptedModule):
    """Has a learning rate that a fork can change."""

    def __init__(self):
        super().__init__(val_loss=[0.9, 0.25, 0.5])
        self.save_hyperparameters({"lr": 0.001, "width": 64})


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """``base``, and forks of it: ``slower`` with another rate, which has a fork, and ``same``."""
    where = tmp_path_factory.mktemp("stored")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(where / "home"))
        train("base", 3, where / "runs", Rated(), checkpoints=Checkpoints(keep_last=9))
        base = Run.open("base", root_dir=where / "runs")
        slower = base.fork(1, "slower", {"lr": 0.0001, "weight_decay": 0.1})
        base.fork(2, "same")
        slower.fork(1, "slower-still")
    return where / "runs"


@pytest.fixture
def root(stored, tmp_path):
    """The same runs for a test to change."""
    return shutil.copytree(stored, tmp_path / "runs")


@pytest.fixture
def desk(root):
    return TestClient(create_app(root, burr=False), base_url="http://127.0.0.1:7242")


def on_page(desk, run_id):
    """The line of a run's page, as it is read, and the addresses in it; ``None`` where there is none."""
    page = desk.get(f"/runs/digits/{run_id}")
    assert page.status_code == 200, page.text
    line = re.search(r'<p class="lineage">(.*?)</p>', page.text, re.S)
    if line is None:
        return None
    words = unescape(re.sub(r"\s+", " ", re.sub(r"<.*?>", "", line[1]))).strip()
    return words, re.findall(r'href="(.*?)"', line[1])


def watched(run_id, *options):
    done = CliRunner().invoke(main, ["watch", run_id, "--once", *options], env={"COLUMNS": "150"})
    assert done.exit_code == 0, done.output
    return re.findall(r"^lineage +(.*)$", done.stdout, re.M)


CHANGED = "(lr 0.001 → 0.0001, weight_decay → 0.1)"


def test_a_page_names_parent_and_forks_with_a_way_to_each(desk):
    assert on_page(desk, "base") == (
        "Forks: slower@1, same@2",
        ["/runs/digits/slower", "/runs/digits/same"],
    )
    assert on_page(desk, "slower") == (
        f"Forked from base@1 {CHANGED}; forks: slower-still@1",
        ["/runs/digits/base", "/runs/digits/slower-still"],
    )
    assert on_page(desk, "same") == ("Forked from base@2", ["/runs/digits/base"])


def test_watch_has_the_same_in_one_line(root):
    assert watched("base") == ["forks: slower@1, same@2"]
    assert watched("slower") == [f"forked from base@1 {CHANGED}; forks: slower-still@1"]


def test_a_fork_of_a_fork_names_what_is_other_than_in_its_parent(root):
    assert watched("slower-still") == ["forked from slower@1"]
    Run.open("slower-still", root_dir=root).fork(1, "fast", {"lr": 0.01})
    assert watched("fast") == ["forked from slower-still@1 (lr 0.0001 → 0.01)"]
    shown = CliRunner().invoke(main, ["show", "fast"], env={"COLUMNS": "150"}).stdout
    assert re.search(r"forked from +slower-still, after epoch 1, with lr=0.01$", shown, re.M)


def test_a_fork_that_an_older_version_has_made_names_what_that_kept(root):
    state = Run.open("slower", root_dir=root).state
    older = {key: value for key, value in state["fork"].items() if key != "changed"}
    changed = {"lr": (0.001, 0.0001), "weight_decay": (None, 0.1)}
    assert changed_by_fork(state) == changed_by_fork(state.update(fork=older)) == changed


def test_a_fork_that_nothing_has_trained_is_not_shown_as_one_that_was_killed(root, desk):
    fork = Run.open("same")
    assert (fork.is_untrained, fork.stop_reason, fork.status) == (True, None, "interrupted")
    shown = [CliRunner().invoke(main, arguments).stdout for arguments in (["runs"], ["show", "same"])]
    shown += [fork._repr_html_(), CliRunner().invoke(main, ["watch", "same", "--once"]).stdout]
    page = desk.get("/runs/digits/same").text
    assert all("not started" in text for text in (*shown, page, desk.get("/").text))
    assert not [text for text in (*shown[1:], page) if "interrupted" in text or "was reached" in text]
    assert "nothing has trained it yet" in page
    assert Run.open("base").stop_reason == "max_epochs=3 was reached"


def test_a_fork_that_was_trained_has_its_own_end_and_one_that_was_killed_is_interrupted(root):
    train("same", 4, root, Rated())
    assert Run.open("same").stop_reason == "max_epochs=4 was reached"
    train("slower", 2, root, Rated())  # nothing is left to train, which it has found itself
    assert Run.open("slower").stop_reason == "max_epochs=2 was reached"
    (root / "digits/slower-still/lock").touch()
    killed = Run.open("slower-still")
    assert (killed.is_untrained, killed.status) == (False, "interrupted")
    assert "interrupted" in CliRunner().invoke(main, ["show", "slower-still"]).stdout


def test_an_open_page_of_a_fork_is_told_that_it_was_begun(root, desk):
    parts = "/runs/digits/same/parts"
    version = desk.get(parts).headers["etag"]
    (root / "digits/same/lock").touch()
    news = desk.get(parts, headers={"If-None-Match": version})
    assert "ended in the middle" in news.json()["parts"]["status"]


def test_watch_tells_programs_of_the_forks(root):
    done = CliRunner().invoke(main, ["watch", "base", "--json"])
    assert json.loads(done.stdout)["forks"] == ["slower", "same"]


def test_a_run_without_relatives_has_no_such_line(root, desk):
    for relative in ("slower", "same", "slower-still"):
        shutil.rmtree(root / "digits" / relative)
    assert on_page(desk, "base") is None
    assert watched("base") == []


def test_a_parent_that_is_deleted_is_named_without_a_way_to_it(root, desk):
    shutil.rmtree(root / "digits" / "base")
    assert on_page(desk, "same") == ("Forked from base@2, which is deleted", [])
    assert watched("same") == ["forked from base@2, which is deleted"]


def test_of_many_forks_the_oldest_are_named(root, desk):
    for number in range(10):
        folder = shutil.copytree(root / "digits" / "same", root / "digits" / f"more-{number}")
        change_json(folder / "run.json", run_id=folder.name, created=2e9 + number)
    words, addresses = on_page(desk, "base")
    assert words.startswith("Forks: slower@1, same@2, more-0@2,")
    assert words.endswith("more-5@2 and 4 more")
    assert len(addresses) == 8
    assert watched("base")[0].endswith("more-5@2 and 4 more")


def test_an_open_page_is_told_of_a_new_fork_and_of_nothing_else(root, desk):
    parts = "/runs/digits/same/parts"
    version = desk.get(parts).headers["etag"]
    assert desk.get(parts, headers={"If-None-Match": version}).status_code == 304
    Run.open("same", root_dir=root).fork(2, "newest")
    news = desk.get(parts, headers={"If-None-Match": version})
    assert "newest" in news.json()["parts"]["status"]


def test_a_watched_run_is_told_of_a_new_fork(root):
    followed = FollowedRun(Run.open("same"), None)
    assert followed.look().lineage == followed.look().lineage
    Run.open("same").fork(2, "newest")
    assert followed.look().lineage.forks == (("newest", 2),)


@pytest.mark.parametrize("parent", [[], {}, "base", {"run_id": "base"}])
def test_a_relative_whose_file_says_nonsense_hides_nothing_else(root, desk, parent):
    change_json(root / "digits" / "same" / "run.json", parent=parent)
    assert on_page(desk, "base")[0] == "Forks: slower@1"
    assert watched("base") == ["forks: slower@1"]
    page = desk.get("/runs/digits/same")
    assert (page.status_code, "run.json is torn, or of another version" in page.text) == (500, True)


def test_what_was_read_is_read_again_only_where_it_has_changed(root, monkeypatch):
    known, read = KnownInfos(), []
    info = RunFolder.info
    monkeypatch.setattr(RunFolder, "info", lambda folder: read.append(folder.run_id) or info(folder))
    base = RunFolder(root, "digits", "base")
    first = children_of(base, known.info)
    assert sorted(read) == ["base", "same", "slower", "slower-still"]
    change_json(root / "digits" / "same" / "run.json", created=2e9)
    assert [folder.run_id for folder, _ in first] == [
        folder.run_id for folder, _ in children_of(base, known.info)
    ]
    assert read[4:] == ["same"]
    (root / "digits" / "same" / "run.json").unlink()
    assert [folder.run_id for folder, _ in children_of(base, known.info)] == ["slower"]
