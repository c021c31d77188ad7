"""Functions that the tests of local processes run; nothing heavy is imported, since each process does it."""

import ctypes
import os
import signal
import socket
import sys
import threading
import time
from contextlib import suppress

import numpy

calls = 0


def count():
    """How often this process has been called."""
    global calls
    calls += 1
    return calls


def process():
    return os.getpid(), os.getppid()


def give(value):
    return value


def tell(path, *words):
    """Say something in one write, which stays whole beside those of others."""
    with open(path, "ab", buffering=0) as told:
        told.write(" ".join(map(str, words)).encode() + b"\n")


def tell_and_wait(told, name, gate):
    """Say where this runs, and wait to be let on."""
    tell(told, name, os.getpid())
    wait_at(gate)
    return name


def wait_at(gate):
    with open(gate, "rb", buffering=0) as let_through:
        let_through.read(1)


def crash(how, told=None, gate=None):
    if gate is not None:
        tell_and_wait(told, "crashes", gate)
    if how == "SIGKILL":
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == "SIGSEGV":
        signal.signal(signal.SIGSEGV, signal.SIG_DFL)
        ctypes.string_at(0)
    elif how == "os._exit":
        os._exit(3)
    elif how == "os._exit(0)":
        os._exit(0)
    sys.exit(4)


def leave_one_behind(gate, told):
    """Die, and leave a process that has everything open that this one had."""
    if os.fork() == 0:
        with suppress(BaseException):
            wait_at(gate)
            tell(told, "left behind")
        os._exit(0)
    os.kill(os.getpid(), signal.SIGKILL)


def die_while_it_sends():
    """Give more than goes into a socket, and die when the first bytes of it are gone."""
    sending = socket.socket.sendall

    def sends_a_part(end, data):
        if len(data) > 1_000_000:
            sending(end, data[:1_000_000])
            os.kill(os.getpid(), signal.SIGKILL)
        sending(end, data)

    socket.socket.sendall = sends_a_part
    return bytes(10_000_000)


def fall_over():
    raise ValueError("it fell over")


def interrupt():
    raise KeyboardInterrupt


class OnlyThere(Exception):
    """One that cannot be unpickled."""

    def __init__(self, first, second):
        super().__init__(f"{first} and {second}")


class NeitherHere:
    def __reduce__(self):
        return fall_over, ()


def raise_one_that_stays():
    raise OnlyThere("salt", "pepper")


def raise_one_with_a_lock():
    error = ValueError("locked")
    error.lock = threading.Lock()
    raise error


def give_what_stays():
    return threading.Lock()


def give_what_cannot_be_read():
    return NeitherHere()


def surroundings(name):
    return os.environ.get(name), os.getcwd(), list(sys.path)


def visible():
    return os.environ.get("CUDA_VISIBLE_DEVICES")


def asked_to_end():
    """What can be read once SIGTERM has come, be it before the reading: `signal.pause` would miss that.

    Blocking the signal would not do: the thread that ends with the study would take it.
    """
    asked, asking = os.pipe()
    os.set_blocking(asking, False)
    signal.set_wakeup_fd(asking)
    signal.signal(signal.SIGTERM, lambda *_: None)
    return asked


def end_well(told, name, gate):
    """At SIGTERM: say so, and return."""
    asked = asked_to_end()
    tell(told, name, "begins")
    os.read(asked, 1)
    tell(told, name, "commits")
    wait_at(gate)
    return "committed"


def end_by_no_means(told):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    tell(told, "stubborn", "begins")
    while True:
        time.sleep(3600)


def kill_the_server(told):
    """Begin, and kill the process that this one was forked from."""
    tell(told, "begins", os.getpid())
    os.kill(os.getppid(), signal.SIGKILL)
    while True:
        signal.pause()


def live_on(told, alive):
    """Hold a file open for as long as this process lives."""
    with open(alive, "wb"):
        tell(told, "lives", os.getpid())
        signal.pause()


def signals():
    return [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]


def imported(*names):
    return [name in sys.modules for name in names]


def cuda():
    import torch

    return torch.cuda.is_initialized(), threading.active_count()


def draw():
    return numpy.random.randint(2**31), __import__("random").random()


def threads():
    """How many threads a computation takes here, and what a library that is loaded later is told."""
    import torch

    return torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS")
