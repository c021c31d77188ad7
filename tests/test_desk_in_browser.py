"""The web page in a real browser, served by a real `burr-lightning ui`."""

import re
import shutil
import signal
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import browsing
import pytest
from browsing import LAPTOP, PHONE, errors_of, requests_of, resize, waits
from desk_runs import EVIL, change_json, make_store, train, train_until_it_asks
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.by import By

from burr_lightning import Run
from burr_lightning.conditions import plateau
from burr_lightning.layout import RunFolder
from burr_lightning.reviews import Reviews
from burr_lightning.testing import ScriptedModule

pytestmark = pytest.mark.skipif(
    bool(browsing.missing), reason=f"not installed: {', '.join(browsing.missing)}"
)

ASKS = "/runs/digits/asks"
TOKEN = "a-token-of-this-test"
WORST = """
for (const one of document.querySelectorAll("details")) one.open = true;
const live = document.getElementById("live");
live.hidden = false;
live.dataset.kind = "off";
live.textContent = "the server does not answer";
"""
"""Opens what is closed, and says what is only said when something is wrong."""


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Runs, of which each test gets a copy."""
    return make_store(tmp_path_factory.mktemp("stored"))


@pytest.fixture(scope="module")
def served(tmp_path_factory, stored):
    """A desk whose runs each test puts in place anew."""
    where = tmp_path_factory.mktemp("served")
    with browsing.desk_process(where / "runs", home=stored.parent / "home") as desk:
        desk.root = where / "runs"
        yield desk


@pytest.fixture(scope="module")
def one_browser(tmp_path_factory):
    """One browser for all tests: it takes a second to start."""
    with browsing.chromium(tmp_path_factory.mktemp("browser")) as driver:
        yield driver


@pytest.fixture
def root(served, stored):
    """The runs that the desk shows."""
    while served.root.exists():  # the desk may write into it meanwhile
        shutil.rmtree(served.root, ignore_errors=True)
    return shutil.copytree(stored, served.root)


@pytest.fixture
def browser(one_browser, root):
    """A browser in which nothing may go wrong unseen, and that may ask only this machine."""
    one_browser.get("about:blank")
    resize(one_browser, LAPTOP)
    errors_of(one_browser), requests_of(one_browser)
    one_browser.expected = []
    yield one_browser
    one_browser.get("about:blank")
    errors = [error for error in errors_of(one_browser) if not any(e in error for e in one_browser.expected)]
    assert errors == []
    asked = [url for url in requests_of(one_browser) if url.startswith("http")]
    assert asked
    assert [url for url in asked if not re.match(r"http://(127\.0\.0\.1|localhost):\d+/", url)] == []


def until(browser, condition):
    """Wait until a piece of JavaScript is true."""
    waits(browser, lambda driver: driver.execute_script(f"return {condition}"))


def shows(browser, text, within="main"):
    """Wait until the page shows a text."""
    script = f"document.querySelector('{within}')?.innerText.includes(arguments[0])"
    waits(browser, lambda driver: driver.execute_script(f"return {script}", text))


def drawn(browser):
    until(browser, "document.querySelector('#curves')?.dataset.drawn === 'yes'")


def find(browser, selector):
    return browser.find_element(By.CSS_SELECTOR, selector)


def test_from_the_list_to_an_answer(browser, served, root):
    browser.get(served.address)
    shows(browser, "1 waiting for an answer")
    find(browser, "tr.asks a.ask").click()
    shows(browser, "Why it asks:")
    find(browser, "input[value=go]").click()
    find(browser, "[name='field.lr']").send_keys("1e-3")
    find(browser, "#comment").send_keys("It still falls.")
    find(browser, "#by").send_keys("maria")
    find(browser, "button").click()
    shows(browser, "Answered by maria")
    assert browser.current_url == f"{served.address}{ASKS}"
    answer = Run.open("asks", root_dir=root).reviews[-1].answer
    assert answer.values == {"verdict": "go", "lr": 0.001}
    assert (answer.comment, answer.by, answer.via) == ("It still falls.", "maria", "web page")


def test_by_keyboard_alone(browser, served, root):
    browser.get(f"{served.address}{ASKS}")
    drawn(browser)
    for _ in range(20):
        ActionChains(browser).send_keys(Keys.TAB).perform()
        if browser.switch_to.active_element.get_attribute("name") == "field.verdict":
            break
    ActionChains(browser).send_keys(Keys.ARROW_RIGHT, Keys.TAB, "0.5", Keys.ENTER).perform()
    shows(browser, "Answered by")
    assert Run.open("asks", root_dir=root).reviews[-1].answer.values == {"verdict": "no-go", "lr": 0.5}


def test_what_does_not_fit_stays_in_the_form(browser, served, root):
    browser.expected = ["422 (Unprocessable"]
    browser.get(f"{served.address}{ASKS}")
    find(browser, "input[value=go]").click()
    find(browser, "[name='field.lr']").send_keys("fast")
    find(browser, "#comment").send_keys("<b>Quickly</b>")
    find(browser, "button").click()
    shows(browser, "is no float")
    assert find(browser, "[name='field.lr']").get_attribute("value") == "fast"
    assert find(browser, "#comment").get_attribute("value") == "<b>Quickly</b>"
    assert find(browser, "input[value=go]").is_selected()


def test_without_javascript(browser, served, root):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get(f"{served.address}{ASKS}")
        assert "drawn by a script" in find(browser, "#curves").text
        find(browser, "input[value=no-go]").click()
        find(browser, "button").click()
        waits(browser, lambda driver: driver.find_elements(By.ID, "answered"))
        assert "Answered by" in find(browser, "#answered").text
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert Run.open("asks", root_dir=root).reviews[-1].answer.values == {"verdict": "no-go"}


def test_an_open_page_follows_the_run(browser, served, root, monkeypatch, stored):
    browser.get(f"{served.address}{ASKS}")
    drawn(browser)
    points = "document.querySelector('.plot').data[0].x.length"
    assert browser.execute_script(f"return {points}") == 4
    browser.execute_script("window.same = true; scrollTo(0, 300)")
    scrolled = browser.execute_script("return scrollY")
    Run.open("asks", root_dir=root).answer("go", by="maria")
    shows(browser, "Answered by maria")
    until(browser, "!document.querySelector('form')")
    monkeypatch.setenv("HOME", str(stored.parent / "home"))
    train_until_it_asks(root)
    shows(browser, "finished", "[data-part=status]")
    until(browser, f"{points} === 8")
    assert browser.execute_script("return window.same")
    assert scrolled > 0
    assert browser.execute_script("return scrollY") > 0


def test_the_list_follows_too(browser, served, root):
    browser.get(served.address)
    shows(browser, "1 waiting for an answer")
    Run.open("asks", root_dir=root).answer("go")
    until(browser, "!document.querySelector('tr.asks')")
    shows(browser, "answered")


def test_a_form_that_somebody_fills_in_stays(browser, served, root):
    browser.get(f"{served.address}{ASKS}")
    find(browser, "#comment").send_keys("Half a thou")
    change_json(root / "digits/asks/outcome.json", error="something else changed")
    shows(browser, "something else changed", "[data-part=status]")
    assert find(browser, "#comment").get_attribute("value") == "Half a thou"
    assert browser.switch_to.active_element == find(browser, "#comment")
    Run.open("asks", root_dir=root).answer("go", by="maria")
    shows(browser, "This question is closed")
    assert find(browser, "#comment").get_attribute("value") == "Half a thou"
    assert not find(browser, ".ask-form button").is_enabled()
    shows(browser, "Answered by maria", "[data-part=status]")


@pytest.mark.parametrize("typed", [False, True], ids=["nothing-typed", "typed"])
def test_a_question_that_changes_is_replaced(browser, served, root, typed):
    """The same step of the machine asks something else: an answer to the former must not be sent for it."""
    browser.get(f"{served.address}{ASKS}")
    if typed:
        find(browser, "input[value=go]").click()
        find(browser, "[name='field.lr']").send_keys("0.5")
        find(browser, "#comment").send_keys("It learns.")
    reviews = Reviews(RunFolder(root, "digits", "asks"))
    newer = replace(reviews.newest().question, text="Stop at once?")
    reviews.ask(newer)
    shows(browser, "Stop at once?", ".ask-form")
    assert not find(browser, "input[value=go]").is_selected()
    form = find(browser, ".ask-form").text
    assert ("The question has changed" in form) == typed
    assert ("What you had typed: verdict go, lr 0.5" in form) == typed
    assert find(browser, "#comment").get_attribute("value") == ("It learns." if typed else "")
    find(browser, "input[value=no-go]").click()
    find(browser, ".ask-form button").click()
    shows(browser, "Answered by")
    answer = Run.open("asks", root_dir=root).reviews[-1].answer
    assert (answer.values, answer.of) == ({"verdict": "no-go"}, newer.fingerprint)


def test_a_run_that_is_deleted_and_a_server_that_is_gone_are_told(browser, stored, tmp_path):
    browser.expected = ["404 (Not Found)", "ERR_CONNECTION_REFUSED"]
    root = shutil.copytree(stored, tmp_path / "runs")
    with browsing.desk_process(root, home=tmp_path) as desk:
        browser.get(f"{desk.address}{ASKS}")
        drawn(browser)
        shutil.rmtree(root / "digits/asks")
        shows(browser, "this run is gone", "#live")
        code, _ = desk.stop()
        assert code == 0
        shows(browser, "the server does not answer", "#live")


@pytest.fixture
def evil(root):
    """A run of which everything that can be is somebody's attack."""
    metrics = {"val_loss": [0.9, 0.5, 0.6, 0.7], **{f"{name}_loss": [1.0] for name in EVIL.values()}}
    train("evil", 8, root, ScriptedModule(**metrics), review_when=plateau("val_loss", patience=2))
    everything = " ".join(EVIL.values())
    change_json(root / "digits/evil/run.json", run_id=everything, project=EVIL["link"])
    (question,) = (root / "digits/evil/reviews").glob("*.question.json")
    change_json(question, text=everything, reason=everything)
    return "/runs/digits/evil"


def test_nothing_of_a_run_is_run(browser, served, evil):
    for address in ("/", evil):
        browser.get(f"{served.address}{address}")
        shows(browser, EVIL["script"])
    drawn(browser)
    legend = find(browser, "#curves").text
    assert all(name in legend for name in EVIL.values())
    find(browser, "input[value=go]").click()
    find(browser, "#comment").send_keys(EVIL["image"])
    find(browser, "#by").send_keys(EVIL["script"])
    find(browser, ".ask-form button").click()
    shows(browser, "Answered by")
    drawn(browser)
    plot = find(browser, ".plot")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", plot)
    ActionChains(browser).move_to_element(plot).perform()
    until(browser, "document.querySelector('.hoverlayer')?.textContent.includes('onerror')")
    strange = (
        "document.querySelectorAll('main a[href^=javascript], main img, .plot a, .plot [onerror]').length"
    )
    assert browser.execute_script(f"return {strange}") == 0
    assert browser.execute_script("return window.evil") is None
    assert not [url for url in requests_of(browser) if "evil" in url.replace(evil, "")]
    browser.get(f"{served.address}/")


def test_burrs_page_opens_from_a_run(browser, served, root):
    browser.get(f"{served.address}{ASKS}")
    find(browser, ".aside").click()
    shows(browser, "train_epoch", "body")
    assert browser.current_url == f"{served.address}/burr/project/digits/digits/asks"
    assert "Demos" not in find(browser, "body").text
    until(browser, "[...document.images].every((image) => image.complete && image.naturalWidth > 0)")


@pytest.mark.parametrize("size", [PHONE, LAPTOP, (320, 568)], ids=str)
def test_nothing_is_wider_than_the_screen(browser, served, evil, size):
    resize(browser, size)
    browser.expected = ["404 (Not Found)"]
    train(
        "a-long-id_" * 9 + "end",
        1,
        served.root,
        ScriptedModule(val_loss=[0.5], **{"a_long_metric_" * 6: [0.5]}),
    )
    for address in ("/", ASKS, evil, "/runs/digits/failed", "/runs/digits/" + "a-long-id_" * 9 + "end", "/x"):
        browser.get(f"{served.address}{address}")
        until(
            browser, "!document.querySelector('#curves') || document.querySelector('#curves').dataset.drawn"
        )
        browser.execute_script(WORST)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= size[0], address


@contextmanager
def other_site(body):
    """A page on another host than the desk, for a browser; its address."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(f"<body><link rel=icon href=data:,>{body}</body>".encode())

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as site:
        serving = Thread(target=site.serve_forever)
        serving.start()
        try:
            yield f"http://localhost:{site.server_port}/"
        finally:
            site.shutdown()
            serving.join()


def test_another_site_cannot_answer_for_its_visitor(browser, served, root):
    """With the very form of the page, which a site might have seen; the browser says where it comes from."""
    browser.expected = ["403 (Forbidden)"]
    browser.get(f"{served.address}{ASKS}")
    form = find(browser, "form").get_attribute("outerHTML")
    form = form.replace('action="', f'action="{served.address}').replace('value="go"', 'value="go" checked')

    with other_site(form) as site:
        browser.get(site)
        find(browser, "button").click()
        waits(browser, lambda driver: "another site" in driver.page_source)
    assert Run.open("asks", root_dir=root).question is not None


def test_with_a_token(browser, root, stored):
    browser.expected = ["401 (Unauthorized)", "manifest"]  # which a browser asks for without its cookies
    where = ("--host", "0.0.0.0", "--token", TOKEN)
    with browsing.desk_process(root, *where, home=stored.parent / "home") as desk:
        browser.get(f"{desk.address}{ASKS}")
        assert "asks" not in find(browser, "body").text
        find(browser, "[name=token]").send_keys(TOKEN, Keys.ENTER)
        shows(browser, "Why it asks:")
        assert browser.current_url == f"{desk.address}{ASKS}"
        assert browser.execute_script("return document.cookie") == ""
        drawn(browser)
        find(browser, "input[value=go]").click()
        find(browser, "button").click()
        shows(browser, "Answered by")
        browser.get(f"{desk.address}/burr/project/digits/digits/asks")
        shows(browser, "train_epoch", "body")
        browser.get("about:blank")
        assert TOKEN not in desk.stop()[1]


def test_a_link_of_another_site_opens_it(browser, root, tmp_path):
    """As one in a chat does: at first with the token in it, then without."""
    with browsing.desk_process(root, "--token", TOKEN, home=tmp_path) as desk:
        addresses = {"first": f"{desk.address}/?token={TOKEN}", "then": f"{desk.address}{ASKS}"}
        links = " ".join(f"<a id={name} href='{address}'>{name}</a>" for name, address in addresses.items())
        with other_site(links) as site:
            for link, shown in (("first", "1 waiting for an answer"), ("then", "Why it asks:")):
                browser.get(site)
                find(browser, f"#{link}").click()
                shows(browser, shown)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_when_it_is_asked_to(stored, tmp_path, number):
    with browsing.desk_process(stored, home=tmp_path) as desk:
        code, said = desk.stop(number)
        assert (code, said) == (0, "")
