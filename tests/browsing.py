"""A real browser and a real `burr-lightning ui`, for tests and pictures: who starts them stops them."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from threading import Timer

from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.support.ui import WebDriverWait

SECONDS = 300
"""How long one thing may take on a busy machine: a test that fails waits that long."""

LAPTOP, PHONE = (1366, 768), (390, 844)
CLI = [sys.executable, "-c", "from burr_lightning.cli import main; main(prog_name='burr-lightning')"]
OPTIONS = [
    "--headless=new",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
]

missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]


class Desk:
    """A page that is served by a process of its own."""

    def __init__(self, process, address):
        self.process, self.address = process, address

    def stop(self, number=signal.SIGTERM):
        """End the process; its exit code, and what it printed since."""
        self.process.send_signal(number)
        rest, _ = self.process.communicate(timeout=SECONDS)
        return self.process.returncode, rest


@contextmanager
def desk_process(root, *options, home):
    """`burr-lightning ui` on a free port, until the end of the block."""
    environment = {**os.environ, "HOME": str(home), "BURR_LIGHTNING_HOME": str(root), "PYTHONUNBUFFERED": "1"}
    command = [*CLI, "ui", "--port", "0", *options]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )
    late = Timer(SECONDS, process.kill)  # which ends the wait for its next line as well
    late.start()
    try:
        said = ""
        while "Ctrl-C" not in said:
            line = process.stdout.readline()
            assert line, f"it ended, or was not ready after {SECONDS} seconds: {said}"
            said += line
        late.cancel()
        yield Desk(process, re.search(r"http://\S+", said)[0].rstrip("/"))
    finally:
        late.cancel()
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()


@contextmanager
def chromium(profile):
    """A headless Chromium that finds no other machine, until the end of the block."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    as_root = ["--no-sandbox"] if os.geteuid() == 0 else []
    for option in [*OPTIONS, *as_root, f"--user-data-dir={profile}"]:
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        driver.set_script_timeout(SECONDS)
        resize(driver, LAPTOP)
        yield driver
    finally:
        driver.quit()


def waits(driver, condition):
    """What a function of the driver gives, once it gives something; the page may be drawn anew meanwhile."""
    return WebDriverWait(driver, SECONDS, 0.1, [WebDriverException]).until(condition)


def shows(driver, *texts):
    """Wait until all of the texts can be read."""
    script = "return arguments[0].every(text => document.body.innerText.includes(text))"
    waits(driver, lambda driver: driver.execute_script(script, list(texts)))


def press(driver, xpath):
    """Click on an element, as soon as it is there."""
    waits(driver, lambda driver: driver.find_element("xpath", xpath).click() or True)


def resize(driver, size, scale=1):
    """Give the page a screen of that size."""
    width, height = size
    screen = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)


def errors_of(driver):
    """What the console said of errors and warnings, since it was asked last."""
    return [
        entry["message"] for entry in driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")
    ]


def requests_of(driver):
    """The addresses that were asked for, since this was asked last."""
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    sent = [message["params"] for message in messages if message["method"] == "Network.requestWillBeSent"]
    return [params["request"]["url"] for params in sent]
