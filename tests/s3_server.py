"""A store that speaks S3, for tests: moto's server, on loopback, which can be gone for a while.

python s3_server.py PORT

A line on stdin is a command, answered by a line: ``stop`` and ``start``. What is stored outlives a stop.
"""

import sys

from moto.server import ThreadedMotoServer
from werkzeug.serving import WSGIRequestHandler

WSGIRequestHandler.protocol_version = "HTTP/1.0"  # no connection outlives a stop


def started(port):
    server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    return server


def main(port):
    server = started(port)
    print("started", flush=True)
    for line in sys.stdin:
        if line.strip() == "stop":
            server.stop()
        else:
            server = started(port)
        print("done", flush=True)
    server.stop()


if __name__ == "__main__":
    main(int(sys.argv[1]))
