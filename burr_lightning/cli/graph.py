"""`burr-lightning graph`: a machine as a diagram."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import BurrLightningError
from .completing import run_ids
from .options import persister_option, where_options

if TYPE_CHECKING:
    from ..diagram import Diagram

_TEXTS = (".mmd", ".dot")
_PICTURES = (".svg", ".png", ".pdf")


@click.command()
@click.argument("what", metavar="RUN|MODULE:NAME", shell_complete=run_ids)
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
    else:
        _written(diagram, output)


def _named(what: str) -> Diagram:
    from burr.core.graph import Graph

    from ..callback import BurrCallback
    from ..diagram import Diagram

    given: Any = _found(what)
    if callable(given) and not isinstance(given, (Graph, BurrCallback)):
        given = _called(what, given)
    if isinstance(given, BurrCallback):
        given = given.machine
    if not isinstance(given, Graph):
        raise _refused(
            what, f"this is {given!r}, and no Burr Graph, function that returns one, or BurrCallback."
        )
    return Diagram.of(given)


def _found(what: str) -> Any:
    module_name, _, name = what.partition(":")
    if not name or not all(part.isidentifier() for part in module_name.split(".")):
        raise _refused(what, "write MODULE:NAME, as train:machine for the machine in train.py here.")
    module = _imported(what, module_name)
    if not hasattr(module, name):
        known = ", ".join(sorted(n for n in vars(module) if not n.startswith("_"))) or "nothing"
        raise _refused(what, f"the module has no {name!r}. It has {known}.")
    return getattr(module, name)


def _imported(what: str, module_name: str) -> Any:
    sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(module_name)
    except Exception as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is not None and f"{module_name}.".startswith(f"{missing}."):
            why = f"there is no module {missing!r}, neither here nor installed."
        else:
            why = f"its import raised {_in_words(error)}. python -c 'import {module_name}' shows where."
        raise _refused(what, why) from error
    finally:
        sys.path.pop(0)


def _called(what: str, function: Callable[..., Any]) -> Any:
    try:
        return function()
    except BurrLightningError:
        raise
    except Exception as error:
        raise _refused(what, f"called without arguments, it raised {_in_words(error)}.") from error


def _refused(what: str, why: str) -> BurrLightningError:
    return BurrLightningError(f"burr-lightning graph {what}: {why}")


def _in_words(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".")


def _stored(run_id: str, project: str | None, root_dir: Path | None, persister: str | None) -> Diagram:
    from ..diagram import Diagram
    from ..runs import find_run

    run = find_run(run_id, project, root_dir=root_dir, persister=persister)
    stored = run.tracked_graph()
    if stored is None:
        raise _refused(
            run_id,
            f"{run.untracked}, so that its machine is not known. Name the machine in your code: "
            f"burr-lightning graph train:machine.",
        )
    return Diagram.of_tracked(stored)


def _written(diagram: Diagram, output: Path) -> None:
    if not output.parent.is_dir():
        raise click.BadParameter(f"{output}: there is no folder {output.parent}.")
    try:
        if output.suffix in _PICTURES:
            _draw(diagram, output)
        else:
            output.write_text((diagram.dot() if output.suffix == ".dot" else diagram.mermaid()) + "\n")
    except OSError as error:
        raise _refused(f"-o {output}", f"it cannot be written ({error}).") from error


def _draw(diagram: Diagram, output: Path) -> None:
    program = shutil.which("dot")
    if program is None:
        raise _refused(
            f"-o {output}",
            f"a {output.suffix} file needs graphviz' program dot, which is not installed: "
            f"apt-get install graphviz, or brew install graphviz. Without it there are .mmd and .dot.",
        )
    command = [program, f"-T{output.suffix.removeprefix('.')}", "-o", str(output)]
    done = subprocess.run(command, input=diagram.dot().encode(), capture_output=True, check=False)
    if done.returncode != 0:
        said = " ".join(done.stderr.decode(errors="replace").split())
        raise _refused(f"-o {output}", f"dot ended with {done.returncode}: {said}")
