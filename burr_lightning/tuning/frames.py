"""Whole messages over a socket, which itself knows only bytes."""

from __future__ import annotations

import struct
from collections.abc import Iterator

_LENGTH = struct.Struct(">Q")

CHUNK = 1 << 18
"""Bytes that are read at a time."""


def framed(data: bytes) -> bytes:
    """A message as it is sent: after its length, so that one cut off by a kill is not taken for whole."""
    return _LENGTH.pack(len(data)) + data


class Frames:
    """Puts messages together again.

    Example:
        >>> frames = Frames()
        >>> sent = framed(b"one") + framed(b"two")
        >>> list(frames.feed(sent[:15])), list(frames.feed(sent[15:]))
        ([b'one'], [b'two'])
    """

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take bytes as they come, and give the messages that are whole with them."""
        self._rest += data
        while len(self._rest) >= _LENGTH.size:
            [length] = _LENGTH.unpack_from(self._rest)
            end = _LENGTH.size + length
            if len(self._rest) < end:
                return
            message = bytes(self._rest[_LENGTH.size : end])
            del self._rest[:end]
            yield message
