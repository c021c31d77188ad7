"""Jobs of a SLURM that is played: its tasks are real processes, its ``scontrol`` a program on their path."""

import os
from contextlib import suppress
from pathlib import Path

from at_work import noted
from forks import Child
from pools import by_and_by
from ports import free_port
from ranked import train

_SCONTROL = """#!/bin/sh
echo "$@" >> asked
ls "$BURR_LIGHTNING_HOME"/*/*/checkpoints > found
[ -e refuses ] && { echo "Job is held" >&2; exit 1; }
[ ! -e tasks ] || kill -TERM $(cat tasks)
"""
"""It queues a job again and ends its tasks, as SLURM does."""


def install_scontrol():
    """Have an ``scontrol`` in the working folder, and give the path to it."""
    programs = Path("programs").absolute()
    programs.mkdir(exist_ok=True)
    (programs / "scontrol").write_text(_SCONTROL)
    (programs / "scontrol").chmod(0o755)
    return f"{programs}{os.pathsep}{os.environ['PATH']}"


def variables(rank, tasks):
    """What SLURM tells a task."""
    return {
        "SLURM_JOB_ID": "4711",
        "SLURM_JOB_NAME": "train",
        "SLURM_NTASKS": str(tasks),
        "SLURM_NTASKS_PER_NODE": str(tasks),
        "SLURM_PROCID": str(rank),
        "SLURM_LOCALID": str(rank),
        "SLURM_NODEID": "0",
        "SLURM_NNODES": "1",
    }


def asked():
    """What ``scontrol`` was asked for."""
    return Path("asked").read_text().splitlines() if Path("asked").exists() else []


class Job:
    """A job that trains one run, once or again and again, in the working folder.

    Args:
        tasks: How many processes it has.
        training: What each of them trains.
    """

    def __init__(self, tasks, training):
        self.tasks, self._training = tasks, training
        self._path = install_scontrol()
        self.times = 0
        self.children = []

    @property
    def found(self):
        """The checkpoints that there were when ``scontrol`` was asked."""
        return Path("found").read_text().splitlines()

    @property
    def printed(self):
        """What the tasks have printed since they were last started."""
        return "\n".join(child.printed for child in self.children)

    def starts(self, **event):
        """Start its tasks, with the number that the job has had from the first."""
        self.times += 1
        port, training = free_port(), self._training.but(**event)
        self.children = [
            Child(
                _as_task, (rank, self.tasks, port, self._path), training, log=f"task-{self.times}-{rank}.log"
            )
            for rank in range(self.tasks)
        ]
        Path("tasks").write_text(" ".join(str(child.pid) for child in self.children))

    def ends(self):
        """How each task has ended, and what it told at last."""
        told = [child.rest() for child in self.children]
        statuses = [child.ended() for child in self.children]
        return statuses, [messages[-1] if messages else None for messages in told]

    def finishes(self):
        """Start it once more, and give how the training has ended on each task."""
        self.starts()
        statuses, told = self.ends()
        assert statuses == [0] * self.tasks, self.printed
        return [ending for _, ending in told]

    def send(self, number, ranks=None):
        """Send a signal to tasks that are still there."""
        for rank in range(self.tasks) if ranks is None else ranks:
            with suppress(ProcessLookupError):
                self.children[rank].send_signal(number)


def _as_task(place, training):
    rank, tasks, port, path = place
    os.environ |= variables(rank, tasks)
    os.environ |= {"PATH": path, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    by_and_by(lambda: str(os.getpid()) in noted("tasks"))  # which ``scontrol`` ends
    train(training)
