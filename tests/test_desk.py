"""The web page's answers to requests: what it shows of stored runs, and what it takes from a form."""

import json
import os
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from desk_runs import EVIL, change_json, make_store, train, train_until_it_asks
from starlette.testclient import TestClient

from burr_lightning import Run
from burr_lightning.desk import create_app
from burr_lightning.layout import Outcome, RunFolder, RunInfo
from burr_lightning.locks import RunLock
from burr_lightning.questions import Question
from burr_lightning.reviews import Reviews
from burr_lightning.testing import ScriptedModule

ASKS = "/runs/digits/asks"
KINDS = ("script", "style", "iframe", "object", "embed", "img", "base")
"""Elements of which a page has none, but for the scripts and the style sheet of ours in its head."""


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Runs that tests only read."""
    return make_store(tmp_path_factory.mktemp("stored"))


@pytest.fixture
def root(stored, tmp_path):
    """The same runs for a test to change."""
    return shutil.copytree(stored, tmp_path / "own-runs")


def open_desk(root, **options):
    """A client of a desk without Burr's page."""
    return TestClient(
        create_app(root, burr=False, **options), base_url="http://127.0.0.1:7242", follow_redirects=False
    )


@pytest.fixture
def desk(root):
    return open_desk(root)


class Parsed(HTMLParser):
    """The elements and the text of a page."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.words = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.words))


def text_of(response):
    return Parsed(response.text).text


def form_of(desk, address=ASKS):
    """What a browser would send with the form as it is shown."""
    page = desk.get(address)
    assert page.status_code == 200, page.text
    fields = {}
    for tag, attributes in Parsed(page.text).elements:
        hidden = attributes.get("type") != "radio" or "checked" in attributes
        if tag in ("input", "textarea") and hidden:
            fields[attributes["name"]] = attributes.get("value") or ""
    return fields


def send(desk, address=ASKS, **values):
    form = {**form_of(desk, address), **values}
    return desk.post(f"{address}/answer", data=form)


def rewrite(root, run_id, name, content):
    (root / "digits" / run_id / name).write_text(content)


class TestList:
    def test_what_waits_for_an_answer_comes_first(self, desk):
        page = desk.get("/")
        order = re.findall(r'<a href="/runs/digits/(\w+)">', page.text)
        assert order == ["asks", "failed", "finished"]
        assert "1 waiting for an answer" in text_of(page)
        assert "Go on with the training?" in text_of(page)

    def test_a_run_has_status_epoch_best_and_date(self, desk):
        page = re.sub(r"\s+", " ", desk.get("/").text)
        row = Parsed(page[page.index("/runs/digits/finished") :]).text
        assert "finished digits max_epochs=3 was reached finished 2 val_loss 0.25 (epoch 1) 20" in row

    def test_an_empty_folder_says_what_to_do(self, tmp_path):
        page = open_desk(tmp_path / "nothing").get("/")
        assert page.status_code == 200
        assert "BurrCallback" in text_of(page)
        assert str(tmp_path / "nothing") in page.text
        assert not (tmp_path / "nothing").exists()

    def test_only_one_project(self, root):
        train("other", 1, root, project="more")
        assert "other" in open_desk(root).get("/").text
        one = open_desk(root, project="digits")
        assert "/runs/more" not in one.get("/").text
        assert one.get("/runs/more/other").status_code == 404

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("run.json", '{"run_id": "fin'),
            ("run.json", '{"run_id": "x", "from_a_newer_version": 1}'),
        ],
    )
    def test_a_damaged_run_is_told_and_hides_no_other(self, root, desk, name, content):
        rewrite(root, "finished", name, content)
        page = desk.get("/")
        assert page.status_code == 200
        assert "unreadable" in text_of(page)
        assert "/runs/digits/asks" in page.text
        one = desk.get("/runs/digits/finished")
        assert one.status_code == 500
        assert "This run cannot be read" in text_of(one)

    def test_an_outcome_of_a_newer_version_is_read(self, root, desk):
        rewrite(root, "finished", "outcome.json", '{"status": "finished", "from_a_newer_version": 1}')
        assert desk.get("/runs/digits/finished").status_code == 200
        assert "unreadable" not in text_of(desk.get("/"))

    @pytest.mark.parametrize("created", [1e20, -1e20, float("nan"), float("inf"), "12", "1e400"])
    def test_a_date_that_no_calendar_has_hides_no_run(self, root, desk, created):
        change_json(root / "digits/finished/run.json", created=created)
        listed = desk.get("/")
        assert (listed.status_code, text_of(listed).count("unreadable")) == (200, 1)
        assert "run.json is torn, or of another version" in text_of(listed)
        assert "This run cannot be read" in text_of(desk.get("/runs/digits/finished"))
        assert len(re.findall(r'<a href="/runs/digits/', desk.get("/").text)) == 3

    def test_a_damaged_question_hides_no_run(self, root, desk):
        (question,) = (root / "digits/asks/reviews").glob("*.question.json")
        question.write_text('{"number": "nine"}')
        page = desk.get("/")
        assert page.status_code == 200
        assert len(re.findall(r'<a href="/runs/digits/', page.text)) == 3

    def test_an_answer_takes_a_run_from_the_top(self, root, desk):
        Run.open("asks", root_dir=root).answer("go")
        page = desk.get("/")
        assert "waiting for an answer" not in text_of(page)
        assert "answered" in text_of(page)


class TestRun:
    def test_a_run_that_asks(self, desk):
        text = text_of(desk.get(ASKS))
        assert "Go on with the training?" in text
        assert "plateau(val_loss, patience=2) since the last review" in text
        assert "paused" in text
        assert re.search(r"Best val_loss 0\.5 epoch 1", text)
        assert re.search(r"process_data \w+ .*train_epoch \w+ .*validate \w+ ×4", text)
        assert "width 64" in text

    def test_a_question_that_was_passed_over_is_not_open(self, root, desk):
        (question,) = (root / "digits/asks/reviews").glob("*.question.json")
        older = {**json.loads(question.read_text()), "number": 3, "text": "Is this still asked?"}
        question.with_name("00000003.question.json").write_text(json.dumps(older))
        text = text_of(desk.get(ASKS))
        assert re.search(
            r"Questions and answers Go on with .* open Is this still asked\? .* passed over", text
        )

    def test_its_commits_are_those_on_disk(self, root, desk):
        text = text_of(desk.get(ASKS))
        assert re.search(r"3 last 16 \d+\.\d kB \w+ \d\d, \d\d:\d\d 2 12 .* 1 best 8 ", text)
        for checkpoint in (root / "digits/asks/checkpoints").iterdir():
            checkpoint.unlink()
        assert "No checkpoint is on disk" in text_of(desk.get(ASKS))

    def test_a_finished_run_says_why(self, desk):
        page = desk.get("/runs/digits/finished")
        assert "Stopped: max_epochs=3 was reached" in text_of(page)
        assert "<form" not in page.text

    def test_a_failed_run_shows_its_error(self, desk):
        text = text_of(desk.get("/runs/digits/failed"))
        assert f"RuntimeError: a shape of {EVIL['image']}" in text

    def test_an_interrupted_run_says_how_to_go_on(self, root, desk):
        (root / "digits/finished/outcome.json").unlink()
        change_json(
            root / "digits/finished/run.json",
            launch={"command": ["python", "train it.py"], "folder": "/a", "environment": {"X": "1 2"}},
        )
        page = desk.get("/runs/digits/finished")
        assert "goes on after epoch 2" in text_of(page)
        assert "cd /a && X='1 2' python 'train it.py'" in text_of(page)

    def test_a_run_that_no_tracker_recorded(self, root, desk):
        train("untracked", 1, root, tracker=False)
        assert "did not record this run" in text_of(desk.get("/runs/digits/untracked"))

    def test_a_run_that_trains_right_now(self, root, desk):
        folder = RunFolder(root, "digits", "finished")
        folder.clear_outcome()
        lock = RunLock(folder.lock, "finished")
        lock.acquire()
        try:
            assert "running" in text_of(desk.get("/runs/digits/finished"))
        finally:
            lock.release()
        assert "interrupted" in text_of(desk.get("/runs/digits/finished"))

    def test_rows_that_cannot_be_read(self, root, desk):
        change_json(root / "digits/finished/run.json", persister="InMemoryPersister")
        page = desk.get("/runs/digits/finished")
        assert page.status_code == 200
        assert "Its rows cannot be read." in text_of(page)
        assert "InMemoryPersister" in text_of(page)
        assert desk.get("/runs/digits/finished/charts").json()["panels"] == []

    def test_a_run_before_its_first_row(self, root, desk):
        folder = RunFolder(root, "digits", "new")
        folder.create()
        folder.write_info(RunInfo("new", "digits", None, None, 0.0))
        assert desk.get("/runs/digits/new").status_code == 200
        assert desk.get("/").status_code == 200

    def test_a_run_that_is_deleted_meanwhile(self, root, desk):
        assert desk.get(ASKS).status_code == 200
        shutil.rmtree(root / "digits/asks")
        assert desk.get(ASKS).status_code == 404
        assert desk.get(f"{ASKS}/parts").status_code == 404
        assert desk.post(f"{ASKS}/answer", data={"key": ""}).status_code == 404

    @pytest.mark.parametrize(
        "address",
        [
            "/runs/digits/..%2ffinished",
            "/runs/..%2f..%2fetc/passwd",
            "/runs/%2e%2e/%2e%2e",
            "/runs/../digits/asks",
            "/runs/*/asks",
            "/runs/digits/*",
            "/runs/digits/as",
            "/runs/digits/asks%00",
            "/runs/digits/latest",
            "/static/../app.py",
            "/static/..%2fapp.py",
            "/static/charts/widgetbundle.js",
            "/static/charts/..%2f__init__.py",
            "/docs",
            "/openapi.json",
            "/burr/projects",
        ],
    )
    def test_what_is_no_page_of_a_run_is_not_found(self, desk, address):
        response = desk.get(address)
        assert response.status_code == 404
        assert "root" not in Parsed(response.text).text

    def test_metrics_that_are_not_finite(self, root, desk):
        module = ScriptedModule(val_loss=[0.5, float("nan"), float("inf"), 0.4], acc=[1e-9, 1.0])
        train("odd", 4, root, module)
        page = desk.get("/runs/digits/odd")
        assert page.status_code == 200
        charts = json.loads(desk.get("/runs/digits/odd/charts").text, parse_constant=pytest.fail)
        loss, acc = charts["panels"]
        assert loss["curves"][0]["y"] == [0.5, None, None, 0.4]
        assert charts["best"] == {"epoch": 3, "value": 0.4, "metric": "val_loss"}
        assert (loss["log"], acc["log"]) == (False, True)


class TestCurves:
    def test_what_measures_the_same_shares_a_panel(self, desk):
        charts = desk.get(f"{ASKS}/charts").json()
        (loss,) = charts["panels"]
        assert loss["label"] == "loss"
        assert {curve["name"]: curve["role"] for curve in loss["curves"]} == {
            "val_loss": "val",
            "train_loss": "train",
        }
        of_val = next(curve for curve in loss["curves"] if curve["monitored"])
        assert (of_val["x"], of_val["y"]) == ([0, 1, 2, 3], [0.9, 0.5, 0.6, 0.7])
        assert charts["best"] == {"epoch": 1, "value": 0.5, "metric": "val_loss"}
        assert charts["ended"] is None

    def test_where_it_ended_is_marked(self, desk):
        assert desk.get("/runs/digits/finished/charts").json()["ended"] == 2


class TestEscaping:
    def assert_harmless(self, page):
        parsed = Parsed(page.text)
        for tag, attributes in parsed.elements:
            handlers = [name for name in attributes if name.startswith("on") or name == "style"]
            assert handlers == [], (tag, attributes)
            if tag in KINDS:
                assert tag == "script"
                assert attributes.get("src", "").startswith("/static/")
            links = [attributes[name] for name in ("href", "src", "action") if name in attributes]
            assert all(link.startswith(("/", "#")) for link in links), (tag, attributes)

    @pytest.fixture
    def evil(self, root):
        """A run of which everything that can be is somebody's attack; its folder has a harmless name."""
        metrics = {"val_loss": [0.9, 0.5, 0.6, 0.7], **{name: [1.0] for name in EVIL.values()}}
        from burr_lightning.conditions import plateau

        train("evil", 8, root, ScriptedModule(**metrics), review_when=plateau("val_loss", patience=2))
        run = root / "digits" / "evil"
        everything = " ".join(EVIL.values())
        change_json(
            run / "run.json",
            run_id=EVIL["image"],
            project=EVIL["script"],
            launch={"command": ["python", EVIL["link"]], "folder": EVIL["script"], "environment": {}},
        )
        (question,) = (run / "reviews").glob("*.question.json")
        field = {"name": EVIL["link"], "kind": "str", "required": True, "options": [EVIL["image"]]}
        free = {"name": EVIL["script"], "kind": everything, "required": False, "options": None}
        change_json(question, text=everything, reason=everything, action=EVIL["link"], fields=[field, free])
        RunFolder(root, "digits", "evil").write_outcome(Outcome("paused", everything))
        return "/runs/digits/evil"

    def test_nothing_of_a_run_becomes_markup(self, desk, evil):
        for address in ("/", evil):
            page = desk.get(address)
            assert page.status_code == 200
            self.assert_harmless(page)
            assert EVIL["image"] in Parsed(page.text).text
            assert (
                "49" not in page.text.replace(EVIL["template"], "").split("<title>")[1].split("</title>")[0]
            )
        metrics = Parsed(page.text).text
        assert all(name in metrics for name in EVIL.values())

    def test_nor_in_the_parts_that_an_open_page_is_sent(self, desk, evil):
        response = desk.get(f"{evil}/parts")
        assert response.headers["content-type"] == "application/json"
        for part in response.json()["parts"].values():
            parsed = Parsed(part)
            assert not [tag for tag, _ in parsed.elements if tag in KINDS]

    def test_names_of_metrics_are_texts_of_json(self, desk, evil):
        response = desk.get(f"{evil}/charts")
        assert response.headers["content-type"] == "application/json"
        assert response.headers["x-content-type-options"] == "nosniff"
        names = {curve["name"] for panel in response.json()["panels"] for curve in panel["curves"]}
        assert set(EVIL.values()) <= names

    def test_what_is_typed_comes_back_escaped(self, desk):
        response = send(
            desk, **{"field.verdict": EVIL["script"], "comment": EVIL["image"], "by": EVIL["link"]}
        )
        assert response.status_code == 422
        self.assert_harmless(response)
        assert EVIL["image"] in Parsed(response.text).text

    def test_a_comment_of_an_answer(self, desk):
        sent = send(desk, **{"field.verdict": "go", "comment": EVIL["script"], "by": EVIL["image"]})
        assert sent.status_code == 303
        page = desk.get(ASKS)
        self.assert_harmless(page)
        assert EVIL["script"] in Parsed(page.text).text

    def test_a_folder_with_such_a_name_is_linked_as_it_is_called(self, root, desk):
        name = EVIL["image"].replace("/", "+")
        (root / "digits/finished").rename(root / "digits" / name)
        page = desk.get("/")
        self.assert_harmless(page)
        (link,) = [a["href"] for tag, a in Parsed(page.text).elements if "onerror" in a.get("href", "")]
        assert link.startswith("/runs/digits/%3Cimg%20src")
        shown = desk.get(link)
        assert shown.status_code == 200
        self.assert_harmless(shown)


HALF = "\ud800 a\udce9.png"
"""What Python makes of a file's name that is no UTF-8, and half a character, which JSON may hold."""


class TestHalfACharacter:
    """It cannot be sent: a page in which one stands shows a sign for it."""

    def assert_shown(self, desk, address, *, shown="\ufffd a\ufffd.png"):
        for where in ("/", address, f"{address}/parts", f"{address}/charts", "/runs"):
            assert desk.get(where).status_code == 200, where
        for where in ("/", address):
            assert "unreadable" not in text_of(desk.get(where))
        assert shown in text_of(desk.get(address))

    def test_in_an_error(self, root, desk):
        RunFolder(root, "digits", "failed").write_outcome(Outcome("failed", HALF))
        self.assert_shown(desk, "/runs/digits/failed")
        assert "a\ufffd.png" in text_of(desk.get("/"))

    def test_in_what_a_run_was_started_with(self, root, desk):
        launch = {"command": ["python", HALF], "folder": HALF, "environment": {"X": HALF}}
        change_json(root / "digits/finished/run.json", launch=launch, tracker=f"/{HALF}")
        self.assert_shown(desk, "/runs/digits/finished")

    def test_in_hyperparameters_and_names_of_metrics(self, root, desk):
        module = ScriptedModule(**{"val_loss": [0.5], HALF: [1.0]})
        module.save_hyperparameters({"file": HALF})
        train("half", 1, root, module, tracker=False)
        self.assert_shown(desk, "/runs/digits/half")

    def test_in_a_question_and_its_answer(self, root, desk):
        (question,) = (root / "digits/asks/reviews").glob("*.question.json")
        free = {"name": "what", "kind": "any", "required": True, "options": None}
        change_json(question, text=HALF, reason=HALF, fields=[free])
        self.assert_shown(desk, ASKS)
        assert send(desk, **{"field.what": "x"}).status_code == 303
        (answer,) = (root / "digits/asks/reviews").glob("*.answer.json")
        change_json(answer, values={"what": {"it": HALF}}, comment=HALF, by=HALF)
        self.assert_shown(desk, ASKS)
        assert re.search("Answered by \ufffd a\ufffd.png", text_of(desk.get(ASKS)))

    def test_in_the_name_of_a_folder(self, root, desk):
        (root / "digits/finished").rename(root / "digits" / "a\udce9")
        (link,) = re.findall(r'<a href="(/runs/digits/a%[^"]+)"', desk.get("/").text)
        assert link == "/runs/digits/a%E9"
        page = desk.get(link)  # its rows cannot be asked for by that name
        assert page.status_code == 500
        assert "This run cannot be read" in text_of(page)
        assert "1 waiting for an answer" in text_of(desk.get("/"))


class TestAnswering:
    def test_an_answer_is_kept_and_the_page_says_what_comes_next(self, root, desk):
        values = {"field.verdict": "go", "field.lr": " 1e-3 ", "comment": "It still falls.", "by": "maria"}
        sent = send(desk, **values)
        assert (sent.status_code, sent.headers["location"]) == (303, ASKS)
        answer = Run.open("asks", root_dir=root).reviews[-1].answer
        assert answer.values == {"verdict": "go", "lr": 0.001}
        assert (answer.comment, answer.by, answer.via) == ("It still falls.", "maria", "web page")
        text = text_of(desk.get(ASKS))
        assert re.search(r"Answered by maria\s?, 20\d\d", text)
        assert "burr-lightning work" in text
        assert "<form" not in desk.get(ASKS).text

    def test_what_is_left_out_is_not_there(self, root, desk):
        assert send(desk, **{"field.verdict": "no-go"}).status_code == 303
        answer = Run.open("asks", root_dir=root).reviews[-1].answer
        assert answer.values == {"verdict": "no-go"}
        assert answer.by

    @pytest.mark.parametrize(
        ("values", "why"),
        [
            ({}, "verdict is missing"),
            ({"field.verdict": "perhaps"}, "is none of its options"),
            ({"field.verdict": "go", "field.lr": "fast"}, "is no float"),
            ({"field.verdict": "go", "field.lr": "nan"}, "is not finite"),
            ({"field.verdict": "go", "field.more": "1"}, "does not ask for more"),
            ({"field.verdict": "go", "comment": "x" * 1001}, "1001 characters"),
            ({"field.verdict": "go", "by": "x" * 101}, "101 characters"),
        ],
    )
    def test_what_does_not_fit_is_told_and_what_was_typed_stays(self, root, desk, values, why):
        sent = send(desk, **{"comment": "I think so.", **values})
        assert sent.status_code == 422
        assert why in text_of(sent)
        inputs = [a for tag, a in Parsed(sent.text).elements if tag == "input"]
        lr = next(a["value"] for a in inputs if a.get("name") == "field.lr")
        assert lr == values.get("field.lr", "")
        chosen = [a["value"] for a in inputs if a.get("type") == "radio" and "checked" in a]
        assert chosen == [v for v in [values.get("field.verdict")] if v == "go"]
        assert values.get("comment", "I think so.") in text_of(sent)
        assert Run.open("asks", root_dir=root).question is not None

    def test_a_second_answer_comes_too_late(self, root, desk):
        form = {**form_of(desk), "field.verdict": "no-go", "comment": "Stop it."}
        Run.open("asks", root_dir=root).answer("go", by="maria")
        sent = desk.post(f"{ASKS}/answer", data=form)
        assert sent.status_code == 409
        assert "maria was faster" in text_of(sent)
        assert "Stop it." in text_of(sent)
        assert Run.open("asks", root_dir=root).reviews[-1].answer.values == {"verdict": "go"}

    def test_an_answer_to_an_older_question_is_not_taken_for_this_one(self, root, desk):
        form = {**form_of(desk), "field.verdict": "go"}
        (question,) = (root / "digits/asks/reviews").glob("*.question.json")
        newer = question.with_name("00000011.question.json")
        newer.write_text(json.dumps({**json.loads(question.read_text()), "number": 11, "text": "And now?"}))
        sent = desk.post(f"{ASKS}/answer", data=form)
        assert sent.status_code == 409
        assert "the run asks something else now" in text_of(sent)
        assert "And now?" in text_of(sent)
        assert Run.open("asks", root_dir=root).question is not None

    def test_an_answer_to_what_was_asked_there_before_is_not_taken_for_this_one(self, root, desk):
        """The same step of the machine may ask something else after a run was trained anew from before it."""
        form = {**form_of(desk), "field.verdict": "go", "field.lr": "0.5", "comment": "It learns."}
        reviews = Reviews(RunFolder(root, "digits", "asks"))
        before = reviews.newest().question
        now = replace(before, text="Stop at once?")
        reviews.ask(now)
        sent = desk.post(f"{ASKS}/answer", data=form)
        assert sent.status_code == 409
        text = text_of(sent)
        assert "the run asks something else now" in text
        assert "What you had typed: lr 0.5, verdict go" in text
        assert "It learns." in text
        inputs = [a for tag, a in Parsed(sent.text).elements if tag == "input"]
        assert not [a for a in inputs if "checked" in a and a["value"]]
        assert Run.open("asks", root_dir=root).reviews[-1].answer is None
        assert form_of(desk)["key"] != form["key"]
        assert form_of(desk)["question"] == now.fingerprint != before.fingerprint
        assert desk.get(f"{ASKS}/parts").json()["question"] == now.fingerprint
        again = desk.post(f"{ASKS}/answer", data={**form, "question": now.fingerprint})
        assert again.status_code == 403
        assert Run.open("asks", root_dir=root).question is not None

    def test_a_question_that_changes_while_the_answer_is_written(self, root, desk, monkeypatch):
        form = {**form_of(desk), "field.verdict": "go"}
        reviews = Reviews(RunFolder(root, "digits", "asks"))
        newer = replace(reviews.newest().question, text="Stop at once?")
        parsed = Question.parsed

        def meanwhile(question, *given):
            reviews.ask(newer)
            return parsed(question, *given)

        monkeypatch.setattr(Question, "parsed", meanwhile)
        sent = desk.post(f"{ASKS}/answer", data=form)
        assert sent.status_code == 409
        assert "asks something else now: 'Stop at once?'" in text_of(sent)
        assert Run.open("asks", root_dir=root).question == newer

    def test_a_run_that_failed_beside_its_answer_keeps_it(self, root, desk):
        Run.open("asks", root_dir=root).answer("go", by="maria")
        RunFolder(root, "digits", "asks").write_outcome(Outcome("failed", "OSError: no room"))
        page = desk.get(ASKS)
        assert "It failed." in text_of(page)
        assert "Answered by maria" in text_of(page)
        assert "<form" not in page.text

    def test_where_nothing_can_be_written_it_says_so(self, root, desk, monkeypatch):
        def fail(*_, **__):
            raise OSError(30, "Read-only file system")

        monkeypatch.setattr("burr_lightning.reviews.write_json", fail)
        sent = send(desk, **{"field.verdict": "go"})
        assert sent.status_code == 507
        assert "Read-only file system" in text_of(sent)
        assert str(root / "digits/asks") in text_of(sent)

    def test_truths_and_json_have_their_inputs(self, root, desk):
        (question,) = (root / "digits/asks/reviews").glob("*.question.json")
        kinds = {"sure": "bool", "layers": "int", "more": "any", "comment": "str"}
        fields = [{"name": n, "kind": k, "required": n == "sure", "options": None} for n, k in kinds.items()]
        change_json(question, fields=fields)
        form = form_of(desk)
        assert set(form) == {"key", "question", "field.layers", "field.more", "field.comment", "by"}
        values = {"field.sure": "no", "field.layers": "3", "field.more": "[1, 2]", "field.comment": "ok"}
        assert send(desk, **values).status_code == 303
        answer = Run.open("asks", root_dir=root).reviews[-1].answer
        assert answer.values == {"sure": False, "layers": 3, "more": [1, 2], "comment": "ok"}

    def test_a_run_that_failed_with_its_answer_takes_another(self, root, desk):
        Run.open("asks", root_dir=root).answer("go", lr=100.0)
        reviews = Reviews(RunFolder(root, "digits", "asks"))
        reviews.set_aside(reviews.all()[0].question)  # as the process does when it fails with it
        RunFolder(root, "digits", "asks").write_outcome(Outcome("failed", "ValueError: a rate of 100"))
        text = text_of(desk.get(ASKS))
        assert "It failed." in text
        assert "Go on with the training?" in text
        assert send(desk, **{"field.verdict": "no-go"}).status_code == 303
        assert Run.open("asks", root_dir=root).reviews[-1].answer.values == {"verdict": "no-go"}

    def test_the_run_goes_on_with_it(self, root, desk, own_home):
        send(desk, **{"field.verdict": "go", "field.lr": "0.5"})
        burr = train_until_it_asks(root)
        assert burr.run.status == "finished"
        page = desk.get(ASKS)
        assert "Stopped: max_epochs=8 was reached" in text_of(page)
        assert re.search(r"lr 0\.5 .*verdict go|verdict go .*lr 0\.5", text_of(page))
        assert desk.get(f"{ASKS}/charts").json()["reviews"] == [3]


class TestLive:
    @pytest.mark.parametrize("address", [f"{ASKS}/parts", f"{ASKS}/charts", "/runs"])
    def test_what_has_not_changed_is_not_sent_again(self, desk, address):
        first = desk.get(address)
        again = desk.get(address, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")

    def test_a_page_begins_with_the_version_that_it_shows(self, desk):
        for address, live in (("/", "/runs"), (ASKS, f"{ASKS}/parts")):
            attributes = next(a for _, a in Parsed(desk.get(address).text).elements if "data-live" in a)
            assert attributes["data-live"] == live
            again = desk.get(live, headers={"If-None-Match": attributes["data-version"]})
            assert again.status_code == 304

    def changed(self, root, desk, change):
        before = desk.get(f"{ASKS}/parts")
        change()
        after = desk.get(f"{ASKS}/parts", headers={"If-None-Match": before.headers["etag"]})
        assert after.status_code == 200
        parts = {name: (before.json()["parts"][name], part) for name, part in after.json()["parts"].items()}
        return {name for name, (was, is_now) in parts.items() if was != is_now}

    def test_an_answer(self, root, desk):
        changed = self.changed(root, desk, lambda: Run.open("asks", root_dir=root).answer("go"))
        assert changed == {"status", "question", "reviews"}

    def test_another_commit(self, root, desk, own_home):
        Run.open("asks", root_dir=root).answer("go")
        changed = self.changed(root, desk, lambda: train_until_it_asks(root))
        assert {"status", "numbers", "commits", "time"} <= changed

    def test_an_outcome(self, root, desk):
        folder = RunFolder(root, "digits", "asks")
        assert "status" in self.changed(root, desk, lambda: folder.write_outcome(Outcome("failed", "no")))

    def test_a_step_that_was_begun(self, root, desk):
        tracker = json.loads((root / "digits/asks/run.json").read_text())["tracker"]
        moved = root.parent / "tracker"
        shutil.copytree(tracker, moved)
        change_json(root / "digits/asks/run.json", tracker=str(moved))
        entry = {"type": "begin_entry", "start_time": "2026-01-01T00:00:00", "action": "think"}

        def begin():
            with open(moved / "log.jsonl", "a") as log:
                log.write(json.dumps({**entry, "sequence_id": 99, "inputs": {}}) + "\n")

        assert self.changed(root, desk, begin) == {"time"}

    def test_a_run_that_is_as_it_was_is_read_from_memory(self, root, desk, monkeypatch):
        desk.get("/")
        monkeypatch.setattr(
            "burr_lightning.rows.StateRows.newest", lambda _: pytest.fail("it was read again")
        )
        assert desk.get(ASKS).status_code == 200
        assert desk.get("/").status_code == 200

    def test_a_run_that_begins_anew_under_the_same_name_is_read_anew(self, root, desk, own_home):
        assert "Best val_loss 0.25" in text_of(desk.get("/runs/digits/finished"))
        shutil.rmtree(root / "digits/finished")
        os.unlink(root / "state.sqlite")
        train("finished", 3, root, ScriptedModule(val_loss=[0.9, 0.125, 0.5]))
        assert "Best val_loss 0.125" in text_of(desk.get("/runs/digits/finished"))
