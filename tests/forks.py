"""Real processes for the tests, forked from one that has imported everything: each starts in milliseconds.

They are not forked from the test's own process, whose threads and signal handlers they would inherit.
"""

import multiprocessing
import os
import sys
import time
from multiprocessing import forkserver
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
_PRELOADED = ["pytest", "killed", "burr_lightning.testing"]
_PATIENCE = 600.0
"""Seconds without a word after which a child hangs, whatever the machine is doing."""

_told = None


def tell(*message):
    """In a child: say something to its parent. A message that was sent outlives a kill."""
    if _told is not None:
        _told.send(message)


class Child:
    """A process that runs a function of a module, and tells what happens in it.

    It has this process's environment and working folder, and one thread for torch. What it prints goes
    into a file.
    """

    def __init__(self, function, *args, log="child.log"):
        self._log = Path(log).absolute()
        self._messages, told = _CONTEXT.Pipe(duplex=False)
        surroundings = (told, dict(os.environ), os.getcwd(), str(self._log))
        self._process = _CONTEXT.Process(target=_run, args=(surroundings, function, args))
        _start_server()
        self._process.start()
        told.close()

    @property
    def pid(self):
        return self._process.pid

    @property
    def printed(self):
        """What it has printed so far."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def hears(self, seconds=None):
        """The next message; ``None`` when none came for so long, `EOFError` when none will come."""
        if self._messages.poll(_PATIENCE if seconds is None else max(0.0, seconds)):
            return self._messages.recv()
        if seconds is None:
            self.kill()
            raise AssertionError(f"Child {self.pid} hangs. It printed:\n{self.printed[-3000:]}")
        return None

    def waits_for(self, *beginning):
        """The first message that begins like this."""
        while True:
            message = self.hears()
            if message[: len(beginning)] == beginning:
                return message

    def rest(self):
        """All messages until the child is no more."""
        messages = []
        try:
            while True:
                messages.append(self.hears())
        except EOFError:
            return messages

    def send_signal(self, number):
        os.kill(self.pid, number)

    def kill(self):
        self._process.kill()

    def ended(self):
        """Its exit status: negative is the signal that ended it."""
        self._process.join(_PATIENCE)
        assert self._process.exitcode is not None, f"Child {self.pid} hangs:\n{self.printed[-3000:]}"
        status = self._process.exitcode
        self._messages.close()
        self._process.close()
        return status


def _start_server():
    """The server imports with this process's search path, which it is told through the environment only."""
    known = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    try:
        _CONTEXT.set_forkserver_preload(_PRELOADED)
        forkserver.ensure_running()
    finally:
        if known is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = known


def _run(surroundings, function, args):
    global _told
    _told, environment, folder, log = surroundings
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    os.chdir(folder)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    import torch

    torch.set_num_threads(1)
    function(*args)
