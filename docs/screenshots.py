"""Makes ``docs/images/burr-ui.png`` again: the quickstart's run, as Burr's own UI shows it.

Run it as ``python docs/screenshots.py``. It needs `chromium` on the PATH and Burr's tracking server
(``pip install "burr-lightning[demo,ui]"``). The run, the server and the browser live in a temporary
home folder: your own ``~/.burr`` is neither read nor written.

Burr shows how long a step took while the mouse is over its bar. The picture shows that of every step
at once, without the time of day beside it; nothing else on the page is changed.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DOCS = Path(__file__).resolve().parent
EXAMPLE = DOCS.parent / "examples" / "quickstart.py"
PICTURE = DOCS / "images" / "burr-ui.png"
WIDTH, HEIGHT = 1400, 900
LARGEST = 300_000
"""In bytes."""

SHOW_DURATIONS = """
.backdrop-blur-lg.opacity-0 { opacity: 1 !important; backdrop-filter: none !important; }
.backdrop-blur-lg.opacity-0 > div > :nth-child(2) { display: none; }
"""
BROWSER_OPTIONS = (
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    f"--window-size={WIDTH},{HEIGHT}",
    "--virtual-time-budget=10000",
)


def main() -> None:
    """Train, serve, take the picture."""
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("chromium is not on the PATH (on Debian: apt-get install chromium).")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        train(home)
        with burr_server(home) as address:
            take_picture(chromium, home, f"{address}/project/{run_path(home)}?full=true")
    size = PICTURE.stat().st_size
    if size > LARGEST:
        raise SystemExit(f"{PICTURE} has {size:,} bytes, more than {LARGEST:,}.")
    print(f"{PICTURE}: {size:,} bytes. Look at it before you commit it.")


def train(home: Path) -> None:
    """Run the example; what it writes into the current folder goes into ``home`` too.

    On one thread, an epoch takes about as long as the next one on a busy machine as well.
    """
    one_thread = {**environment(home), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, str(EXAMPLE)], env=one_thread, cwd=home, check=True)


def environment(home: Path) -> dict[str, str]:
    """This process's environment with another home, and with no settings of Burr's or of ours."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("BURR_")}
    return {**kept, "HOME": str(home), "USERPROFILE": str(home)}


def run_path(home: Path) -> str:
    """The newest tracked run as the UI addresses it: project, partition key, run id."""
    logs = (home / ".burr").glob("*/*/log.jsonl")
    run = max(logs, key=lambda log: log.stat().st_mtime).parent
    metadata = json.loads((run / "metadata.json").read_text(encoding="utf-8"))
    return f"{run.parent.name}/{metadata['partition_key']}/{run.name}"


@contextmanager
def burr_server(home: Path) -> Iterator[str]:
    """Burr's UI on a free loopback port, for as long as the block lasts; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "burr.tracking.server.run:app"]
    options = ["--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"]
    server = subprocess.Popen([*command, *options], env=environment(home), cwd=home)
    try:
        wait_for(port, server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        try:
            server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def wait_for(port: int, server: subprocess.Popen[bytes], seconds: float = 120) -> None:
    """Return as soon as the server answers on its port."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise SystemExit(f"Burr's server ended with exit status {server.returncode}.")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise SystemExit(f"Burr's server did not answer within {seconds:.0f} seconds.")


def take_picture(chromium: str, home: Path, url: str) -> None:
    """Write what a headless browser shows at ``url``; an extension adds `SHOW_DURATIONS` to the page."""
    extension = home / "extension"
    extension.mkdir()
    (extension / "durations.css").write_text(SHOW_DURATIONS, encoding="utf-8")
    style = {"matches": ["http://127.0.0.1/*"], "css": ["durations.css"]}
    manifest = {"manifest_version": 3, "name": "durations", "version": "1", "content_scripts": [style]}
    (extension / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.unlink(missing_ok=True)
    profile = home / "browser"
    paths = [f"--user-data-dir={profile}", f"--load-extension={extension}", f"--screenshot={PICTURE}"]
    as_root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    command = [chromium, *BROWSER_OPTIONS, *as_root, *paths, url]
    subprocess.run(command, env=environment(home), check=True, timeout=120, stderr=subprocess.DEVNULL)
    if not PICTURE.exists():
        raise SystemExit("Chromium ended without a picture.")


if __name__ == "__main__":
    main()
