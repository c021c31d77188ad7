"""What MongoDB's own driver needs of a server to keep rows, over a real connection.

No package of Debian's, PyPI's or npm's brings MongoDB's server. Where `mongod` is installed the tests use
it as well; this stands in for it, so that the persister and its driver are run, and MongoDB itself is not.
"""

from __future__ import annotations

import socketserver
import struct
import threading
from typing import Any

import bson

_REPLY, _QUERY, _MESSAGE = 1, 2004, 2013


class MongoStandIn(socketserver.ThreadingTCPServer):
    """A server that keeps documents in memory and answers the commands that the persister sends."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int = 0) -> None:
        self.documents: list[dict[str, Any]] = []
        self.unique: list[tuple[str, ...]] = []
        self.asked: list[dict[str, Any]] = []
        self.lose_next_reply_to: str | None = None
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", port), _Connection)

    @property
    def url(self) -> str:
        return f"mongodb://127.0.0.1:{self.server_address[1]}/runs"

    def answer(self, command: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            self.asked.append(command)
            name = next(iter(command))
            return {**getattr(self, f"on_{name.lower()}", lambda command: {})(command), "ok": 1.0}

    def on_hello(self, command: dict[str, Any]) -> dict[str, Any]:
        limits = {"maxBsonObjectSize": 1 << 24, "maxMessageSizeBytes": 48_000_000, "maxWriteBatchSize": 1000}
        return {"helloOk": True, "isWritablePrimary": True, "ismaster": True, "maxWireVersion": 21, **limits}

    on_ismaster = on_hello

    def on_createindexes(self, command: dict[str, Any]) -> dict[str, Any]:
        self.unique += [tuple(index["key"]) for index in command["indexes"] if index.get("unique")]
        return {}

    def on_insert(self, command: dict[str, Any]) -> dict[str, Any]:
        errors = []
        for number, document in enumerate(command["documents"]):
            taken = any(
                all(there.get(key) == document.get(key) for key in keys)
                for keys in self.unique
                for there in self.documents
            )
            if taken:
                errors.append({"index": number, "code": 11000, "errmsg": "E11000 duplicate key error"})
            else:
                self.documents.append(document)
        return {"n": len(command["documents"]) - len(errors), **({"writeErrors": errors} if errors else {})}

    def on_delete(self, command: dict[str, Any]) -> dict[str, Any]:
        before = len(self.documents)
        for wanted in (statement["q"].items() for statement in command["deletes"]):
            kept = [row for row in self.documents if any(row.get(key) != value for key, value in wanted)]
            self.documents[:] = kept
        return {"n": before - len(self.documents)}

    def on_find(self, command: dict[str, Any]) -> dict[str, Any]:
        wanted = command["filter"].items()
        found = [row for row in self.documents if all(row.get(key) == value for key, value in wanted)]
        for key, direction in command.get("sort", {}).items():
            found.sort(key=lambda row, key=key: row[key], reverse=direction < 0)
        batch = found[: command.get("limit") or None]
        return {"cursor": {"id": 0, "ns": f"{command['$db']}.{command['find']}", "firstBatch": batch}}


class _Connection(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        while header := self.rfile.read(16):
            size, number, _, kind = struct.unpack("<iiii", header)
            body = self.rfile.read(size - 16)
            command = _query(body) if kind == _QUERY else _message(body)
            answer = bson.encode(self.server.answer(command))
            if next(iter(command)) == self.server.lose_next_reply_to:
                self.server.lose_next_reply_to = None
                return
            if kind == _QUERY:
                content, kind = struct.pack("<iqii", 8, 0, 0, 1) + answer, _REPLY
            else:
                content = struct.pack("<iB", 0, 0) + answer
            self.wfile.write(struct.pack("<iiii", 16 + len(content), 0, number, kind) + content)


def _query(body: bytes) -> dict[str, Any]:
    return bson.decode(body[body.index(b"\0", 4) + 9 :])


def _message(body: bytes) -> dict[str, Any]:
    command: dict[str, Any] = {}
    at = 4
    while at < len(body):
        kind, at = body[at], at + 1
        size = struct.unpack_from("<i", body, at)[0]
        if kind == 0:
            command = {**bson.decode(body[at : at + size]), **command}
        else:
            end = body.index(b"\0", at + 4)
            command[body[at + 4 : end].decode()] = bson.decode_all(body[end + 1 : at + size])
        at += size
    # The command's own name is the first key, and a sequence of documents may have come before it.
    return dict(
        sorted(command.items(), key=lambda item: isinstance(item[1], list) and item[0] == "documents")
    )
