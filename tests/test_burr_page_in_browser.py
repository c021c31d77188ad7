"""Burr's own page in a real browser: a run, its steps and its fork are found there."""

import browsing
import pytest
from digits import DigitNet, digit_loaders
from lightning.pytorch import seed_everything
from selenium.webdriver.support.ui import WebDriverWait

from burr_lightning import BurrCallback, Checkpoints, Run

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


def shows(browser, *texts):
    script = "return arguments[0].every(text => document.body.innerText.includes(text))"
    WebDriverWait(browser, browsing.SECONDS, 0.1).until(lambda d: d.execute_script(script, list(texts)))


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
