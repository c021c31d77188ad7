"""Scripts that go on beside the test, each a process that has imported everything already when it begins."""

import os
import runpy
import signal
import sys
import warnings
from contextlib import suppress
from multiprocessing import Pipe
from pathlib import Path

from forks import Child


class ScriptProcess:
    """What ``python path arguments...`` is in a session of its own, but for the seconds of importing.

    Args:
        path: The script.
        arguments: What stands behind it.
        environment: The variables that it has.
        log: A file for what it says on stderr.
    """

    def __init__(self, path, *arguments, environment, log):
        ours, theirs = Pipe(duplex=False)
        command = [str(path), *map(str, arguments)]
        with ours, theirs:
            self._child = Child(_run, command, dict(environment), theirs, log=log)
            self.stdout = os.fdopen(os.dup(ours.fileno()))
        self.pid, self._code = self._child.pid, None

    def send_signal(self, number):
        self._child.send_signal(number)

    def kill(self):
        self._child.kill()

    def wait(self):
        """Its exit code, as `subprocess.Popen` has it."""
        if self._code is None:
            self._code = self._child.ended()
        return self._code

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._code is None:
            with suppress(ProcessLookupError):  # it has ended, or not begun
                os.killpg(self.pid, signal.SIGKILL)
            self.kill()
            self.wait()
        self.stdout.close()


def _run(command, environment, output):
    os.setsid()
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may run under nohup
    os.environ.clear()
    os.environ.update(environment)
    os.dup2(output.fileno(), 1)
    output.close()
    sys.argv[:] = command
    sys.path.insert(0, str(Path(command[0]).parent))
    warnings.resetwarnings()
    try:
        runpy.run_path(command[0], run_name="__main__")
    except KeyboardInterrupt:  # as Python ends by it
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
