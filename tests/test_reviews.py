"""The files of questions and answers: damaged, of others, and where nothing can be written."""

import errno
import fcntl
import json
import logging
import os

import pytest

import burr_lightning.reviews
from burr_lightning import Run, list_runs
from burr_lightning.errors import NotAskedError
from burr_lightning.layout import RunFolder
from burr_lightning.questions import Answer, Field, Question
from burr_lightning.reviews import Reviews, ReviewsError

FIELDS = (Field("verdict", "str", True, ("go", "no-go")),)


def question(number=3, text="Go on?", **facts):
    return Question(number, "review", text, FIELDS, None, 1, **{"asked": 5.0, **facts})


def answer_to(asked, verdict="go"):
    return Answer({"verdict": verdict}, "", "ada", "python", 6.0, asked.fingerprint)


@pytest.fixture
def folder(tmp_path):
    made = RunFolder(tmp_path, "digits", "a")
    made.create()
    return made


@pytest.fixture
def reviews(folder):
    return Reviews(folder)


def test_a_question_that_stands_keeps_its_time_and_is_asked_once(reviews):
    first = reviews.ask(question(asked=5.0))
    assert reviews.ask(question(asked=9.0)) == first
    assert len(reviews.all()) == 1


def test_an_answer_that_comes_while_it_is_looked_for_is_not_a_damaged_one(reviews, monkeypatch, caplog):
    asked, read = reviews.ask(question()), burr_lightning.reviews.read_json

    def comes_late(path):
        found = read(path)
        if found is None:
            reviews.answer(asked, answer_to(asked))
        return found

    with monkeypatch.context() as patch:
        patch.setattr(burr_lightning.reviews, "read_json", comes_late)
        answer = reviews.answer_to(asked)
    assert answer.values == {"verdict": "go"}
    assert caplog.text == ""


def test_an_answer_to_what_was_asked_there_before_counts_for_nothing(reviews):
    before = reviews.ask(question())
    reviews.answer(before, answer_to(before))
    now = reviews.ask(question(text="Go on with ten times the rate?"))
    assert reviews.answer_to(now) is None
    assert [asked.question.text for asked in reviews.all()] == [now.text]
    reviews.answer(now, answer_to(now, "no-go"))
    assert reviews.answer_to(now).values == {"verdict": "no-go"}


def test_what_is_asked_now_is_what_is_open(reviews):
    answered, left_open, later = question(1), question(2), question(7)
    reviews.ask(answered)
    reviews.answer(answered, answer_to(answered))
    for other in (left_open, later):
        reviews.ask(other)
    reviews.ask(question(4))
    assert [asked.question.number for asked in reviews.all()] == [1, 4]
    assert reviews.newest().question.number == 4


@pytest.mark.parametrize("content", ["", "{", "{}", "[]", '{"fields": 3}', '"text"'])
def test_a_damaged_question_counts_as_none(reviews, folder, caplog, content):
    reviews.ask(question())
    [path] = folder.path.glob("reviews/*.question.json")
    path.write_text(content)
    with caplog.at_level(logging.WARNING):
        assert reviews.newest() is None
    assert "is damaged" in caplog.text
    assert reviews.ask(question()) == question()
    assert reviews.newest().question == question()


@pytest.mark.parametrize("content", ["", "{", "{}", "[]"])
def test_a_damaged_answer_counts_as_none_and_can_be_given_anew(reviews, folder, content):
    reviews.ask(question())
    reviews.answer(question(), answer_to(question()))
    [path] = folder.path.glob("reviews/*.answer.json")
    path.write_text(content)
    assert reviews.newest().answer is None
    reviews.answer(question(), answer_to(question(), "no-go"))
    assert reviews.newest().answer.values == {"verdict": "no-go"}


def test_of_two_who_find_a_damaged_answer_the_faster_one_is_taken(reviews, folder, monkeypatch):
    asked, lock = reviews.ask(question()), fcntl.flock
    (folder.path / "reviews" / "00000003.answer.json").write_text("{")

    def comes_second(file, kind):
        monkeypatch.undo()
        reviews.answer(asked, answer_to(asked, "no-go"))
        lock(file, kind)

    monkeypatch.setattr(burr_lightning.reviews.fcntl, "flock", comes_second)
    with pytest.raises(NotAskedError, match="it was answered by ada"):
        reviews.answer(asked, answer_to(asked))
    assert reviews.answer_to(asked).values == {"verdict": "no-go"}


def test_a_folder_in_the_place_of_a_question_breaks_no_list(folder, reviews):
    (folder.path / "reviews" / "00000001.question.json").mkdir(parents=True)
    assert reviews.all() == []
    assert list_runs(root_dir=folder.root) == []


def test_what_a_newer_version_wrote_is_read_and_what_is_torn_is_left_out(folder):
    for run_id, content in {
        "newer": {
            "run_id": "newer",
            "project": "digits",
            "monitor": None,
            "tracker": None,
            "created": 1.0,
            "x": 1,
        },
        "torn": {"run_id": "torn"},
    }.items():
        other = RunFolder(folder.root, "digits", run_id)
        other.create()
        (other.path / "run.json").write_text(json.dumps(content))
        (other.path / "outcome.json").write_text('{"status": "failed", "newer": 1}')
    assert [(run.run_id, run.status) for run in list_runs(root_dir=folder.root)] == [("newer", "failed")]


def test_a_file_system_without_links_takes_one_answer_as_well(reviews, monkeypatch):
    def unsupported(*args, **options):
        raise OSError(errno.ENOTSUP, "not supported")

    monkeypatch.setattr(os, "link", unsupported)
    reviews.ask(question())
    reviews.answer(question(), answer_to(question()))
    with pytest.raises(NotAskedError, match="answered by ada"):
        reviews.answer(question(), answer_to(question(), "no-go"))
    assert reviews.newest().answer.values == {"verdict": "go"}


def test_a_full_disk_is_told_with_what_to_do(reviews, folder, monkeypatch):
    reviews.ask(question())

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ReviewsError, match=r"it cannot be written there .*No space left.* try again"):
        reviews.answer(question(), answer_to(question()))
    monkeypatch.undo()
    assert [path.name for path in (folder.path / "reviews").iterdir()] == ["00000003.question.json"]
    reviews.answer(question(), answer_to(question()))


def test_it_is_written_down_who_was_told(reviews):
    reviews.ask(question())
    assert not reviews.was_told(question())
    reviews.told(question())
    assert reviews.was_told(question())
    reviews.ask(question(text="Another?"))
    assert not reviews.was_told(question(text="Another?"))


def test_a_run_is_opened_whatever_is_in_its_folder_of_reviews(make_trainer):
    from burr_lightning import BurrCallback
    from burr_lightning.conditions import max_epochs
    from burr_lightning.testing import ScriptedModule, scripted_loader

    def fit():
        burr = BurrCallback(run_id="a", monitor="val_loss", review_when=max_epochs(1))
        make_trainer(burr, max_epochs=2).fit(
            ScriptedModule(val_loss=[0.5]), scripted_loader(), scripted_loader()
        )
        return burr

    fit()
    for path in (Run.open("a").folder / "reviews").iterdir():
        path.write_text("torn")
    run = Run.open("a")
    assert run.question is None
    assert [each.run_id for each in list_runs()] == ["a"]
    assert fit().paused
    assert Run.open("a").question is not None
