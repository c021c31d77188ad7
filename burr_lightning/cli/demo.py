"""`burr-lightning demo`: the quickstart, trained here.

It is `examples/quickstart.py`, which a wheel installs as `share/burr-lightning/quickstart.py`: whoever looks
for it finds one script that can be read, changed and run, and nothing is written twice.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

import click

from ..errors import BurrLightningError, MissingExtraError
from ..layout import HOME_VARIABLE, home
from .options import root_dir_option

_NEEDED = {"sklearn": "scikit-learn", "matplotlib": "matplotlib"}
_SCRIPT = "quickstart.py"
_NEXT = {
    "show quickstart": "how it stands, and the way its machine went",
    "graph quickstart": "its machine, as Mermaid text",
    "verify quickstart": "whether every commit is whole",
    "ui": "all runs in a web page, with Burr's own beside it",
}


@click.command()
@root_dir_option
def demo(root_dir: Path | None) -> None:
    """Train a small network on handwritten digits, in this folder; it takes some seconds.

    The run is called quickstart, and its figure quickstart.png. Started again, it says that it has finished;
    stopped by Ctrl-C or killed, it goes on. Meanwhile, in another terminal: burr-lightning watch quickstart

    The exit code is the script's, 128 and the signal's number where a signal ended it. It needs the extra
    "demo".
    """
    for module, package in _NEEDED.items():
        if find_spec(module) is None:
            raise MissingExtraError("burr-lightning demo", package, "demo")
    if not os.access(Path.cwd(), os.W_OK):
        raise BurrLightningError(f"burr-lightning demo writes here, and {Path.cwd()} cannot be written.")
    script = demo_script()
    environment = {**os.environ, **({HOME_VARIABLE: str(home(root_dir))} if root_dir is not None else {})}
    code = _code_of([sys.executable, str(script)], environment)
    if code == 0:
        _say_next(script, root_dir)
    raise SystemExit(code)


def demo_script() -> Path:
    """The script: of the checkout that this package is used from, or of the wheel.

    Raises:
        BurrLightningError: If it is not there.
    """
    places = [Path(__file__).parents[2] / "examples" / _SCRIPT]
    try:
        files = distribution("burr-lightning").files or []
        places += [Path(str(file.locate())) for file in files if file.name == _SCRIPT]
    except PackageNotFoundError:
        pass
    found = next((place.resolve() for place in places if place.is_file()), None)
    if found is None:
        raise BurrLightningError(f"burr-lightning demo: {_SCRIPT} is missing. Install burr-lightning again.")
    return found


def _code_of(command: list[str], environment: dict[str, str]) -> int:
    with subprocess.Popen(command, env=environment) as script:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # the script gets it too, and ends well
        try:
            code = script.wait()
        finally:
            signal.signal(signal.SIGINT, before)
    return code if code >= 0 else 128 - code


def _say_next(script: Path, root_dir: Path | None) -> None:
    where = f" --root-dir {root_dir}" if root_dir is not None else ""
    click.echo("\nLook at it:")
    for command, what in _NEXT.items():
        click.echo(f"  {f'burr-lightning {command}{where}':<34} {what}")
    click.echo(f"The script, to read and to change: {script}")
