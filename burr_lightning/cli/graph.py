"""`burr-lightning graph`: a machine as a diagram."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import BurrLightningError
from .options import persister_option, where_options

if TYPE_CHECKING:
    from ..diagram import Diagram

_TEXTS = (".mmd", ".dot")
_PICTURES = (".svg", ".png", ".pdf")


@click.command()
@click.argument("what", metavar="RUN|MODULE:NAME")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a file: .mmd or .dot as text; .svg, .png or .pdf with graphviz.",
)
@where_options
@persister_option
def graph(
    what: str, output: Path | None, project: str | None, root_dir: Path | None, persister: str | None
) -> None:
    """Draw a machine, as Mermaid text on stdout, or into a file.

    RUN is a stored run's id, a beginning of it that no other run has, or "latest". MODULE:NAME names a Burr
    graph, a function that returns one, or a BurrCallback, as "train:machine" does in train.py here.
    """
    if output is not None and output.suffix not in (*_TEXTS, *_PICTURES):
        raise click.BadParameter(f"{output.name}: its name must end in {', '.join((*_TEXTS, *_PICTURES))}.")
    diagram = _named(what) if ":" in what else _stored(what, project, root_dir, persister)
    if output is None:
        click.echo(diagram.mermaid())
    elif output.suffix in _TEXTS:
        output.write_text((diagram.dot() if output.suffix == ".dot" else diagram.mermaid()) + "\n")
    else:
        _draw(diagram, output)


def _named(what: str) -> Diagram:
    from burr.core.graph import Graph

    from ..callback import BurrCallback
    from ..diagram import Diagram
    from ..graph_checks import checked_machine

    given: Any = _imported(what)
    if isinstance(given, BurrCallback):
        given = given.machine
    elif callable(given) and not isinstance(given, Graph):
        given = given()
        given = given.machine if isinstance(given, BurrCallback) else given
    return Diagram.of(given if isinstance(given, Graph) else checked_machine(given))


def _imported(what: str) -> Any:
    module_name, _, name = what.partition(":")
    sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not module_name.startswith(error.name):
            raise
        raise BurrLightningError(
            f"burr-lightning graph {what}: there is no module {module_name!r}, neither here nor installed."
        ) from error
    finally:
        sys.path.pop(0)
    if not hasattr(module, name):
        known = ", ".join(sorted(n for n in vars(module) if not n.startswith("_"))) or "nothing"
        raise BurrLightningError(f"burr-lightning graph {what}: the module has no {name!r}. It has {known}.")
    return getattr(module, name)


def _stored(run_id: str, project: str | None, root_dir: Path | None, persister: str | None) -> Diagram:
    from ..diagram import Diagram
    from ..runs import find_run

    run = find_run(run_id, project, root_dir=root_dir, persister=persister)
    stored = run.tracked_graph()
    if stored is None:
        raise BurrLightningError(
            f"burr-lightning graph {run_id}: Burr's local tracker has nothing of the run {run.run_id!r}, so "
            f"its machine is not known. Name the machine in your code: burr-lightning graph train:machine."
        )
    return Diagram.of_tracked(stored)


def _draw(diagram: Diagram, output: Path) -> None:
    program = shutil.which("dot")
    if program is None:
        raise BurrLightningError(
            f"burr-lightning graph -o {output}: a {output.suffix} file needs graphviz' program dot, which is "
            f"not installed: apt-get install graphviz, or brew install graphviz. Without it there "
            f"are .mmd and .dot."
        )
    kind = output.suffix.removeprefix(".")
    subprocess.run([program, f"-T{kind}", "-o", str(output)], input=diagram.dot().encode(), check=True)
