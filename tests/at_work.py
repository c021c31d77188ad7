"""Workers as processes, and commands that say where they are and wait to be let on: for the tests."""

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

DEADLINE = 600
"""Seconds after which a test does not wait any more; none comes near it."""

CLI = [
    sys.executable,
    "-c",
    "import sys; sys.path.remove('')\n"  # as an installed command has it, which does not look in the folder
    "from burr_lightning.cli import main; main(prog_name='burr-lightning')",
]

NOTES = 'echo "$BURR_LIGHTNING_RUN_ID" >> '
"""What a shell does to note a run's end in the file that follows."""

ENDS_AS_ASKED = [
    sys.executable,
    "-SEc",  # no shell: one that gets a signal just before it reads goes on to wait for ever
    "import os, signal, sys\n"
    "both = {signal.SIGINT: 9, signal.SIGTERM: 8}\n"
    "signal.pthread_sigmask(signal.SIG_BLOCK, both)\n"
    "with open(sys.argv[1], 'w') as told:\n"
    "    print(os.getppid(), file=told, flush=True)\n"
    "asked = signal.sigwait(both)\n"
    "with open(sys.argv[1], 'w') as told:\n"
    "    print(signal.Signals(asked).name, file=told, flush=True)\n"
    "sys.exit(both[asked])",
]
"""A command that says in the pipe it is given who started it, waits for a signal, and says which came.

SIGTERM or Ctrl-C: it exits with 8 after the one and with 9 after the other.
"""


class Lines:
    """Lines as they come out of a file that other processes write to."""

    def __init__(self, descriptor):
        self._descriptor, self._rest = descriptor, b""
        self.seen = []

    def until(self, wanted, count=1):
        """Wait for as many lines as that, each with a text in it; all that came by now are returned."""
        deadline = time.monotonic() + DEADLINE
        while sum(wanted in line for line in self.seen) < count:
            ready, _, _ = select.select([self._descriptor], [], [], max(deadline - time.monotonic(), 0))
            assert ready, f"no {wanted!r} in {self.seen}"
            read = os.read(self._descriptor, 65536)
            assert read, f"the end, and no {wanted!r} in {self.seen}"
            *lines, self._rest = (self._rest + read).split(b"\n")
            self.seen += [line.decode() for line in lines]
        return self.seen


class Gate:
    """A pipe with a name: a command waits at it until it is let through."""

    def __init__(self, path):
        os.mkfifo(path)
        self.path, self._descriptor = path, os.open(path, os.O_RDWR)

    def let_through(self, commands=1):
        os.write(self._descriptor, b"\n" * commands)


class Told(Lines):
    """A pipe with a name that commands write lines to."""

    def __init__(self, path):
        os.mkfifo(path)
        self.path = path
        super().__init__(os.open(path, os.O_RDWR))


class WorkerProcess(Lines):
    """`burr-lightning work` as a process."""

    def __init__(self, *options):
        command = [*CLI, "work", *map(str, options)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        super().__init__(self.process.stdout.fileno())

    def kill(self):
        self.process.kill()
        self.process.wait(DEADLINE)

    def asked_to_end(self, number=signal.SIGTERM):
        """Ask it to end, and wait for its exit code."""
        self.process.send_signal(number)
        return self.process.wait(DEADLINE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        self.process.stdout.close()


def cli(*arguments, code=0):
    """Run a command of ours, and give what it printed."""
    done = subprocess.run(
        [*CLI, *map(str, arguments)], capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def submit(run_id, *command, **options):
    """Put a command into the queue."""
    given = [word for name, value in options.items() for word in (f"--{name}", value)]
    cli("submit", "--run-id", run_id, *given, "--", *command)


def noted(path):
    """The lines of a file, in order; none where it is not there."""
    return Path(path).read_text().split() if Path(path).exists() else []
