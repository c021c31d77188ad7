"""From the queue to a question, to a click in a browser, to the end: with real processes throughout."""

import json
import os
import subprocess
import sys
from pathlib import Path

import browsing
import pytest
from at_work import WorkerProcess, cli, submit
from scripts import run_script
from selenium.webdriver.common.by import By

from burr_lightning import Run

SCRIPT = Path(__file__).parent / "looked_at.py"

needs_browser = pytest.mark.skipif(
    bool(browsing.missing), reason=f"not installed: {', '.join(browsing.missing)}"
)


def test_a_worker_goes_on_with_a_run_that_was_started_by_hand_once_it_is_answered(tmp_path):
    """It has written down itself, at its first fit, what started it."""
    by_hand = {**os.environ, "BURR_LIGHTNING_RUN_ID": "by-hand"}
    command = [sys.executable, str(SCRIPT), "exit", "weights.txt"]
    subprocess.run(command, env=by_hand, check=True)
    folder = Run.open("by-hand").folder
    launch = json.loads((folder / "run.json").read_text())["launch"]
    assert (launch["command"], launch["folder"]) == (command, str(tmp_path))
    assert "by-hand: attempt" not in cli("work", "--once")
    Run.open("by-hand").answer("go", lr=0.001)
    assert "by-hand: done" in cli("work", "--once")
    assert Run.open("by-hand").status == "finished"
    assert Path("weights.txt").exists()


def shows(browser, text):
    # Not by way of an element: the page puts a new one in its place while it is looked at.
    script = "return document.querySelector('main').innerText.includes(arguments[0])"
    browsing.waits(browser, lambda driver: driver.execute_script(script, text))


@needs_browser
def test_a_run_asks_is_answered_in_a_browser_and_ends_as_one_that_was_answered_at_once(tmp_path, monkeypatch):
    root, home = tmp_path / "runs", tmp_path / "home"
    with monkeypatch.context() as environment:
        environment.setenv("BURR_LIGHTNING_RUN_ID", "at-once")
        assert run_script(SCRIPT, "at-once", "at-once.txt").returncode == 0
    submit("looked-at", sys.executable, SCRIPT, "exit", "looked-at.txt")
    with WorkerProcess("--every", 0.2) as worker, browsing.desk_process(root, home=home) as desk:
        with browsing.chromium(tmp_path / "browser") as browser:
            browser.get(desk.address)
            shows(browser, "looked-at")
            shows(browser, "1 waiting for an answer")
            assert Run.open("looked-at").epoch == 1
            browser.execute_script("document.querySelector('tr.asks a.ask').click()")
            shows(browser, "Go on with the training?")
            browser.execute_script("document.querySelector('input[value=go]').click()")
            browser.find_element(By.NAME, "field.lr").send_keys("0.001")
            browser.find_element(By.CSS_SELECTOR, "form button").click()
            shows(browser, "Answered by")
            # The page is not loaded again: it tells by itself that a worker has gone on with the run.
            shows(browser, "finished")
        worker.until("looked-at: done")
        assert worker.asked_to_end() == 0
    run = Run.open("looked-at")
    assert run.status == "finished"
    assert run.epoch == 2
    assert [asked.answer.via for asked in run.reviews] == ["web page"]
    assert Path("looked-at.txt").read_text() == Path("at-once.txt").read_text()
    assert "done" in cli("queue")
