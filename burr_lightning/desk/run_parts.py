"""What the page of a run shows, part by part: each part is what one template is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..layout import RunFolder
from ..questions import Question
from ..reviews import Asked
from ..runs.lineage import Lineage
from ..steps import Step
from .burr_log import STEPS
from .burr_pages import burr_address
from .charts import newest_values
from .forgery import FormKeys
from .forms import inputs_of
from .kept_commits import kept_commits
from .path_view import path_items
from .run_rows import address_of, status_of
from .store import StoredRun
from .timeline import timeline
from .words import command_line

PARTS = ("status", "question", "numbers", "time", "commits", "reviews", "facts")
"""The parts of a run's page, each a template, which a page that is open gets anew when they change."""


@dataclass(frozen=True)
class Typed:
    """What was sent with a form that was refused."""

    values: Mapping[str, str] = field(default_factory=dict)
    comment: str = ""
    by: str = ""
    error: str | None = None
    """Why it was refused."""
    question: str = ""
    """The fingerprint of the question that the form was for."""


def run_context(
    stored: StoredRun, lineage: Lineage, keys: FormKeys, typed: Typed | None = None
) -> dict[str, Any]:
    """What the templates of a run's page are given.

    Args:
        stored: The run.
        lineage: Its relatives.
        keys: What forms are signed with.
        typed: What was typed into a form that was refused.
    """
    run, state, typed = stored.run, stored.run.state, typed or Typed()
    question = run.question
    same = question is not None and question.fingerprint == typed.question
    return {
        "run": run,
        "info": stored.info,
        "state": state,
        "status": status_of(stored),
        "address": address_of(stored.folder),
        "lineage": _lineage(stored, lineage),
        "burr": burr_address(stored.folder, stored.info),
        "monitor": state["monitor"] if state else None,
        "best": run.best,
        "question": _question(stored, question, keys, typed.values if same else {}),
        "typed": typed,
        "lost": {} if same else {name: text for name, text in typed.values.items() if text},
        "answered": _answered(stored),
        "reviews": run.reviews[::-1],
        "command": command_line(stored.info.launch),
        "owned": stored.is_owned,
        "commits": kept_commits(stored),
        "values": newest_values(run.history, run.best["epoch"] if run.best else None),
        **_time(stored),
    }


def _lineage(stored: StoredRun, lineage: Lineage) -> dict[str, Any] | None:
    """The relatives, each with the address of its page, where it has one."""
    if not lineage:
        return None

    def address(run_id: str) -> str:
        return address_of(RunFolder(stored.folder.root, stored.folder.project, run_id))

    parent = lineage.parent
    return {
        "parent": parent,
        "parent_address": address(parent.run_id) if parent and lineage.parent_is_there else None,
        "changes": lineage.changes,
        "forks": [(address(run_id), run_id, epoch) for run_id, epoch in lineage.named_forks],
        "more": lineage.more_forks,
    }


def _question(
    stored: StoredRun, question: Question | None, keys: FormKeys, typed: Mapping[str, str]
) -> dict[str, Any] | None:
    if question is None:
        return None
    return {
        "asked": question,
        "is": question.fingerprint,
        "key": form_key(stored, question.fingerprint, keys),
        "inputs": inputs_of(question, typed),
        "names": [field.name for field in question.fields],
    }


def form_key(stored: StoredRun, question: str, keys: FormKeys) -> str:
    """The key of the form that answers the question of that fingerprint."""
    return keys.key(*form_about(stored, question))


def form_about(stored: StoredRun, question: str) -> tuple[str, str, str]:
    """What the key of a form is about."""
    return stored.folder.project, stored.folder.run_id, question


def _answered(stored: StoredRun) -> Asked | None:
    """What was answered and nothing has gone on with yet."""
    return stored.run.reviews[-1] if stored.run.is_answered else None


def _time(stored: StoredRun) -> dict[str, Any]:
    steps = _steps(stored)
    open_step = steps[-1] if steps and steps[-1].ended is None else None
    return {
        "steps": len(steps),
        "in_burr": STEPS,
        "before_those": steps[-STEPS].sequence_id if len(steps) > STEPS else None,
        "path": path_items(steps),
        "timeline": timeline(steps) if steps else None,
        "open_step": open_step,
    }


def _steps(stored: StoredRun) -> Sequence[Step]:
    """The machine's steps; none where the tracker's folder has a name that no folder can have."""
    try:
        return stored.run.path
    except ValueError:
        return ()
