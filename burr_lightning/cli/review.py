"""`burr-lightning review`: what a run asks, and the answer."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from .completing import run_ids
from .options import json_option, persister_option, where_options
from .output import NONE, console, pairs, print_field, print_json, print_table, print_whole

if TYPE_CHECKING:
    from ..questions import Answer, Field, Question
    from ..reviews import Asked
    from ..runs import Run


@click.command()
@click.argument("run_id", metavar="[RUN]", required=False, shell_complete=run_ids)
@click.option("--verdict", metavar="V", help="The verdict, one of the options; nothing is asked then.")
@click.option(
    "--set",
    "given",
    metavar="NAME=VALUE",
    multiple=True,
    help="Another value that is asked for; several times.",
)
@click.option("--comment", metavar="TEXT", default="", help="What is kept beside the answer.")
@click.option("--by", metavar="NAME", help="Who answers. Without it: the user of this process.")
@where_options
@persister_option
@json_option
def review(
    run_id: str | None,
    verdict: str | None,
    given: tuple[str, ...],
    comment: str,
    by: str | None,
    project: str | None,
    root_dir: Path | None,
    persister: str | None,
    as_json: bool,
) -> None:
    """Answer what a paused run asks.

    RUN is the run's id, a beginning of it that no other run has, or "latest"; without it, the runs that
    wait are listed. With --verdict or --set nothing is asked. The run goes on when its script, or
    "burr-lightning work", starts it the next time.
    """
    from ..runs import find_run, list_runs

    where: dict[str, Any] = {"root_dir": root_dir, "persister": persister}
    if run_id is None:
        _list([run for run in list_runs(project, **where) if run.question is not None], as_json)
        return
    run = find_run(run_id, project, **where)
    texts = _texts(verdict, given)
    if not texts and not as_json:
        _show(console(), run)
    question = run.question
    if question is None:
        run.give_answer({}, via="command line")  # says why there is none
        return
    if texts:
        values = question.parsed(texts, run.run_id)
    elif as_json:
        print_json({"run_id": run.run_id, "project": run.project, **question.as_json()})
        return
    elif not sys.stdin.isatty():
        raise click.UsageError("There is no terminal to ask at: give --verdict V, or --set NAME=VALUE.")
    else:
        values, comment = _ask(question, run.run_id, comment)
    answer = run.give_answer(values, comment=comment, by=by, via="command line", to=question)
    if as_json:
        print_json({"run_id": run.run_id, "project": run.project, **answer.as_json()})
    else:
        _say(answer, run)


def _texts(verdict: str | None, given: tuple[str, ...]) -> dict[str, str]:
    texts = {} if verdict is None else {"verdict": verdict}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise click.BadParameter(f"{pair!r} is not NAME=VALUE.", param_hint="--set")
        if name.strip() in texts:
            raise click.BadParameter(f"{name.strip()} is given twice.", param_hint="--set")
        texts[name.strip()] = value
    return texts


def _list(waiting: list[Run], as_json: bool) -> None:
    asked = [(run, question) for run in waiting if (question := run.question) is not None]
    if as_json:
        print_json([{"run_id": r.run_id, "project": r.project, **q.as_json()} for r, q in asked])
        return
    if not asked:
        click.echo("No run waits for an answer.")
        return
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for column in ("run", "project", "epoch", "question", "why it asks"):
        table.add_column(column, overflow="fold")
    for run, question in asked:
        table.add_row(run.run_id, run.project, _epoch(question), question.text, question.reason or NONE)
    print_table(console(), table)


def _show(to: Console, run: Run) -> None:
    from .curves import curves

    monitor = run.state["monitor"]["metric"] if run.state and run.state["monitor"] else None
    print_whole(to, "run", run.run_id)
    for line in curves(run.history, monitor, to):
        click.echo(line, color=to.is_terminal)
    if run.state is not None:
        print_field(to, "metrics", pairs({name: f"{v:.4g}" for name, v in run.state["metrics"].items()}))
    if (question := run.question) is not None:
        print_field(to, "question", question.text)
        if question.reason:
            print_field(to, "why it asks", question.reason)
        print_field(to, "it takes", "; ".join(field.in_words() for field in question.fields))


def _ask(question: Question, run_id: str, comment: str) -> tuple[dict[str, Any], str]:
    from ..errors import AnswerError

    while True:
        texts = {field.name: _prompt(field) for field in question.fields}
        try:
            values = question.parsed(texts, run_id)
        except AnswerError as error:
            click.echo(str(error), err=True)
            continue
        return values, comment or click.prompt("comment", default="", show_default=False)


def _prompt(field: Field) -> str:
    if field.options and field.required:
        return str(click.prompt(field.name, type=click.Choice([str(option) for option in field.options])))
    default = None if field.required else ""
    typed: str = click.prompt(field.in_words(), default=default, show_default=False)
    return typed


def _say(answer: Answer, run: Run) -> None:
    click.echo(f"Run {run.run_id} was answered: {pairs(answer.values)}.")
    click.echo("It goes on when its script, or burr-lightning work, starts it the next time.")


def review_text(asked: Asked) -> str:
    """A question and its answer on one line, as `burr-lightning show` has them."""
    from datetime import datetime

    question, answer = asked.question, asked.answer
    where = f"after epoch {_epoch(question)}: {question.text}"
    if answer is None:
        return f"{where} – not answered"
    when = datetime.fromtimestamp(answer.answered)
    comment = f" “{answer.comment}”" if answer.comment else ""
    return f"{where} – {pairs(answer.values)}, by {answer.by} ({answer.via}), {when:%Y-%m-%d %H:%M}{comment}"


def _epoch(question: Question) -> str:
    return str(question.epoch) if question.epoch >= 0 else NONE
