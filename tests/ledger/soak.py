"""Tasks of the soak (tests/soak): each marks first that it began, and last that it ended.

The marks stand thousands of writes a second from many processes: one file per process, one append per
mark. Nothing is synchronised to the disk, for only processes die in a soak, never the machine.
"""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from django.db import InterfaceError, OperationalError, connections

from taskcenter import task
from taskcenter.context import TaskContext

VARIABLE = "SOAK_MARKS"
"""Names the folder of the files."""
ENOUGH = 50
"""Crashes that a good task survives: more than random kills can do to one."""
PATIENCE = 2.0
"""Seconds a patient task waits to be cancelled."""


class Refused(Exception):
    """What a failing task raises."""


@task(takes_context=True, max_crashes=ENOUGH)
def quick(context: TaskContext) -> dict[str, int]:
    """Nothing at all."""
    with _marked(context):
        return _answer(context)


@task(takes_context=True, max_crashes=ENOUGH)
def nap(context: TaskContext, seconds: float) -> dict[str, int]:
    with _marked(context):
        time.sleep(seconds)
        return _answer(context)


@task(takes_context=True, max_crashes=ENOUGH)
def travel(context: TaskContext, seconds: float) -> dict[str, int]:
    """Long work that tells how far it is."""
    with _marked(context):
        for _ in context.progress.track(range(10), "on the way"):
            time.sleep(seconds / 10)
        return _answer(context)


@task(takes_context=True, max_crashes=ENOUGH)
def write(context: TaskContext) -> dict[str, int]:
    """A report that says which attempt made it."""
    with _marked(context):
        _insist(lambda: context.report(title="Soak", data=_answer(context)))
        return _answer(context)


@task(takes_context=True, max_crashes=ENOUGH, max_attempts=5, backoff=[0.1, 0.3])
def stumble(context: TaskContext, times: int) -> dict[str, int]:
    """Fail so many times, and then do the work."""
    with _marked(context):
        if context.row.failures < times:
            raise Refused("not yet")
        return _answer(context)


@task(takes_context=True, max_crashes=ENOUGH, max_attempts=2, backoff=[0.2])
def refuse(context: TaskContext) -> None:
    """Fail for good."""
    with _marked(context):
        raise Refused("never")


@task(takes_context=True, max_crashes=ENOUGH)
def snooze(context: TaskContext, times: int) -> dict[str, int]:
    """Put it off so many times, and then do the work."""
    with _marked(context):
        taken = context.metadata.get("snoozed", 0)
        if taken < times:
            context.metadata["snoozed"] = taken + 1
            _insist(context.save_metadata)
            context.snooze(0.2)
        return _answer(context)


@task(takes_context=True, max_crashes=ENOUGH)
def listen(context: TaskContext) -> dict[str, int]:
    """Wait to be cancelled, but not for ever."""
    with _marked(context):
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            context.raise_if_cancelled()
            time.sleep(0.02)
        return _answer(context)


@task(takes_context=True, max_crashes=0)
def once(context: TaskContext, seconds: float) -> dict[str, int]:
    """Must never be begun twice."""
    with _marked(context):
        time.sleep(seconds)
        return _answer(context)


@task(takes_context=True, max_crashes=3)
def poison(context: TaskContext) -> None:
    """Take the process down, each time."""
    with _marked(context):
        os.kill(os.getpid(), signal.SIGKILL)


def _answer(context: TaskContext) -> dict[str, int]:
    return {"attempt": context.attempt}


def _insist(action: Callable[[], Any]) -> None:
    """A careful task's way with a database that restarts: its own statements are its own to repeat."""
    while True:
        try:
            action()
        except (OperationalError, InterfaceError):
            connections.close_all()
            time.sleep(0.1)
        else:
            return


@contextmanager
def _marked(context: TaskContext) -> Iterator[None]:
    """Around a whole body; one that raises has not ended."""
    _mark("begin", context)
    yield
    _mark("end", context)


def _mark(word: str, context: TaskContext) -> None:
    line = f"{word} {context.row.id.hex} {context.attempt} {os.getpid()} {time.monotonic():.4f}\n"
    os.write(_file_of(os.getpid()), line.encode())


@cache
def _file_of(pid: int) -> int:
    """The descriptor of this process's own file; the system may give the same pid twice, hence the rest."""
    path = f"{os.environ[VARIABLE]}/{pid}-{uuid.uuid4().hex}.txt"
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
