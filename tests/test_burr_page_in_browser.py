"""Burr's own page in a real browser: a run, its steps and its fork are found there, in a long run as well."""

from pathlib import Path

import browsing
import pytest
from browsing import press, shows, waits
from digits import DigitNet, digit_loaders
from lightning.pytorch import seed_everything
from long_log import METRICS, LongRun

from burr_lightning import BurrCallback, Checkpoints, Run
from burr_lightning.desk.burr_log import STEPS

pytestmark = pytest.mark.skipif(
    bool(browsing.missing), reason=f"not installed: {', '.join(browsing.missing)}"
)


def fit(run_id, make_trainer):
    seed_everything(1, verbose=False)
    burr = BurrCallback(run_id, "digits", monitor="val_loss", checkpoints=Checkpoints(keep_last=9))
    make_trainer(burr, max_epochs=3).fit(DigitNet(), *digit_loaders(samples=128))


OPEN_LINKS = """
for (const icon of document.querySelectorAll("tbody tr td:nth-child(4) svg"))
  icon.dispatchEvent(new MouseEvent("click", {bubbles: true}));
"""


def test_a_run_its_steps_and_its_fork_are_found(tmp_path, make_trainer):
    fit("base", make_trainer)
    Run.open("base").fork(1, "lower-lr", {"learning_rate": 1e-5})
    fit("lower-lr", make_trainer)
    with (
        browsing.desk_process(tmp_path / "runs", home=tmp_path / "home") as desk,
        browsing.chromium(tmp_path / "browser") as browser,
    ):
        browser.get(f"{desk.address}/burr/projects")
        shows(browser, "digits")
        browser.get(f"{desk.address}/burr/project/digits")
        shows(browser, "base", "lower-lr")
        browser.get(f"{desk.address}/burr/project/digits/digits/base")
        shows(browser, "process_data", "train_epoch", "validate", "best_model")
        browser.execute_script(OPEN_LINKS)
        shows(browser, "lower-lr")
        browser.get(f"{desk.address}/burr/project/digits/digits/lower-lr")
        shows(browser, "train_epoch", "validate", "best_model", "parent", "base")


EPOCHS = 5000
NUMBERS = """
const numbers = [...document.querySelectorAll("tbody tr")].map(row => parseInt(row.cells[0].innerText));
return numbers.filter(Number.isInteger);
"""
LAST_ROW = "[...document.querySelectorAll('tbody tr')].filter(row => parseInt(row.cells[0].innerText)).at(-1)"
EXPAND = f"""
const press = icon => icon.dispatchEvent(new MouseEvent("click", {{bubbles: true}}));
const row = {LAST_ROW};
press(row.querySelector("svg"));
setTimeout(() => press(row.cells[1].querySelectorAll("svg")[1]), 500);
"""
PRESS_LIVE = """
const live = [...document.querySelectorAll("th div")].find(part => part.textContent.trim() === "Live");
live.querySelector("svg").dispatchEvent(new MouseEvent("click", {bubbles: true}));
"""
SIZES = """
const asked = performance.getEntriesByType("resource").filter(({name}) => name.endsWith("/long/digits/apps"));
return asked.map(entry => [entry.encodedBodySize, entry.decodedBodySize]);
"""

SHOWN = "performance.getEntriesByType('resource').filter(({name}) => name.endsWith('/shown'))"
"""The answers from which the page knows whether steps are left out."""
ASK_AGAIN = f"""
const done = arguments[0];
fetch(({SHOWN}).at(-1).name).then(answer => answer.json()).then(() => setTimeout(done));
"""
"""The page has worked through its own answer when a later one of the same has come."""


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A desk and a browser for a run of 5,000 epochs, and a fork of its hundredth."""
    where = tmp_path_factory.mktemp("long")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(where / "home"))
        run = LongRun(where / "runs", "long", EPOCHS)
        LongRun(where / "runs", "child", 1, fork_of=("long", 200))
    with (
        browsing.desk_process(where / "runs", home=where / "home") as desk,
        browsing.chromium(where / "browser") as browser,
    ):
        yield run, desk, browser


@pytest.fixture
def long_run(served):
    """The run, its page, and the process that serves it."""
    run, desk, browser = served
    browsing.requests_of(browser)
    browser.get(f"{desk.address}/burr/project/digits/digits/long")
    until(browser, f"return {LAST_ROW} !== undefined")
    yield run, desk, browser
    assert browsing.errors_of(browser) == []


def until(browser, script):
    waits(browser, lambda driver: driver.execute_script(script))


def has_steps(browser, numbers):
    """Wait until the rows of the page are those; the line above them is drawn before they are."""
    waits(browser, lambda driver: driver.execute_script(NUMBERS) == numbers)


def bytes_read_by(process):
    """What a process has read from files so far."""
    [count] = [
        row for row in Path(f"/proc/{process.pid}/io").read_text().splitlines() if row.startswith("rchar")
    ]
    return int(count.split()[1])


def polls(browser, times):
    """Wait until the page has asked for the run some times more."""
    before = len(browser.execute_script(SIZES))
    waits(browser, lambda driver: len(driver.execute_script(SIZES)) >= before + times)


class TestRunOf5000Epochs:
    def test_the_newest_steps_are_there(self, long_run):
        run, _, browser = long_run
        newest = 2 * run.epochs
        numbers = browser.execute_script(NUMBERS)
        assert numbers == [200, *range(newest - STEPS + 1, newest + 1)]  # a fork has left from step 200
        [[sent, whole]] = browser.execute_script(SIZES)
        assert 0 < sent < 250_000
        assert 0 < whole < 2_000_000
        assert run.log.stat().st_size > 20_000_000
        browser.execute_script(f"{LAST_ROW}.click()")
        shows(browser, "global_step", f"{run.epochs - 1}", "val_loss", "learning_rate")

    def test_its_metrics_are_attributes_of_the_step(self, long_run):
        _, _, browser = long_run
        browser.execute_script(EXPAND)
        shows(browser, "attribute", *METRICS)

    def test_older_steps_are_a_click_away(self, long_run):
        run, _, browser = long_run
        steps, first = 2 * run.epochs + 1, 2 * run.epochs - STEPS + 1
        shows(browser, f"Steps {first:,} to {steps - 1:,} of {steps:,}.")
        press(browser, "//a[.='Older']")
        shows(browser, f"Steps {first - STEPS:,} to {first - 1:,} of {steps:,}.")
        has_steps(browser, [200, *range(first - STEPS, first)])
        browser.execute_script(f"{LAST_ROW}.click()")
        shows(browser, "global_step")
        assert f"before={first}" in browser.current_url
        press(browser, "//a[.='Newest']")
        shows(browser, f"Steps {first:,} to {steps - 1:,} of {steps:,}.")

    def test_the_oldest_steps_are_there_too(self, long_run):
        run, _, browser = long_run
        browser.get(f"{browser.current_url}?before=300")
        shows(browser, f"Steps 0 to 299 of {2 * run.epochs + 1:,}.", "Newer", "Newest")
        has_steps(browser, [*range(300)])

    def test_an_open_page_costs_nothing_until_there_are_new_steps(self, long_run):
        run, desk, browser = long_run
        browser.execute_script(PRESS_LIVE)
        polls(browser, 2)
        before = bytes_read_by(desk.process)
        polls(browser, 6)
        assert bytes_read_by(desk.process) - before < 100_000  # one answer is made of 1,300,000
        run.go_on(1)
        newest = 2 * run.epochs
        until(browser, f"return parseInt({LAST_ROW}.cells[0].innerText) === {newest}")
        polls(browser, 2)  # the second is asked for when the page has drawn the first one's answer
        assert len(browser.execute_script(NUMBERS)) == STEPS + 1

    def test_our_page_says_that_steps_are_left_out(self, long_run):
        run, desk, browser = long_run
        browser.get(f"{desk.address}/runs/digits/long")
        shows(browser, f"{2 * run.epochs + 1:,} steps", f"Burr’s page shows the newest {STEPS} of them")
        browser.find_element("link text", "its pages of older steps").click()
        shows(browser, f"to {2 * run.epochs - STEPS:,} of {2 * run.epochs + 1:,}.", "Older", "Newest")

    def test_a_short_run_is_there_as_a_whole(self, served):
        _, desk, browser = served
        browser.get(f"{desk.address}/burr/project/digits/digits/child")
        until(browser, f"return {LAST_ROW} !== undefined")
        until(browser, f"return ({SHOWN}).length > 0")
        browser.execute_async_script(ASK_AGAIN)
        assert browser.execute_script(NUMBERS) == [201, 202]
        assert browser.execute_script("return document.getElementById('steps-left-out')") is None
