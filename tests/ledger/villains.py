"""Tasks for the fault tests that hurt their slot, or that outlast what is done to it."""

from __future__ import annotations

import ctypes
import itertools
import math
import signal
import sys
import threading
import time
from typing import Any

from taskcenter import task
from taskcenter.context import TaskContext

from .book import book

_hoard: list[bytes] = []


@task(takes_context=True, max_attempts=100, max_crashes=100, backoff=[0.1])
def patient(context: TaskContext) -> dict[str, int]:
    """Begin and end; tried again whatever the database does to it."""
    book().begin(context.row.id, context.attempt)
    return _close(context)


@task(takes_context=True)
def linger(context: TaskContext) -> dict[str, int]:
    """Do all the work, and return when the test opens this attempt's gate."""
    book().begin(context.row.id, context.attempt)
    context.report(title="Linger", data={"attempt": context.attempt})
    _wait_for_gate(context)
    book().end(context.row.id, context.attempt)
    return {"attempt": context.attempt}


@task(takes_context=True)
def sulk(context: TaskContext) -> None:
    """Raise when the test opens this attempt's gate."""
    book().begin(context.row.id, context.attempt)
    _wait_for_gate(context)
    raise ValueError("it sulks")


@task(takes_context=True)
def spin(context: TaskContext, seconds: float) -> dict[str, int]:
    """Nothing but Python, which gives the other thread of the slot its turn now and then."""
    book().begin(context.row.id, context.attempt)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass
    return _close(context)


@task(takes_context=True)
def numb(context: TaskContext, seconds: int) -> dict[str, int]:
    """A function written in C that keeps Python's lock all the while: no other thread of the slot runs."""
    book().begin(context.row.id, context.attempt)
    _sleep_with_the_lock(seconds)
    return _close(context)


@task(takes_context=True, timeout=0.2, max_attempts=2, backoff=[0.1])
def deaf_at_first(context: TaskContext) -> dict[str, int]:
    """The first attempt hears nothing of its time limit."""
    book().begin(context.row.id, context.attempt)
    while context.attempt == 1:
        try:
            time.sleep(60)
        except BaseException:  # noqa: BLE001 S112 the worst kind of task
            continue
    return _close(context)


@task(takes_context=True, timeout=0.2, max_attempts=2, backoff=[0.1])
def numb_at_first(context: TaskContext) -> dict[str, int]:
    """The first attempt keeps Python's lock: not even a signal's handler runs."""
    book().begin(context.row.id, context.attempt)
    if context.attempt == 1:
        sum(itertools.repeat(0, 10**12))  # for hours
    return _close(context)


@task(takes_context=True)
def glutton(context: TaskContext) -> dict[str, int]:
    """The first attempt takes memory bit by bit, until somebody ends it."""
    book().begin(context.row.id, context.attempt)
    while context.attempt == 1:
        if len(_hoard) < 200:
            _hoard.append(b"x" * (1024 * 1024))
        time.sleep(0.01)
    return _close(context)


@task(takes_context=True)
def tell_time(context: TaskContext) -> dict[str, float]:
    """What the clock of its worker shows."""
    book().begin(context.row.id, context.attempt)
    return {**_close(context), "time": time.time()}


@task(takes_context=True, max_attempts=2, backoff=[4])
def trip(context: TaskContext) -> dict[str, int]:
    """Fail once, and do the work seconds later."""
    book().begin(context.row.id, context.attempt)
    if context.attempt == 1:
        raise ConnectionError("not yet")
    return _close(context)


@task(takes_context=True, max_attempts=3)
def bring(context: TaskContext, what: str) -> Any:
    """Return what cannot be kept."""
    book().begin(context.row.id, context.attempt)
    return _PRESENTS[what]()


def _deep() -> Any:
    """Deeper than PostgreSQL reads; a task that raises Python's own limit gets that far."""
    sys.setrecursionlimit(100_000)
    value: Any = 1
    for _ in range(20_000):
        value = [value]
    return value


_PRESENTS: dict[str, Any] = {
    "object": object,
    "nan": lambda: {"mean": math.nan},
    "nul": lambda: "a\0b",
    "surrogate": lambda: "\ud800",
    "large": lambda: "x" * (1024 * 1024),
    "deep": _deep,
}


def _wait_for_gate(context: TaskContext) -> None:
    while not book().gate_is_open(context.attempt):
        time.sleep(0.02)


def _sleep_with_the_lock(seconds: int) -> None:
    ctypes.PyDLL(None).sleep(seconds)  # not CDLL, which would let it go


def _close(context: TaskContext) -> dict[str, int]:
    context.report(title="Villain", data={"attempt": context.attempt})
    book().end(context.row.id, context.attempt)
    return {"attempt": context.attempt}


@task(takes_context=True)
def stuck_in_sleep(context: TaskContext) -> None:
    book().begin(context.row.id, context.attempt)
    _asleep_for_ever()


@task(takes_context=True)
def stuck_in_c(context: TaskContext) -> None:
    """In a loop written in C that keeps Python's lock and looks for no signals."""
    book().begin(context.row.id, context.attempt)
    _count_for_ever()


@task(takes_context=True)
def threaded(context: TaskContext) -> None:
    """Starts a thread, whose stack is of less interest than its own."""
    beside = threading.Thread(target=_beside_the_task, daemon=True)
    beside.start()
    book().begin(context.row.id, context.attempt)
    _in_the_task()


@task(takes_context=True)
def own_signals(context: TaskContext) -> dict[str, int]:
    """Uses the two signals that are there for the use of programs."""
    heard: list[int] = []
    for number in (signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, lambda number, _: heard.append(number))
    book().begin(context.row.id, context.attempt)
    while len(heard) < 2:
        time.sleep(0.02)
    return _close(context)


@task(takes_context=True)
def deaf_signals(context: TaskContext) -> dict[str, int]:
    """Has every signal do what it does by default, as some libraries have it, and goes on at its gate."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM, signal.SIGALRM}:
        signal.signal(number, signal.SIG_DFL)
    book().begin(context.row.id, context.attempt)
    _wait_for_gate(context)
    return _close(context)


def _asleep_for_ever() -> None:
    time.sleep(10**6)


def _count_for_ever() -> None:
    sum(itertools.repeat(0, 10**13))


def _beside_the_task() -> None:
    threading.Event().wait()


def _in_the_task() -> None:
    threading.Event().wait()
