"""Errors of calls that run in processes of their own."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from .base import BurrLightningError
from .listed import listed
from .training import UnknownMetricError


class NameTakenError(BurrLightningError, ValueError):
    """A study is to have the name of a run, or a run that of a study.

    Attributes:
        run_id: The name.
    """

    def __init__(self, call: str, run_id: str, other: str, where: str) -> None:
        self.run_id = run_id
        super().__init__(
            f"{call}: there is a {other} of that name in {where}, and each has a folder of its own. Give "
            f"this one another run_id."
        )


class ExecutorClosedError(BurrLightningError, RuntimeError):
    """The executor of a study takes no trials any more.

    Attributes:
        executor: What it is.
    """

    def __init__(self, study_id: str, executor: object) -> None:
        self.executor = type(executor).__name__
        super().__init__(
            f"Study({study_id!r}, executor={self.executor}).run(): this executor was shut down, and takes no "
            f"trials any more; an interrupted study ends what it was given to run trials with. Make the "
            f"study again with a new executor: it goes on where it stands."
        )


class NoTrialFinishedError(BurrLightningError, RuntimeError):
    """A study has ended, and every one of its trials has failed.

    Attributes:
        study_id: The study.
        reason: Why the newest one failed: its traceback, or how its process died.
    """

    def __init__(self, study_id: str, trials: int, reason: str) -> None:
        self.study_id, self.reason = study_id, reason
        which = "its only trial" if trials == 1 else f"all of its {trials} trials"
        super().__init__(
            f"Study {study_id!r} is over, and {which} failed. They are not run again; study.trials has what "
            f"became of each. When the cause is mended, start a new study, or give this one more n_trials. "
            f"The newest one:\n{reason.strip()}"
        )


class UnknownMonitorError(UnknownMetricError):
    """A trial of a study has trained, and nothing has logged the metric that the study monitors.

    Attributes:
        study_id: The study.
        trial: The trial.
    """

    def __init__(self, study_id: str, monitor: str, available: Iterable[str], trial: int) -> None:
        super().__init__(monitor, available, f"Study({study_id!r}, monitor={monitor!r})")
        self.study_id, self.trial = study_id, trial
        close = get_close_matches(monitor, self.available, n=1)
        meant = f" Did you mean {close[0]!r}?" if close else ""
        self.args = (
            f"Study({study_id!r}, monitor={monitor!r}).run(): trial {trial} has trained, and nothing logged "
            f"{monitor!r}. No trial has a value, and the others would train for nothing. Metrics that it "
            f"logged: {listed(self.available)}.{meant} Run the study again with a monitor of these, or with "
            f"self.log({monitor!r}, ...) in the module: it goes on with the same trials. Where it is logged "
            f"only every few epochs, or only with some hyperparameters: return the trial's value from the "
            f"objective; or run it again as it is: then such a trial fails and the search goes on. A trial "
            f"that has trained to its end without it is not trained again; for that, give the study another "
            f"run_id or delete it: burr-lightning study delete {study_id}.",
        )


class ExecutorBrokenError(BurrLightningError, RuntimeError):
    """The executor of a study can run nothing any more, since one of its processes has died.

    Attributes:
        study_id: The study.
        trials: Those that it ran then: one of them may have been the cause.
    """

    def __init__(self, study_id: str, executor: str, trials: Sequence[int], why: str) -> None:
        self.study_id, self.trials = study_id, list(trials)
        ran = ", ".join(map(str, self.trials))
        running = f" Trials {ran} ran then, and wait to be gone on with." if ran else ""
        super().__init__(
            f"Study({study_id!r}, executor={executor}(...)): the executor is broken, and runs nothing any "
            f"more: {why.rstrip('.')}.{running} What was done is stored. Run the study again with a new "
            f"executor, or leave executor= out: then each trial has a process of its own, and one that dies "
            f"takes no other with it."
        )


class ProcessDiedError(BurrLightningError, RuntimeError):
    """A process ended before the call that it ran had returned.

    Attributes:
        exitcode: What it exited with, a signal's number with a minus for one that was killed, ``None`` where
            that is not known.
        pid: The process.
        slot: Where it ran, 0-based.
    """

    def __init__(
        self,
        exitcode: int | None,
        pid: int | None = None,
        slot: int | None = None,
        call: str = "a call",
    ) -> None:
        self.exitcode, self.pid, self.slot = exitcode, pid, slot
        who = "The process" if pid is None else f"Process {pid}"
        where = "" if slot is None else f" in slot {slot}"
        super().__init__(
            f"{who}, which ran {call}{where}, {_end(exitcode)} before the call returned. What it had "
            f"committed is stored, the rest is gone. Other calls go on, and the slot is free for another."
        )


def _end(exitcode: int | None) -> str:
    if exitcode is None:
        return "was given up, because the fork server that had started it was gone,"
    if exitcode >= 0:
        return f"ended with exit code {exitcode}"
    try:
        name = signal.Signals(-exitcode).name
    except ValueError:
        name = f"signal {-exitcode}"
    killers = " (the system does that where memory runs out, and stop() where its grace is over)"
    why = killers if name == "SIGKILL" else ""
    return f"was killed by {name}{why}"


class ProcessLostError(ProcessDiedError):
    """A process of a cluster is gone, or out of reach, and the call that it ran has not returned.

    Attributes:
        node: The address of its machine, ``None`` where it had not begun.
        why: What became of it.
    """

    def __init__(self, call: str, why: str, node: str | None = None, pid: int | None = None) -> None:
        super().__init__(None, pid, None, call)
        self.node, self.why = node, why
        where = "" if node is None else f", which process {pid} on {node} ran,"
        self.args = (
            f"{call}{where} was lost: {why}. What it had committed is stored, the rest is gone. Other calls "
            f"go on.",
        )


class ProcessNotStartedError(BurrLightningError, RuntimeError):
    """A call could not begin: no process could be started for it, or that could not import what it needs.

    Attributes:
        call: The call.
        why: What happened, with a traceback where it happened in the process.
    """

    def __init__(self, call: str, why: str, script: str | None = None) -> None:
        self.call, self.why = call, why
        imported = (
            f"Each process imports your script {script} again. What is to run once belongs there below "
            f'`if __name__ == "__main__":`, and what the call uses above it. '
        )
        super().__init__(
            f"{call} was not begun: {why.strip()}\n{imported if script else ''}Other calls go on."
        )


class NestedStudyError(BurrLightningError, RuntimeError):
    """A process of a call imports the user's script, and that begins the study again."""

    def __init__(self, call: str) -> None:
        super().__init__(
            f"{call}: this is a process that was started to run one call; it imports your script, which "
            f'would start everything again. Put what starts it below `if __name__ == "__main__":`, or into '
            f"a function that is called there."
        )


class NotPickledError(BurrLightningError, TypeError):
    """Something cannot be sent to another process.

    Attributes:
        why: What pickle said.
    """

    def __init__(self, what: str, why: str, advice: str) -> None:
        self.why = why
        super().__init__(f"{what} cannot be sent to another process: {why.rstrip('.')}. {advice}")


class ResultNotPickledError(BurrLightningError, TypeError):
    """What a call returned cannot be sent back.

    Attributes:
        type_name: What kind of value it was.
        why: What pickle said.
    """

    def __init__(self, call: str, type_name: str, why: str) -> None:
        self.type_name, self.why = type_name, why
        super().__init__(
            f"{call} returned a value of {type_name}, which cannot be sent back from its process: "
            f"{why.rstrip('.')}. Return numbers, texts, arrays, or the path of a file that holds the rest."
        )


class RemoteError(BurrLightningError, RuntimeError):
    """A call raised an exception that cannot be sent back: this is what it was, in words.

    Attributes:
        type_name: The exception's type.
        message: What it said.
        traceback: Where it was raised.
    """

    def __init__(self, call: str, type_name: str, message: str, traceback: str) -> None:
        self.type_name, self.message, self.traceback = type_name, message, traceback
        super().__init__(f"{call} raised {type_name}: {message}\n\n{traceback}")
