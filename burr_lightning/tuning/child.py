"""What runs in the process of one call, up to its end."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from multiprocessing import spawn
from typing import Any, NoReturn

from ..errors import NotPickledError
from ..pickling import in_one_line, packed
from .frames import CHUNK, Frames, framed

Words = tuple[str, str, str]
"""An exception in words: its type, its message and its traceback."""

BEGUN, RETURNED, RAISED, NOT_SENT, NOT_STARTED = "begun", "returned", "raised", "not sent", "not started"

importing = False
"""Whether this is a process of a call, importing the user's script and modules, which begin no study."""


def run(end: socket.socket) -> None:
    """Run the call that comes through a socket, and send back what became of it.

    Args:
        end: This process's end of the socket. That the other end closes means that the study has died, or
            has lost this process: it ends then, whatever it is doing.
    """
    for each in (signal.SIGINT, signal.SIGHUP):  # a terminal sends them to the whole group; the study decides
        signal.signal(each, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    setting, call = _received(end)
    threading.Thread(target=_end_with_the_study, args=(end,), name="end with the study", daemon=True).start()
    try:
        function, args, kwargs = _prepared(setting, call)
    except BaseException as error:  # a script without a guard may do anything, exit as well
        _send(end, NOT_STARTED, None, _words(error))
        return
    _send(end, BEGUN, None, None)
    _send(end, *_outcome(function, args, kwargs))


def _received(end: socket.socket) -> tuple[dict[str, Any], bytes]:
    frames, messages = Frames(), list[bytes]()
    while len(messages) < 2:
        data = end.recv(CHUNK)
        if not data:
            os._exit(1)
        messages += frames.feed(data)
    return pickle.loads(messages[0]), messages[1]


def _end_with_the_study(end: socket.socket) -> NoReturn:
    try:
        while end.recv(CHUNK):
            pass
    finally:
        os._exit(1)


def _prepared(setting: dict[str, Any], call: bytes) -> tuple[Callable[..., Any], Any, Any]:
    """Make this process look as the study did when it submitted the call, and unpack the call."""
    global importing
    os.environ.clear()
    os.environ.update(setting.pop("environment"))  # first: the script below may look for GPUs
    _take_threads(setting.pop("threads", None))
    importing = True
    try:
        spawn.prepare(setting)
        function, args, kwargs = pickle.loads(call)
    finally:
        importing = False
    _reseed()
    return function, args, kwargs


def _take_threads(threads: int | None) -> None:
    """Have a library that the fork server has loaded already take no more threads than are given."""
    if threads is not None and "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)


def _reseed() -> None:
    """Processes that are forked from one would all draw the same numbers; Python's own are seen to."""
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()


def _outcome(function: Callable[..., Any], args: Any, kwargs: Any) -> tuple[str, bytes | None, Words | None]:
    try:
        value = function(*args, **kwargs)
    except SystemExit:
        raise  # the process ends as it was told to
    except BaseException as error:
        error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next  # without this frame
        words = _words(error)
        return RAISED, _packed_error(error), words
    try:
        return RETURNED, packed(value, "the result"), None
    except NotPickledError as error:
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        return NOT_SENT, None, (kind, error.why, "")


def _packed_error(error: BaseException) -> bytes | None:
    if not isinstance(error, Exception):
        return None  # a KeyboardInterrupt of a trial is not one of the study
    error.__traceback__ = None
    try:
        return packed(error, "the exception")
    except NotPickledError:
        return None


def _words(error: BaseException) -> Words:
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    text = "".join(traceback.format_exception(kind, error, error.__traceback__))
    message = in_one_line(error).partition(": ")[2]
    return name, message, text


def _send(end: socket.socket, what: str, value: bytes | None, words: Words | None) -> None:
    end.sendall(framed(pickle.dumps((what, value, words))))
