"""What can be wrong with a job of the queue."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import BurrLightningError
from ..errors.listed import listed


class JobNotFoundError(BurrLightningError, LookupError):
    """No job of the queue has this name, or more than one may be meant.

    Attributes:
        wanted: What was asked for.
        available: The jobs that there are, or those that may be meant.
    """

    def __init__(self, wanted: str, available: Iterable[str], where: str, *, several: bool = False) -> None:
        self.wanted, self.available = wanted, sorted(available)
        known = listed(self.available)
        if several:
            super().__init__(f"{wanted!r} may mean {known} in {where}. Give more of the id.")
        else:
            super().__init__(f"No job matches {wanted!r} in {where}. Jobs there: {known}.")


class JobExistsError(BurrLightningError, ValueError):
    """A run is to be queued, and a job that is not over trains it.

    Attributes:
        job: That job.
    """

    def __init__(self, run_id: str, job: str) -> None:
        self.job = job
        super().__init__(
            f"submit(run_id={run_id!r}): the job {job!r} is in the queue for that run. Wait for it, take it "
            f"out with 'burr-lightning cancel {job}', or give another run id."
        )


class JobRunningError(BurrLightningError, RuntimeError):
    """A job, or a run of it, has a process.

    Attributes:
        job: The job or the run.
        holder: What the process wrote about itself.
    """

    def __init__(self, job: str, holder: str, advice: str) -> None:
        self.job, self.holder = job, holder
        super().__init__(f"{job!r} is being run by {holder or 'another process'}. {advice}")


class JobOverError(BurrLightningError, RuntimeError):
    """A job is to be taken out of the queue that is in it no more.

    Attributes:
        job: The job.
        state: How it ended.
    """

    def __init__(self, job: str, state: str) -> None:
        self.job, self.state = job, state
        super().__init__(f"The job {job!r} is {state} and does not wait in the queue.")


class CommandNotFoundError(BurrLightningError, FileNotFoundError):
    """The program of a command is not there.

    Attributes:
        program: Its name.
    """

    def __init__(self, program: str) -> None:
        self.program = program
        super().__init__(
            f"There is no program {program!r}, neither here nor on the PATH. Submit what a shell would "
            f"start: burr-lightning submit -- python train.py"
        )


class NoLaunchError(BurrLightningError, LookupError):
    """Nobody wrote down how a run is started.

    Attributes:
        run_id: The run.
    """

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        super().__init__(
            f"How the run {run_id!r} was started is not known: it was started at a prompt, in a notebook, or "
            f"by an older version. Run its script again, or queue it: burr-lightning submit --run-id "
            f"{shlex.quote(run_id)} -- python SCRIPT"
        )


class UnansweredError(BurrLightningError, RuntimeError):
    """A run is to go on that waits for an answer.

    Attributes:
        run_id: The run.
        command: What answers it.
    """

    def __init__(self, run_id: str, question: str, command: str) -> None:
        self.run_id, self.command = run_id, command
        super().__init__(f"The run {run_id!r} waits for an answer to {question!r}. Give it with: {command}")


class QueueError(BurrLightningError, OSError):
    """The queue cannot be read or written.

    Attributes:
        path: Where the runs are.
    """

    def __init__(self, path: Path, error: OSError) -> None:
        self.path = path
        super().__init__(
            f"The queue lies beside the runs in {path}, and it cannot be read or written there ({error}). It "
            f"needs a folder on a disk that knows locks. Make room or access there, or name another folder "
            f"with --root-dir or BURR_LIGHTNING_HOME."
        )


@contextmanager
def told(root: Path) -> Iterator[None]:
    """What the system says of the files of a queue is told with what to do about it.

    Raises:
        QueueError: In the place of an `OSError` that is none of this library.
    """
    try:
        yield
    except BurrLightningError:
        raise
    except OSError as error:
        raise QueueError(root, error) from error


class NotExecutableError(BurrLightningError, PermissionError):
    """The program of a command is a file that nobody may start.

    Attributes:
        program: Its name.
    """

    def __init__(self, program: str) -> None:
        self.program = program
        super().__init__(
            f"{program!r} is there and not executable. Make it so with 'chmod +x {shlex.quote(program)}', or "
            f"submit what reads it: burr-lightning submit -- python {shlex.quote(program)}"
        )


class BackoffError(BurrLightningError, ValueError):
    """A wait that is no number of seconds, or has no end.

    Attributes:
        backoff: What was given.
    """

    def __init__(self, backoff: float) -> None:
        self.backoff = backoff
        super().__init__(f"submit(backoff={backoff!r}): it takes a finite number of seconds, 0 or more.")


class JobDamagedError(BurrLightningError, RuntimeError):
    """A job is to go on, and what is to be done cannot be read.

    Attributes:
        job: The job.
    """

    def __init__(self, job: str, path: Path, why: str) -> None:
        self.job = job
        super().__init__(
            f"The job {job!r} is damaged ({why}). Put {path}/job.json right, or take the job out with "
            f"'burr-lightning cancel {job}' and submit it again."
        )
