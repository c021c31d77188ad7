"""What Burr's page is told of a long run: the newest steps, and nothing read twice."""

import asyncio
import json
from types import SimpleNamespace

import pytest
from burr.tracking.server import schema
from burr.tracking.server.backend import LocalBackend
from fastapi import FastAPI
from long_log import METRICS, LongRun
from starlette.testclient import TestClient
from test_step_log import bytes_read

from burr_lightning.desk.burr_log import STEPS, NotTrackedError, RunLogs
from burr_lightning.desk.burr_pages import _server, burr_app
from burr_lightning.desk.burr_routes import LOG, PAGE, RUNS, log_routes
from burr_lightning.desk.log_window import count_steps, number_of, read_window
from burr_lightning.steps import log_entry

pytestmark = pytest.mark.filterwarnings(
    "ignore::pydantic.warnings.PydanticDeprecatedSince20"
)  # Burr's server
server = _server()
RUN = "/api/v0/digits/long/digits"


@pytest.fixture
def run(tmp_path):
    """A run with steps 0 to 60."""
    return LongRun(tmp_path / "runs", "long", epochs=30)


@pytest.fixture
def tracked(own_home):
    return own_home / "home" / ".burr"


@pytest.fixture
def client(tracked, run, monkeypatch):
    """Burr's addresses, with 10 steps at once."""
    monkeypatch.setattr("burr_lightning.desk.burr_log.RunLogs.__init__.__defaults__", (10,))
    app = FastAPI()
    app.include_router(log_routes(burr_at(tracked)))
    return TestClient(app)


def burr_at(folder, backend=LocalBackend):
    """Burr's server as it is when it was started for that folder."""
    key = server.SENTINEL_PARTITION_KEY
    return SimpleNamespace(backend=backend(str(folder)), schema=schema, SENTINEL_PARTITION_KEY=key)


def numbers(answer):
    return [step["step_start_log"]["sequence_id"] for step in answer.json()["steps"]]


def of_lines(window):
    return sorted({number_of(log_entry(line)) for line in window.lines})


class TestWindow:
    def test_all_steps_are_there_where_they_are_few(self, run):
        window = read_window(run.log, 61)
        assert window.lines == tuple(run.log.read_bytes().splitlines())
        assert (window.first, window.end, window.steps, window.has_older) == (0, 61, 61, False)

    def test_of_many_the_newest_are(self, run):
        window = read_window(run.log, 7)
        assert of_lines(window) == [54, 55, 56, 57, 58, 59, 60]
        assert (window.first, window.end, window.steps, window.has_older) == (54, 61, 61, True)

    @pytest.mark.parametrize("before", range(1, 62))
    def test_older_ones_come_before_any_step(self, run, before):
        window = read_window(run.log, 3, before)
        assert of_lines(window) == [*range(max(0, before - 3), before)]
        assert (window.end, window.steps, window.has_older) == (before, 61, before > 3)

    def test_a_line_that_begins_where_the_file_is_halved_is_found(self, tmp_path):
        entries = (f'{{"type": "begin_entry", "sequence_id": {number}' for number in range(64))
        (tmp_path / "log.jsonl").write_text("".join(f"{entry:62}}}\n" for entry in entries))
        for before in range(1, 65):
            assert of_lines(read_window(tmp_path / "log.jsonl", 1, before)) == [before - 1]

    def test_marked_ones_are_there_once(self, run):
        window = read_window(run.log, 3, marked=[59, 2, 0, 100, -1])
        assert of_lines(window) == [0, 2, 58, 59, 60]
        assert window.marked == (0, 2)
        lines = [line for line in run.log.read_bytes().splitlines() if number_of(log_entry(line)) in (0, 2)]
        assert list(window.lines[: len(lines)]) == lines

    @pytest.mark.parametrize("block", [7, 100, 4096])
    def test_however_much_is_read_at_once(self, run, block, monkeypatch):
        monkeypatch.setattr("burr_lightning.desk.log_window._BLOCK", block)
        assert read_window(run.log, 99).lines == tuple(run.log.read_bytes().splitlines())

    def test_a_line_that_is_being_written_is_left_out(self, run):
        whole = read_window(run.log, 5)
        with run.log.open("ab") as log:
            log.write(b'{"type":"begin_entry","start_time":"2026-')
        assert read_window(run.log, 5) == whole
        assert count_steps(run.log) == 61

    @pytest.mark.parametrize(
        "content", [b"", b"\n", b"[]\n17\nnull\n", b'{"type":7}\n{"type":"x"}\n', b"\xff\n"]
    )
    def test_what_is_no_log_has_no_steps(self, tmp_path, content):
        (tmp_path / "log.jsonl").write_bytes(content)
        assert read_window(tmp_path / "log.jsonl", 5, marked=[1]).lines == ()
        assert read_window(tmp_path / "log.jsonl", 5, before=3).lines == ()
        assert count_steps(tmp_path / "log.jsonl") == 0

    def test_where_there_is_no_log_there_are_no_steps(self, tmp_path):
        assert read_window(tmp_path / "log.jsonl", 5).lines == ()
        assert count_steps(tmp_path / "log.jsonl") == 0

    def test_what_is_older_is_not_read(self, tmp_path):
        run = LongRun(tmp_path / "runs", "longer", epochs=1000)
        size = run.log.stat().st_size
        for options in ({}, {"before": 500}, {"marked": [7]}):
            before = bytes_read()
            assert read_window(run.log, 10, **options).steps == 2001
            assert bytes_read() - before < size / 4
        before = bytes_read()
        assert count_steps(run.log) == 2001
        assert bytes_read() - before < size / 8


class TestAnswer:
    def test_it_is_burrs_own_where_all_steps_are_in_it(self, client, run, tracked, tmp_path):
        LongRun(tmp_path / "runs", "child", 1, fork_of=("long", 58))
        for run_id in ("long", "child"):
            theirs = asyncio.run(LocalBackend(str(tracked)).get_application_logs(None, "digits", run_id, "x"))
            ours = RunLogs(tracked, schema, 99).answer("digits", run_id)
            assert json.loads(ours.body) == json.loads(theirs.model_dump_json())
        assert json.loads(ours.body)["parent_pointer"]["sequence_id"] == 58

    def test_the_newest_steps_are_in_it(self, client):
        answer = client.get(f"{RUN}/apps")
        assert numbers(answer) == [*range(51, 61)]
        shown = {"first": 51, "end": 61, "steps": 61, "most": 10, "older": True}
        assert client.get(f"{RUN}/shown").json() == shown

    def test_metrics_are_attributes_of_their_steps(self, client):
        steps = client.get(f"{RUN}/apps").json()["steps"]
        assert [attribute["key"] for attribute in steps[-1]["attributes"]] == METRICS
        assert steps[-1]["streaming_events"][-1]["items_streamed"] == 2

    def test_older_ones_are_asked_for(self, client):
        assert numbers(client.get(f"{RUN}/apps?before=20")) == [*range(10, 20)]
        assert client.get(f"{RUN}/shown?before=20").json()["first"] == 10

    @pytest.mark.parametrize(
        ("page", "newest"),
        [
            ("http://desk/burr/project/digits/digits/long?before=20&tab=data", 19),
            ("http://desk/burr/project/digits/digits/lo%6Eg?before=20", 19),
            ("http://desk/burr/project/digits/digits/parent?before=20", 60),
            ("http://desk/burr/project/digits/digits/long", 60),
            ("http://desk/burr/project/digits/digits/long?before=", 60),
            ("http://desk/burr/project/digits/digits/long?before=-3", 60),
            ("http://desk/burr/project/digits/digits/long?before=0", 60),
            ("http://desk/burr/project/digits/digits/long?before=x", 60),
            (f"http://desk/burr/project/digits/digits/long?before={'9' * 5000}", 60),
            ("http://desk/burr/project/digits/digits/long?before=²", 60),
            ("http://[desk/?before=20", 60),
            ("before=20", 60),
        ],
    )
    def test_older_ones_are_asked_for_by_the_page_that_asks(self, client, page, newest):
        answer = client.get(f"{RUN}/apps", headers={"Referer": page.encode()})
        assert numbers(answer)[-1] == newest

    def test_steps_that_forks_left_from_are_in_it(self, client, tmp_path):
        LongRun(tmp_path / "runs", "child", 1, fork_of=("long", 4))
        answer = client.get(f"{RUN}/apps")
        assert numbers(answer) == [4, *range(51, 61)]
        assert [child["sequence_id"] for child in answer.json()["children"]] == [4]

    def test_steps_with_a_note_are_in_it(self, client, tracked):
        notes = [{"app_id": "long", "step_sequence_id": 6}, {"app_id": "other", "step_sequence_id": 8}]
        (tracked / "digits" / "annotations.jsonl").write_text("".join(f"{json.dumps(n)}\n" for n in notes))
        assert numbers(client.get(f"{RUN}/apps")) == [6, *range(51, 61)]

    def test_a_fork_has_no_steps_before_its_first(self, client, tmp_path):
        LongRun(tmp_path / "runs", "child", 2, fork_of=("long", 4))
        shown = client.get("/api/v0/digits/child/digits/shown").json()
        assert (shown["first"], shown["end"], shown["older"]) == (5, 9, False)

    def test_a_run_without_a_log_has_no_steps(self, client, run):
        run.log.unlink()
        assert client.get(f"{RUN}/apps").json()["steps"] == []

    @pytest.mark.parametrize("run_id", ["nothing", "a%00b", "n" * 5000])
    def test_a_run_that_is_not_there_is_not_found(self, client, run_id):
        assert client.get(f"/api/v0/digits/{run_id}/digits/apps").status_code == 404

    def test_a_run_whose_graph_is_not_there_yet_is_not_found(self, client, run, tracked):
        (run.folder / "graph.json").unlink()
        with pytest.raises(NotTrackedError):
            RunLogs(tracked, schema).answer("digits", "long")


class TestAskedAgain:
    def test_an_unchanged_log_is_not_read_again(self, tracked, run):
        logs = RunLogs(tracked, schema)
        answer = logs.answer("digits", "long")
        before = bytes_read()
        for _ in range(20):
            assert logs.answer("digits", "long") is answer
        assert bytes_read() - before < run.log.stat().st_size / 10

    def test_who_has_the_answer_is_not_sent_it(self, client):
        tag = client.get(f"{RUN}/apps").headers["etag"]
        again = client.get(f"{RUN}/apps", headers={"If-None-Match": tag})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        other = client.get(f"{RUN}/apps?before=20", headers={"If-None-Match": tag})
        assert (other.status_code, numbers(other)[-1]) == (200, 19)

    def test_a_longer_log_is(self, client, run):
        tag = client.get(f"{RUN}/apps").headers["etag"]
        run.go_on(1)
        assert numbers(client.get(f"{RUN}/apps", headers={"If-None-Match": tag}))[-1] == 62

    @pytest.mark.parametrize(
        "name", ["children.jsonl", "metadata.json", "graph.json", "../annotations.jsonl"]
    )
    def test_a_change_beside_the_log_is_too(self, client, run, name):
        tag = client.get(f"{RUN}/apps").headers["etag"]
        path = run.folder / name
        path.write_text((path.read_text() if path.exists() else "") + "\n")
        assert client.get(f"{RUN}/apps").headers["etag"] != tag

    def test_a_log_that_was_shortened_is(self, client, run):
        client.get(f"{RUN}/apps")
        lines = run.log.read_bytes().splitlines(keepends=True)
        run.log.with_suffix(".tmp").write_bytes(b"".join(lines[:-50]))
        run.log.with_suffix(".tmp").replace(run.log)
        assert numbers(client.get(f"{RUN}/apps"))[-1] < 60

    def test_it_is_sent_small_to_who_can_read_it(self, client):
        small = client.get(f"{RUN}/apps", headers={"Accept-Encoding": "gzip"})
        plain = client.get(f"{RUN}/apps", headers={"Accept-Encoding": "identity"})
        assert small.json() == plain.json()
        assert int(small.headers["content-length"]) < int(plain.headers["content-length"]) / 4

    def test_few_answers_are_kept(self, tracked, run):
        logs = RunLogs(tracked, schema)
        for before in range(1, 40):
            logs.answer("digits", "long", before)
        assert len(logs._kept) < 10


class TestRuns:
    def test_burrs_list_says_how_many_steps_a_run_has(self, client, tracked):
        theirs = asyncio.run(LocalBackend(str(tracked)).list_apps(None, "digits", "digits"))[0]
        ours = client.get("/api/v0/digits/digits/apps").json()
        assert [app["num_steps"] for app in ours["applications"]] == [app.num_steps for app in theirs] == [61]
        assert (ours["total"], ours["has_another_page"]) == (1, False)
        assert client.get("/api/v0/digits/__none__/apps").json()["total"] == 1
        assert client.get("/api/v0/digits/other/apps").json()["total"] == 0

    def test_it_is_there_though_a_log_is_torn_or_gone(self, client, run):
        run.log.write_bytes(run.log.read_bytes()[:-9])
        assert client.get("/api/v0/digits/digits/apps").json()["applications"][0]["num_steps"] == 61
        run.log.unlink()
        assert client.get("/api/v0/digits/digits/apps").json()["applications"][0]["num_steps"] == 0


class TestBurr:
    """What is asked of Burr's server, private names included."""

    def test_its_routes_are_still_the_ones_that_are_taken_over(self):
        routes = {route.path: route.endpoint.__name__ for route in burr_routes()}
        assert routes[LOG] == "get_application_logs"
        assert routes[RUNS] == "get_apps"
        assert routes[PAGE] == "react_app"
        assert hasattr(server, "SENTINEL_PARTITION_KEY")

    def test_its_backend_still_counts_steps_where_that_is_taken_over(self):
        assert hasattr(LocalBackend, "get_number_of_steps")
        assert LocalBackend("here").path == "here"

    def test_its_answer_still_has_the_parts_that_are_filled_in(self):
        parts = ["application", "children", "steps", "parent_pointer", "spawning_parent_pointer"]
        assert list(schema.ApplicationLogs.model_fields) == parts
        assert schema.Step.from_logs([]) == []

    def test_ours_are_asked_before_its_own(self, run, tracked, monkeypatch):
        monkeypatch.setattr(server.backend, "path", str(tracked))
        monkeypatch.setattr(server.backend, "get_application_logs", None)
        monkeypatch.setattr(server.backend, "list_apps", None)
        client = TestClient(burr_app())
        assert numbers(client.get(f"{RUN}/apps")) == [*range(61)]
        assert client.get("/api/v0/digits/digits/apps").json()["total"] == 1
        assert "/static/burr_steps.js" in client.get("/project/digits/digits/long").text

    def test_a_backend_of_another_kind_is_left_alone(self, tmp_path):
        class Other(LocalBackend):
            pass

        assert log_routes(burr_at(tmp_path, Other)).routes == []


def burr_routes():
    return [
        route for route in server.create_burr_ui_app(serve_static=True).routes if hasattr(route, "endpoint")
    ]


def test_a_page_gets_as_many_steps_as_it_can_show_at_once(tmp_path, tracked):
    run = LongRun(tmp_path / "runs", "longer", epochs=STEPS)
    answer = RunLogs(tracked, schema).answer("digits", "longer")
    assert len(json.loads(answer.body)["steps"]) == STEPS
    assert len(answer.body) < 2_000_000
    assert len(answer.zipped) < 250_000
    assert answer.window.first == 2 * run.epochs + 1 - STEPS
