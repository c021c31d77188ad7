"""Doing something in the instant in which this process touches a file: what another process would do then."""

import sys
from contextlib import contextmanager


@contextmanager
def at_first_touch(event, part, do):
    """Call ``do`` at the first audit event of a kind whose arguments have a text in them.

    Args:
        event: The event, as ``open`` or ``fcntl.flock``.
        part: A part of its first argument as text; empty for any.
        do: What is done then, once.
    """
    waiting = [do]

    def hook(name, arguments):
        if waiting and name == event and part in str(arguments[0]):
            waiting.pop()()

    sys.addaudithook(hook)
    try:
        yield
        assert not waiting, f"there was no {event} of {part}"
    finally:
        waiting.clear()
