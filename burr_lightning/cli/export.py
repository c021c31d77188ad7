"""`burr-lightning export`: the weights and the history of a run, as files."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from ..amounts import file_size
from .completing import run_ids as complete_run_ids
from .options import json_option, persister_option, where_options
from .output import NONE, console, print_json, print_table

if TYPE_CHECKING:
    from ..runs import Run
    from ..storage.weights import Epoch

_FILE = click.Path(dir_okay=True, path_type=Path)


def _epoch(context: click.Context, option: click.Parameter, text: str | None) -> Epoch | None:
    if text is None or text.isdecimal():
        return int(text) if text else None
    if text == "best":
        return "best"
    if text == "last":
        return "last"
    raise click.BadParameter(f"{text!r} is no epoch: a number from 0 on, best or last.")


@click.command(epilog="Example: burr-lightning export digits --weights best.pt --history digits.csv")
@click.argument("run_id", metavar="RUN", shell_complete=complete_run_ids)
@click.option("--weights", metavar="FILE", type=_FILE, help="Write the weights of an epoch, a state_dict.")
@click.option(
    "--epoch",
    metavar="N|best|last",
    callback=_epoch,
    help="Whose weights; N is counted from 0. Without it: the best epoch's.",
)
@click.option(
    "--history",
    metavar="FILE",
    type=_FILE,
    help="Write the metrics, one line per epoch; FILE ends in .csv, .json or .parquet.",
)
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@where_options
@persister_option
@json_option
def export(
    run_id: str,
    weights: Path | None,
    epoch: Epoch | None,
    history: Path | None,
    force: bool,
    project: str | None,
    root_dir: Path | None,
    persister: str | None,
    as_json: bool,
) -> None:
    """Write the weights of an epoch, or the history of a run, to a file.

    RUN is the run's id, a beginning of it that no other run has, or "latest". Without --weights and
    --history it says what can be exported. The run may be training. Weights are read back with
    torch.load(FILE, weights_only=True). In a history, what an epoch has not logged is an empty cell, null
    in JSON; what was NaN is NaN.
    """
    from ..runs import find_run

    if epoch is not None and weights is None:
        raise click.UsageError("--epoch says whose weights are written: give --weights FILE with it.")
    found = find_run(run_id, project, root_dir=root_dir, persister=persister)
    if weights is None and history is None:
        _show(found, as_json)
        return
    # By its whole id: "latest" may be another one, when it is looked at again.
    look = partial(find_run, found.run_id, found.project, root_dir=root_dir, persister=persister)
    _refuse(weights, history, force)
    facts = {
        "weights": _weights(look, "best" if epoch is None else epoch, weights) if weights else None,
        "history": _history(found, history) if history else None,
    }
    if as_json:
        print_json({"run_id": found.run_id, "project": found.project, **facts})
        return
    _say(facts)


def _refuse(weights: Path | None, history: Path | None, force: bool) -> None:
    """What can be seen to fail fails before anything is written."""
    from ..storage.history_files import checked_kind
    from ..storage.targets import refuse_existing

    if weights is not None and weights == history:
        raise click.UsageError(f"--weights and --history are both {weights}: give each a file of its own.")
    for path in filter(None, (weights, history)):
        refuse_existing(path, force=force)
    if history is not None:
        checked_kind(history)


def _weights(look: Any, epoch: Epoch, path: Path) -> dict[str, Any]:
    from ..storage.weights import export_weights

    written = export_weights(look, epoch, path)
    if written.unchecked is not None:
        click.echo(f"{written.checkpoint} was not compared with its SHA-256: {written.unchecked}", err=True)
    return {
        "file": path,
        "epoch": written.epoch,
        "checkpoint": written.checkpoint,
        "bytes": path.stat().st_size,
    }


def _history(run: Run, path: Path) -> dict[str, Any]:
    from ..errors import ExportError
    from ..storage.history_files import export_history

    if run.state is None and run.rows_error is not None:
        raise ExportError(f"The history cannot be read: {run.rows_error}")
    return {"file": path, "epochs": export_history(run.history, path), "metrics": run.history.names}


def _say(facts: dict[str, Any]) -> None:
    if (weights := facts["weights"]) is not None:
        size = file_size(weights["bytes"])
        click.echo(f"{weights['file']}: the weights of epoch {weights['epoch']}, {size}")
    if (history := facts["history"]) is not None:
        click.echo(f"{history['file']}: {_epochs(history)}")


def _show(run: Run, as_json: bool) -> None:
    from ..storage.weights import stored_weights

    stored = stored_weights(run)
    newest, best = stored.newest(), run.best
    named = stored.named(best["checkpoint"]) if best else None
    epochs = [
        {
            "epoch": name.epoch,
            "checkpoint": path.relative_to(run.folder).as_posix(),
            "bytes": _size(path),
            "weights_only": name.weights,
            "best": name == named,
            "last": name == newest,
        }
        for name, path in sorted(stored.paths.items())
    ]
    history = {"epochs": len(run.history), "metrics": run.history.names}
    if as_json:
        print_json({"run_id": run.run_id, "project": run.project, "epochs": epochs, "history": history})
        return
    _print(run, epochs, history)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # pruned by the run itself, which may be training
        return 0


def _epochs(history: dict[str, Any]) -> str:
    count = f"{history['epochs']} epoch{'' if history['epochs'] == 1 else 's'}"
    names = ", ".join(history["metrics"])
    return f"{count} of {names}" if names else f"{count} in which no metric was logged"


def _print(run: Run, epochs: list[dict[str, Any]], history: dict[str, Any]) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("epoch", justify="right", no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("which", no_wrap=True)
    table.add_column("checkpoint", overflow="fold")
    for found in epochs:
        words = [word for word in ("best", "last") if found[word]]
        which = ", ".join([*words, *(["weights only"] if found["weights_only"] else [])])
        size = file_size(found["bytes"])
        table.add_row(
            str(found["epoch"]), size, which or NONE, found["checkpoint"].removeprefix("checkpoints/")
        )
    if epochs:
        print_table(console(), table)
        click.echo(f"Weights: burr-lightning export {run.run_id} --weights FILE.pt --epoch N")
    else:
        click.echo("No epoch has been committed yet, or all checkpoints are gone: there are no weights.")
    if history["epochs"]:
        click.echo(f"History, {_epochs(history)}: --history FILE.csv (or .json, .parquet)")
    else:
        click.echo(f"There is no history: {run.rows_error or 'no epoch has been committed yet'}")
