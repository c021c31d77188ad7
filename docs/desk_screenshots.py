"""Makes ``docs/images/desk-*.png`` again: the review desk, with a real run that waits for an answer.

Run it as ``python docs/desk_screenshots.py``. It needs `chromium` and `chromedriver` on the PATH and the
extra ``test``. Runs, server and browser live in a temporary folder. It takes about a minute.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent
sys.path[:0] = [str(DOCS.parent / "examples"), str(DOCS.parent / "tests")]
IMAGES = DOCS / "images"
LARGEST = 300_000
"""In bytes."""


def main() -> None:
    """Train, serve, take the pictures."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        os.environ["HOME"] = folder  # for Burr's tracker, before Burr is imported
        train_all(home / "runs")
        take_pictures(home)
    for picture in sorted(IMAGES.glob("desk-*.png")):
        size = picture.stat().st_size
        if size > LARGEST:
            raise SystemExit(f"{picture} has {size:,} bytes, more than {LARGEST:,}.")
        print(f"{picture}: {size:,} bytes. Look at it before you commit it.")


def train_all(root: Path) -> None:
    """One run that finishes by itself, and one that asks twice and was answered once."""
    from burr_lightning.conditions import plateau

    train(root, "digits-plain", 2e-3, stop_when=plateau("val_loss", patience=4))
    asking = {"review_when": plateau("val_loss", patience=3)}
    train(root, "digits-fast", 8e-3, **asking)
    comment = "The training loss still falls: on with a lower rate."
    from burr_lightning import Run

    Run.open("digits-fast", root_dir=root).answer("go", lr=2e-3, comment=comment, by="maria")
    train(root, "digits-fast", 8e-3, **asking)
    info = root / "digits" / "digits-fast" / "run.json"
    launch = {"command": ["python", "train.py"], "folder": None, "environment": {}}
    info.write_text(json.dumps({**json.loads(info.read_text()), "launch": launch}))  # not this script


def train(root: Path, run_id: str, lr: float, **options: Any) -> None:
    """Train the quickstart's network on digits."""
    from lightning.pytorch import Trainer, seed_everything
    from quickstart import DigitClassifier, digit_loaders

    from burr_lightning import BurrCallback

    seed_everything(3)
    burr = BurrCallback(run_id, "digits", monitor="val_loss", root_dir=root, **options)
    quiet: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(max_epochs=60, callbacks=[burr], accelerator="cpu", **quiet)
    trainer.fit(DigitClassifier(lr), *digit_loaders())


def take_pictures(home: Path) -> None:
    """The run at a laptop's and at a phone's width, and the list."""
    import browsing

    run = "/runs/digits/digits-fast"
    with (
        browsing.desk_process(home / "runs", home=home) as desk,
        browsing.chromium(home / "browser") as browser,
    ):
        picture(browser, desk.address + run, browsing.LAPTOP, "desk-laptop")
        picture(browser, desk.address, browsing.LAPTOP, "desk-runs", crop="main")
        picture(browser, desk.address + run, browsing.PHONE, "desk-phone", scale=2, height=844)


def picture(
    browser: Any,
    url: str,
    size: tuple[int, int],
    name: str,
    *,
    scale: int = 1,
    height: float | None = None,
    crop: str = "html",
) -> None:
    """Write what a page shows, down to the end of an element, or so many pixels of it."""
    import browsing
    from selenium.webdriver.support.ui import WebDriverWait

    browsing.resize(browser, size, scale)
    browser.get(url)
    drawn = "return !document.querySelector('#curves') || document.querySelector('#curves').dataset.drawn"
    WebDriverWait(browser, 30).until(lambda driver: driver.execute_script(drawn))
    if height is None:
        end = f"return document.querySelector('{crop}').getBoundingClientRect().bottom"
        height = browser.execute_script(end)
    clip = {"x": 0, "y": 0, "width": size[0], "height": height, "scale": 1}
    options = {"captureBeyondViewport": True, "clip": clip, "format": "png"}
    taken = browser.execute_cdp_cmd("Page.captureScreenshot", options)
    IMAGES.mkdir(exist_ok=True)
    (IMAGES / f"{name}.png").write_bytes(base64.b64decode(taken["data"]))


if __name__ == "__main__":
    main()
