"""Who may see the web page, and who may send it something."""

import base64
import hashlib
import logging
import re
import socket
import sys
from urllib.parse import urlsplit

import pytest
from at_work import DEADLINE
from click.testing import CliRunner
from desk_runs import make_store
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient
from test_desk import ASKS, form_of, open_desk, text_of

from burr_lightning import Run
from burr_lightning.cli import main
from burr_lightning.desk import create_app
from burr_lightning.desk.addresses import host_of, names_of
from burr_lightning.desk.options import DeskOptionError
from burr_lightning.desk.serving import _address, _listening, _Once
from burr_lightning.errors import MissingExtraError

TOKEN = "a-token-of-this-test"
BEHIND = [
    "/",
    "/runs",
    ASKS,
    f"{ASKS}/parts",
    f"{ASKS}/charts",
    "/static/desk.css",
    "/static/charts/plotly.min.js",
]
BEHIND += ["/burr/", "/burr/ready", "/burr/api/v0/projects", "/burr/public/logo.png", "/nothing"]
HOST = "http://127.0.0.1:7242"
PIECES = [
    "localhost",
    "127.0.0.1",
    "[::1]",
    "::1",
    "[",
    "]",
    ":",
    ".",
    "@",
    "/",
    "7242",
    "evil.org",
    "\u017f",
]


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Runs that tests only read."""
    return make_store(tmp_path_factory.mktemp("stored"))


@pytest.fixture(scope="module")
def whole(stored):
    """The desk, with Burr's page."""
    with TestClient(create_app(stored), base_url=HOST, follow_redirects=False) as client:
        yield client


@pytest.fixture
def closed(stored):
    """A desk that asks for a token, with Burr's page."""
    app = create_app(stored, token=TOKEN, hosts=names_of("0.0.0.0"))
    return TestClient(app, base_url=HOST, follow_redirects=False)


def cookie_name(client, token=TOKEN):
    """What its cookie is called; it has none afterwards."""
    response = client.get(f"/?token={token}", follow_redirects=False)
    client.cookies.clear()
    return response.headers["set-cookie"].partition("=")[0]


@pytest.fixture
def desk(stored):
    return open_desk(stored)


class TestToken:
    @pytest.mark.parametrize("address", BEHIND)
    def test_everything_is_behind_it(self, closed, address):
        for headers in ({}, {"Authorization": f"Bearer {TOKEN}x"}, {"Cookie": f"{cookie_name(closed)}=x"}):
            response = closed.get(address, headers=headers)
            assert response.status_code == 401
            assert "asks" not in response.text
            assert TOKEN not in response.text
        assert closed.get(f"{address}?token={TOKEN[:-1]}").status_code == 401
        assert closed.get(f"{address}?token=").status_code == 401

    def test_a_post_without_it_changes_nothing(self, closed, stored):
        for address in (f"{ASKS}/answer?token={TOKEN}", "/burr/api/v0/digits/asks/digits/1/annotations"):
            assert closed.post(address, data={"field.verdict": "go"}).status_code == 401
        assert Run.open("asks", root_dir=stored).question is not None

    def test_it_is_taken_from_the_address_once(self, closed):
        response = closed.get(f"{ASKS}?a=1&token={TOKEN}&b=2")
        assert (response.status_code, response.headers["location"]) == (303, f"{ASKS}?a=1&b=2")
        cookie = response.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "Secure" not in cookie
        assert "SameSite=lax" in cookie
        assert TOKEN not in cookie
        assert closed.get(ASKS).status_code == 200  # the client keeps the cookie
        assert closed.get("/burr/api/v0/projects").status_code == 200

    def test_behind_a_proxy_that_encrypts_the_cookie_is_sent_only_encrypted(self, closed):
        response = closed.get(f"/?token={TOKEN}", headers={"X-Forwarded-Proto": "https"})
        assert "Secure" in response.headers["set-cookie"]

    def test_two_desks_of_one_machine_have_a_cookie_each(self, closed, stored):
        other = TestClient(create_app(stored, token=f"{TOKEN}2", burr=False), base_url=HOST)
        names = {cookie_name(closed), cookie_name(other, f"{TOKEN}2")}
        assert len(names) == 2
        assert cookie_name(closed) in names
        assert all(re.fullmatch("burr_lightning_desk_[0-9a-f]{8}", name) for name in names)

    @pytest.mark.parametrize(
        "token",
        ["", "short", "x" * 15, "ein-schlüssel-der-lang-ist", "with a space in the token", "x" * 16 + "\n"],
    )
    def test_what_is_no_token_opens_nothing(self, stored, token):
        with pytest.raises(DeskOptionError) as raised:
            create_app(stored, token=token, burr=False)
        assert not token or token not in str(raised.value)

    def test_the_way_back_stays_on_this_server(self, closed):
        response = closed.get(f"{HOST}//evil.org/?token={TOKEN}")
        assert response.headers["location"] == "/evil.org/"

    def test_programs_send_it_in_a_header(self, closed):
        assert closed.get(ASKS, headers={"Authorization": f"bearer {TOKEN}"}).status_code == 200
        assert closed.get(ASKS, headers={"Authorization": f"Basic {TOKEN}"}).status_code == 401

    def test_a_cookie_of_another_token_opens_nothing(self, closed, stored):
        other = TestClient(create_app(stored, token=f"{TOKEN}2", burr=False), base_url=HOST)
        other.get(f"/?token={TOKEN}2")
        (cookie,) = other.cookies.values()
        assert other.get("/").status_code == 200
        headers = {"Cookie": f"{cookie_name(closed)}={cookie}"}
        assert closed.get("/", headers=headers).status_code == 401

    def test_the_log_says_it_once_and_holds_no_token(self, stored, caplog, monkeypatch):
        monkeypatch.setattr("burr_lightning.desk.token._QUIET", DEADLINE)
        desk = TestClient(create_app(stored, token=TOKEN, burr=False), base_url=HOST)
        for number in range(50):
            desk.get(f"/?token=wrong-{number}")
        lines = [record.getMessage() for record in caplog.records if "token" in record.getMessage()]
        assert lines == ["A wrong token came from testclient."]

    @pytest.mark.parametrize("odd", ["é" * 20, "%ff%fe", "%00", "a" * 5000])
    def test_odd_tokens_are_wrong_ones(self, closed, odd):
        assert closed.get(f"/?token={odd}").status_code == 401


class TestHosts:
    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost:7242", "LOCALHOST", "[::1]:7242"])
    def test_names_of_this_machine(self, desk, host):
        assert desk.get("/", headers={"Host": host}).status_code == 200

    @pytest.mark.parametrize(
        "host",
        ["evil.org", "evil.org:7242", "127.0.0.1.evil.org", "localhost.evil.org", "10.0.0.5", "", "[::2]"],
    )
    def test_other_names_are_refused(self, desk, host):
        response = desk.get("/", headers={"Host": host})
        assert response.status_code == 400
        assert "asks" not in response.text

    @pytest.mark.parametrize(
        ("host", "status"), [("10.0.0.5:80", 401), ("evil.org", 400), ("[fe80::1]", 401)]
    )
    def test_where_others_reach_it_an_address_in_numbers_is_a_name(self, closed, host, status):
        assert closed.get("/", headers={"Host": host}).status_code == status

    def test_burrs_page_too(self, whole):
        assert whole.get("/burr/api/v0/projects", headers={"Host": "evil.org"}).status_code == 400

    @given(st.text(max_size=40) | st.lists(st.sampled_from(PIECES), max_size=5).map("".join))
    def test_no_text_is_taken_for_a_name_of_ours(self, text):
        ours = re.fullmatch(r"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]*)?", text, re.I | re.A)
        assert (host_of(text) in names_of("127.0.0.1")) == bool(ours)

    def test_the_name_of_a_proxy_is_one(self, stored):
        app = create_app(stored, hosts=["127.0.0.1", "Desk.example.org"], burr=False)
        client = TestClient(app, base_url="http://desk.example.org", follow_redirects=False)
        assert client.get("/").status_code == 200
        form = {**form_of(client), "field.verdict": "x"}
        for origin, status in [("https://desk.example.org", 422), ("https://evil.org", 403)]:
            headers = {"Origin": origin, "Sec-Fetch-Site": "same-origin"}
            assert client.post(f"{ASKS}/answer", data=form, headers=headers).status_code == status

    @pytest.mark.parametrize(
        "hosts", ["desk.example.org", ["https://desk.example.org"], ["*"], [""], ["a b"], [None]]
    )
    def test_what_is_no_name_is_refused(self, stored, hosts):
        with pytest.raises(DeskOptionError, match=r"desk|name"):
            create_app(stored, hosts=hosts, burr=False)


class TestForgery:
    def post(self, desk, headers, **changes):
        return desk.post(
            f"{ASKS}/answer", data={**form_of(desk), "field.verdict": "x", **changes}, headers=headers
        )

    def test_a_form_of_ours_is_read(self, desk):
        assert self.post(desk, {"Origin": HOST, "Sec-Fetch-Site": "same-origin"}).status_code == 422
        assert self.post(desk, {}).status_code == 422

    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": "https://evil.org"},
            {"Origin": "null"},
            {"Origin": ""},
            {"Origin": "http://127.0.0.1:8888"},
            {"Origin": "http://127.0.0.1.evil.org:7242"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Sec-Fetch-Site": "none"},
            {"Origin": HOST, "Sec-Fetch-Site": "cross-site"},
        ],
    )
    def test_what_another_site_sends_is_refused(self, desk, headers):
        response = self.post(desk, headers)
        assert response.status_code == 403
        assert "another site" in text_of(response)

    @pytest.mark.parametrize("key", ["", "x", "é", "0" * 64])
    def test_a_form_that_is_not_ours_is_refused(self, stored, desk, key):
        response = self.post(desk, {}, key=key, **{"field.verdict": "go"})
        assert response.status_code == 403
        assert Run.open("asks", root_dir=stored).question is not None

    def test_the_form_of_another_server_or_question_is_refused(self, stored, desk):
        assert self.post(desk, {}, key=form_of(open_desk(stored))["key"]).status_code == 403
        assert self.post(desk, {}, question="8").status_code == 403

    @pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
    def test_burrs_api_takes_nothing_of_another_site(self, whole, method):
        address = "/burr/api/v0/digits/asks/digits/1/annotations"
        response = getattr(whole, method)(address, headers={"Origin": "https://evil.org"})
        assert response.status_code == 403
        assert getattr(whole, method)(address, headers={"Origin": HOST}).status_code in (405, 422)

    def test_a_form_that_is_too_large_is_refused(self, desk):
        boundary = {"Content-Type": "multipart/form-data; boundary=x"}
        part = '--x\r\nContent-Disposition: form-data; name="comment"\r\n\r\ny\r\n--x--\r\n'
        assert desk.post(f"{ASKS}/answer", content=part, headers=boundary).status_code == 415
        assert desk.post(f"{ASKS}/answer", json={"comment": "y"}).status_code == 415
        assert self.post(desk, {}, comment="y" * 300_000).status_code == 413
        assert self.post(desk, {}, **{f"field.{number}": "" for number in range(300)}).status_code == 413

    def test_the_longest_comment_fits_in_any_script(self, desk):
        sent = self.post(desk, {}, comment="\U00020000" * 1000, by="\U00020000" * 100)
        assert sent.status_code == 422
        assert "\U00020000" * 1000 in sent.text


class TestHeaders:
    def test_no_page_runs_scripts_from_elsewhere(self, whole):
        for address in BEHIND:
            headers = whole.get(address).headers
            policy = headers["content-security-policy"]
            script = re.search(r"script-src ([^;]*)", policy)[1]
            assert "unsafe" not in script
            assert "http" not in script
            assert "frame-ancestors 'none'" in policy
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "same-origin"

    @pytest.mark.parametrize("address", ["/static/charts/plotly.min.js", "/burr/public/logo.png"])
    def test_files_of_packages_are_sent_once(self, whole, address):
        first = whole.get(address)
        assert first.headers["cache-control"] == "private, no-cache"
        again = whole.get(address, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")

    def test_what_is_shown_of_runs_is_kept_nowhere(self, whole, closed):
        for address in (ASKS, f"{ASKS}/parts", "/burr/api/v0/projects", "/static/nothing.js"):
            assert whole.get(address).headers["cache-control"] == "no-store"
        assert closed.get("/static/desk.css").headers["cache-control"] == "no-store"

    def test_refusals_have_them_too(self, closed):
        assert "content-security-policy" in closed.get("/").headers
        assert "content-security-policy" in closed.get("/", headers={"Host": "evil.org"}).headers

    def test_burrs_page_may_run_its_one_line(self, whole):
        page = whole.get("/burr/projects")
        (line,) = re.findall(r"<script>(.*?)</script>", page.text)
        digest = base64.b64encode(hashlib.sha256(line.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in page.headers["content-security-policy"]


class TestBurrsPage:
    def test_it_is_ready(self, whole):
        assert whole.get("/burr/ready").json() == {"ready": True}

    def test_its_demonstrations_are_left_out(self, whole):
        assert whole.get("/burr/api/v0/metadata/app_spec").json()["supports_demos"] is False
        for name in ("chatbot", "email_assistant", "streaming_chatbot", "deep_researcher", "counter"):
            for address in (f"/burr/api/v0/{name}/create", f"/burr/api/v0/{name}/response/a/b"):
                assert whole.post(f"{address}/c", json={}).status_code in (404, 405)
                assert "json" not in whole.get(address).headers["content-type"]

    def test_nothing_of_it_is_documented_from_the_net(self, whole):
        for address in ("/burr/docs", "/burr/redoc", "/burr/openapi.json"):
            assert "swagger" not in whole.get(address).text
            assert "jsdelivr" not in whole.get(address).text

    @pytest.mark.parametrize(
        "dots", ["%2e%2e", "%2e", "%2E.", "..%2f..", "..%5c..", "%252e%252e", "x%2f..%2f..%2fdigits"]
    )
    @pytest.mark.parametrize("address", ["{}/asks/digits/apps", "digits/{}/apps", "digits/asks/{}/apps"])
    def test_no_part_of_an_address_leads_out_of_its_folder(self, whole, dots, address):
        for where in (f"/burr/api/v0/{address.format(dots)}", f"/burr/{dots}/projects"):
            response = whole.get(where)
            assert response.status_code == 404
            assert "No such page" in text_of(response)
        assert whole.get("/burr/api/v0/a..b/...%2e/apps").status_code != 404

    def test_its_pictures_are_pictures(self, whole):
        assert whole.get("/burr/logo.png").headers["content-type"] == "image/png"

    def test_it_is_linked_where_it_shows_the_run(self, stored, whole, monkeypatch):
        link = "/burr/project/digits/digits/asks"
        assert link not in whole.get(ASKS).text
        monkeypatch.setenv("HOME", str(stored.parent / "home"))
        assert link in whole.get(ASKS).text


class TestCommand:
    @pytest.fixture(autouse=True)
    def no_server(self, monkeypatch):
        """What has to be refused must not serve for ever instead."""
        monkeypatch.setattr("uvicorn.Server.run", lambda *_, **__: pytest.fail("it serves"))

    def ui(self, *arguments, **environment):
        result = CliRunner().invoke(
            main, ["ui", *arguments], env={"BURR_LIGHTNING_TOKEN": None, **environment}
        )
        assert result.exit_code == 1
        assert isinstance(result.exception, SystemExit)
        return result.stderr

    @pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "desk.lan"])
    def test_it_listens_for_others_only_with_a_token(self, host):
        said = self.ui("--host", host)
        assert "--token" in said
        assert "secrets.token_urlsafe" in said

    def test_a_short_token_is_refused_and_not_repeated(self):
        said = self.ui("--token", "geheim")
        assert "16 or more" in said
        assert "geheim" not in said
        assert "16 or more" in self.ui("--token", "")
        assert "16 or more" in self.ui("--host", "0.0.0.0", BURR_LIGHTNING_TOKEN="geheim")

    def test_behind_a_proxy_it_takes_a_token_and_a_name(self):
        assert "--token" in self.ui("--name", "desk.example.org")
        assert "no name of a server" in self.ui("--token", TOKEN, "--name", "https://desk.example.org")

    def test_it_answers_to_the_names_that_it_is_given(self, monkeypatch, tmp_path):
        served = []
        monkeypatch.setattr("uvicorn.Server.run", lambda server, **_: served.append(server.config))
        names = ["--name", "desk.example.org", "--name", "other.example.org"]
        where = ["--root-dir", str(tmp_path), "--port", "0"]
        result = CliRunner().invoke(main, ["ui", "--token", TOKEN, *names, *where])
        assert result.exit_code == 0, result.output
        (config,) = served
        assert config.proxy_headers is False
        for host, status in {"desk.example.org": 401, "other.example.org:443": 401, "evil.org": 400}.items():
            assert TestClient(config.app, base_url=f"http://{host}").get("/").status_code == status

    def test_an_address_that_is_not_of_this_machine(self):
        said = self.ui("--host", "no-such-name.invalid", "--token", TOKEN)
        assert "--host takes an address or a name of this machine" in said
        assert "another port" not in said
        assert "--host takes" in self.ui("--host", "192.0.2.1", "--token", TOKEN)

    def test_a_port_that_is_taken(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            said = self.ui("--port", str(taken.getsockname()[1]))
        assert "--port" in said
        assert "in use" in said

    def test_without_the_extra_it_says_what_to_install(self, monkeypatch):
        for name in [name for name in sys.modules if name.startswith("burr_lightning.desk")]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "plotly", None)
        said = self.ui()
        assert "pip install 'burr-lightning[ui]'" in said
        with pytest.raises(MissingExtraError):
            import burr_lightning.desk  # noqa: F401

    def test_the_help_says_where_it_listens(self):
        assert "127.0.0.1" in CliRunner().invoke(main, ["ui", "--help"]).output

    @pytest.mark.parametrize(("host", "shown"), [("localhost", "localhost"), ("127.0.0.1", "127.0.0.1")])
    def test_the_address_that_it_prints_is_where_it_listens(self, host, shown):
        with _listening(host, 0) as listener:
            address = urlsplit(_address(host, listener))
            assert address.hostname == shown
            socket.create_connection((address.hostname, address.port), timeout=10).close()

    def test_all_addresses_are_printed_as_one_that_can_be_opened(self):
        with _listening("0.0.0.0", 0) as listener:
            assert _address("0.0.0.0", listener) == f"http://127.0.0.1:{listener.getsockname()[1]}/"

    def test_its_log_says_a_thing_once(self):
        once = _Once()
        record = logging.makeLogRecord({"msg": "%s is damaged", "args": ("x",)})
        assert [once.filter(record) for _ in range(3)] == [True, False, False]
        many = [logging.makeLogRecord({"msg": str(number)}) for number in range(2000)]
        said = [record.getMessage() for record in many if once.filter(record)]
        assert len(said) == 1000
        assert [text for text in said if "no other is written" in text] == said[-1:]

    def test_its_log_tells_exceptions_apart(self):
        def record_of(error):
            try:
                raise error
            except type(error):
                return logging.makeLogRecord({"msg": "It failed.", "exc_info": sys.exc_info()})

        once, errors = _Once(), [ValueError("a"), ValueError("a"), ValueError("b"), KeyError("a")]
        assert [once.filter(record_of(error)) for error in errors] == [True, False, True, True]
