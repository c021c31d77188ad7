"""Errors of runs as they are stored, and of going on with them."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path

from .base import BurrLightningError
from .listed import listed


class ResumeError(BurrLightningError, RuntimeError):
    """A run cannot go on from where it stopped."""


class PersisterError(ResumeError):
    """The rows of a run cannot be written or read.

    Attributes:
        run_id: The run.
        step: The step of the machine whose row it is, ``None`` where no row was to be written.
        store: Where the rows are, without a password.
        error: The last error, in words.
    """

    def __init__(self, run_id: str, step: int | None, store: str, error: str, rule: str) -> None:
        self.run_id, self.step, self.store, self.error = run_id, step, store, error
        what = "read its rows from" if step is None else f"write the row of step {step} to"
        super().__init__(f"Run {run_id!r} cannot {what} {store}: {error}. {rule}")


class UnreadableRowError(ResumeError):
    """One row of a run is damaged.

    Attributes:
        run_id: The run.
        sequence_id: The step of the machine whose row it is, ``None`` where that cannot be found out.
        store: Where the rows are, without a password.
        error: What is wrong with it, in words.
        older: How many rows before it are damaged too.
    """

    def __init__(
        self, run_id: str, sequence_id: int | None, store: str, error: str, *, older: int = 0
    ) -> None:
        self.run_id, self.sequence_id, self.older = run_id, sequence_id, older
        self.store, self.error = store, error
        which = "its newest row" if sequence_id is None else f"the row of step {sequence_id}"
        too = f", and {older} before it" if older else ""
        super().__init__(
            f"Run {run_id!r}: {which} in {store} is damaged ({error}){too}. Restore the database from a "
            f"backup, or start a new run with another run_id."
        )

    def with_older(self, count: int) -> UnreadableRowError:
        """The same, of so many rows before it too: one error for a run, which can have thousands of them."""
        return UnreadableRowError(self.run_id, self.sequence_id, self.store, self.error, older=count)


class LostRowsError(ResumeError):
    """A run has checkpoints, and the database that was given has no row of it.

    Attributes:
        folder: The run's folder.
        store: Where its rows were looked for.
    """

    def __init__(self, run_id: str, folder: str, epoch: int, store: str, trained_with: str | None) -> None:
        self.folder, self.store = folder, store
        before = f" It was trained with persister={trained_with!r}." if trained_with else ""
        super().__init__(
            f"Run {run_id!r} has checkpoints up to epoch {epoch} in {folder}, and {store} has no row of the "
            f"newest: its folder was moved without its database, or this is another database.{before} Put "
            f"the rows back (state.sqlite, with state.sqlite-wal where there is one, beside the projects' "
            f"folders; or the persister= that it was trained with). To start a new run instead, move the "
            f"folder away or give another run_id."
        )


class LostStudyRowsError(ResumeError):
    """A study was run before, and the database that was given has no row of it.

    Attributes:
        folder: The study's folder.
        store: Where its rows were looked for.
    """

    def __init__(self, study_id: str, folder: str, store: str, begun_with: str | None) -> None:
        self.folder, self.store = folder, store
        before = f" It was run with persister={begun_with!r}." if begun_with else ""
        super().__init__(
            f"Study({study_id!r}).run(): the study was run before, as {folder} says, and {store} has no row "
            f"of it: its folder was moved without its database, or this is another database.{before} Put the "
            f"rows back (state.sqlite, with state.sqlite-wal where there is one, beside the projects' "
            f"folders; or the persister= that it was run with). To start a new study instead, move the "
            f"folder away or give another run_id."
        )


class DataChangedError(ResumeError):
    """The data of a resumed run is not the data that it was started on.

    Attributes:
        changes: For each place that differs, the value of then and the value of now.
    """

    def __init__(self, run_id: str, changes: dict[str, tuple[object, object]]) -> None:
        self.changes = changes
        listed = "; ".join(f"{where}: was {was}, is {now}" for where, (was, now) in changes.items())
        super().__init__(
            f"Run {run_id!r} was started on other data ({listed}). A resumed run must go on with the "
            f"data it began with: restore it, or start a new run with another run_id."
        )


class CommitError(BurrLightningError, RuntimeError):
    """A checkpoint could not be written; the commit before it is untouched.

    Attributes:
        run_id: The run.
        path: Where the checkpoint was to be.
    """

    def __init__(self, run_id: str, path: Path, error: OSError) -> None:
        self.run_id = run_id
        self.path = path
        super().__init__(
            f"Run {run_id!r}: the checkpoint {path.name} could not be written to {path.parent} ({error}). "
            f"The commit before it is whole. Make room or access there and start the same script again: "
            f"it goes on from that commit."
        )


class CopyError(BurrLightningError, RuntimeError):
    """The copy of a run's files at a URL cannot be written or read.

    Attributes:
        run_id: The run.
        url: Where the copy is, without a password.
        error: The last error, in words.
    """

    def __init__(self, run_id: str, what: str, url: str, error: str, *, is_write: bool) -> None:
        self.run_id, self.url, self.error = run_id, url, error
        then = (
            "The last commit is safe, here and there. When it can be written again, run the same script: it "
            "goes on from that commit."
            if is_write
            else "Nothing was changed. Try again when it can be read."
        )
        super().__init__(
            f"Run {run_id!r} cannot {what} {url}: {error}. {then} What fsspec needs for such a URL is given "
            f"with Checkpoints(storage_options=...), or in the environment."
        )


class OlderCheckpointError(ResumeError):
    """A checkpoint was written by an early version, which kept too little for a run to go on.

    Attributes:
        run_id: The run.
        missing: What it does not hold.
    """

    def __init__(self, run_id: str, missing: Iterable[str]) -> None:
        self.run_id, self.missing = run_id, sorted(missing)
        super().__init__(
            f"Run {run_id!r}: its checkpoint was written by an early version of burr_lightning, which kept "
            f"less than a run needs to go on (it lacks {', '.join(self.missing)}). End the run with that "
            f"version; or take its weights out with 'burr-lightning export {run_id} --weights FILE', load "
            f"them into the module, and start a new run with another run_id."
        )


class NoCheckpointError(BurrLightningError, LookupError):
    """A checkpoint was asked for that is not there, or holds too little."""


class RunLockedError(BurrLightningError, RuntimeError):
    """Another process owns this run.

    Attributes:
        run_id: The run.
        holder: What the other process wrote about itself.
    """

    _ONE, _DONE = "run", "trained"

    def __init__(self, run_id: str, holder: str) -> None:
        self.run_id = run_id
        self.holder = holder
        super().__init__(
            f"{self._ONE.capitalize()} {run_id!r} is being {self._DONE} by {holder}. "
            f"Wait for it, stop it, or start a {self._ONE} of your own with another run_id."
        )


class StudyLockedError(RunLockedError):
    """Another process runs this study.

    Attributes:
        run_id: The study.
        holder: What the other process wrote about itself.
    """

    _ONE, _DONE = "study", "run"


class RunNotFoundError(BurrLightningError, LookupError):
    """No stored run has this name, or more than one may be meant.

    Attributes:
        wanted: What was asked for.
        available: The runs that exist there, or those that may be meant.
    """

    _ONE, _ALL = "run", "Runs"

    def __init__(self, wanted: str, available: Iterable[str], where: str, *, several: bool = False) -> None:
        self.wanted = wanted
        self.available = sorted(available)
        known = listed(self.available)
        if several:
            text = f"{wanted!r} may mean {known} in {where}. Give more of the id, or its project."
        else:
            text = f"No {self._ONE} matches {wanted!r} in {where}. {self._ALL} there: {known}."
        super().__init__(text)


class StudyNotFoundError(RunNotFoundError):
    """No stored study has this name, or more than one may be meant.

    Attributes:
        wanted: What was asked for.
        available: The studies that exist there, or those that may be meant.
    """

    _ONE, _ALL = "study", "Studies"


class UnreadableStudyError(StudyNotFoundError):
    """A study of this name is stored, and the file that says what it is cannot be read.

    Attributes:
        wanted: The study.
        available: Nothing.
    """

    def __init__(self, wanted: str, path: str) -> None:
        self.wanted, self.available = wanted, []
        Exception.__init__(
            self,
            f"Study {wanted!r} cannot be opened: {path} is torn, or another version's. Its rows are stored "
            f"elsewhere: run its script again, which writes the file anew and goes on with the study.",
        )


class IsAStudyError(RunNotFoundError):
    """What is asked for as a run is a study, whose trials are runs.

    Attributes:
        wanted: The study.
        available: Nothing.
        project: Its project.
        where: The folder of all runs.
    """

    def __init__(self, wanted: str, project: str, where: str, *, to_delete: bool = False) -> None:
        self.wanted, self.available = wanted, []
        self.project, self.where = project, where
        name = "delete" if to_delete else "show"
        command = ["burr-lightning", "study", name, wanted, "--project", project, "--root-dir", where]
        opens = f"Study.open({wanted!r}, {project!r}) opens it, and this shows it"
        what = "This deletes it, with the runs of its trials" if to_delete else opens
        Exception.__init__(
            self,
            f"{wanted!r} in {where} is a study, and no run: its trials are. {what}: {shlex.join(command)}",
        )


class UnreadableRunError(RunNotFoundError):
    """A run of this name is stored, and the file that says what it is cannot be read.

    Attributes:
        wanted: The run.
        available: Nothing.
        why: Why it cannot, in words.
    """

    def __init__(self, wanted: str, project: str, where: str, why: str) -> None:
        self.wanted, self.available, self.why = wanted, [], why
        command = ["burr-lightning", "delete", wanted, "--project", project, "--root-dir", where]
        Exception.__init__(
            self,
            f"Run {wanted!r} in {where} cannot be opened: {why}. To have the file written anew, run its "
            f"script again; to delete the run: {shlex.join(command)}",
        )
