"""A study in Burr's own page, in a real browser: its trials are found below it, and it from each of them."""

import signal

import browsing
import pytest
from browsing import press, shows, waits
from digits import DigitNet, digit_loaders
from lightning.pytorch import Callback, Trainer
from optuna.distributions import FloatDistribution

from burr_lightning.tuning import InProcess, Study

pytestmark = pytest.mark.skipif(
    bool(browsing.missing), reason=f"not installed: {', '.join(browsing.missing)}"
)

LAUNCHED = {"search-0": 1, "search-1": 6}
"""The steps of the study that launched its trials; the launch of step 5 was interrupted and is not there."""


class Interrupts(Callback):
    """Ctrl-C after the first epoch."""

    def on_train_epoch_end(self, *_):
        signal.raise_signal(signal.SIGINT)


def search(*interrupts):
    def train(trial):
        callbacks = [trial.callback(), *(Interrupts() for number in interrupts if number == trial.number)]
        quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
        trainer = Trainer(max_epochs=2, callbacks=callbacks, accelerator="cpu", **quiet)
        trainer.fit(DigitNet(trial.params["lr"]), *digit_loaders(128))

    space = {"lr": FloatDistribution(1e-4, 1e-2, log=True)}
    options = {"project": "digits", "monitor": "val_loss", "n_trials": 2, "seed": 1}
    Study(train, run_id="search", space=space, executor=InProcess(), **options).run()


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The address of Burr's page with a study of two trials in it, and a browser."""
    where = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(where / "home"))
        patch.setenv("BURR_LIGHTNING_HOME", str(where / "runs"))
        with pytest.raises(KeyboardInterrupt):
            search(1)
        search()
    with (
        browsing.desk_process(where / "runs", home=where / "home") as desk,
        browsing.chromium(where / "browser") as browser,
    ):
        yield f"{desk.address}/burr/project/digits", browser


def test_trials_are_sub_apps_of_their_study(served):
    project, browser = served
    browser.get(project)
    press(browser, "//tr[contains(., '(2)') and td[2]='search']/td[5]//*[name()='svg']")
    for trial in LAUNCHED:
        below = f"//tr[td[2]='search']/following-sibling::tr/td[2][.='{trial}']//*[name()='svg']"
        waits(browser, lambda driver, below=below: driver.find_element("xpath", below))


@pytest.mark.parametrize(("trial", "step"), LAUNCHED.items())
def test_the_step_that_launched_a_trial_leads_to_it_and_the_trial_back(served, trial, step):
    project, browser = served
    browser.get(f"{project}/digits/search")
    launch = f"//tr[td[1]//span='{step}' and contains(td[2], 'launch')]"
    press(browser, f"{launch}/td[4][.='1']//*[name()='svg']")
    press(browser, f"{launch}/following-sibling::tr[1][contains(., 'spawned')]//span[.='{trial}']")
    waits(browser, lambda driver: driver.current_url == f"{project}/digits/{trial}")
    press(browser, f"//tr[contains(., 'parent') and contains(., '@{step}')]//a[.='search']")
    waits(browser, lambda driver: driver.current_url == f"{project}/digits/search")


def test_metrics_of_a_trial_are_attributes_of_its_step_and_burr_makes_no_insights_of_them(served):
    project, browser = served
    browser.get(f"{project}/digits/search-0")
    press(browser, "//tr[contains(td[2], 'validate')]")
    shows(browser, "Attributes", "val_loss", "val_acc")
    press(browser, "//span[.='Insights']")
    shows(browser, "Use this tab to view summaries")
    assert "val_loss" not in browser.find_element("tag name", "body").text
