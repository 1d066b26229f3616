"""Tasks for tests. Those that take a context write in the ledger; the plain ones only answer."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from typing import Any

import django

from taskcenter import task
from taskcenter.context import TaskContext

from .book import book

if django.VERSION < (6, 0):
    from django_tasks import task as django_task
else:
    from django.tasks import task as django_task


@task
def add(a: int, b: int) -> int:
    return a + b


@task
def echo(*args: Any, **kwargs: Any) -> list[Any]:
    return [list(args), kwargs]


@django_task(priority=3)
def plain(a: int) -> int:
    """Written against Django's own API: it knows nothing of TaskCenter."""
    return a + 1


@task
async def add_async(a: int, b: int) -> int:
    return a + b


@task
def boom(message: str = "no") -> None:
    raise ValueError(message)


@task(max_attempts=3, backoff=[7.0, 9.0])
def flaky() -> None:
    raise ConnectionError("not now")


@task
def unkeepable() -> Any:
    return object()


@task(timeout=0.2)
def endless() -> None:
    while True:
        try:
            time.sleep(60)
        except Exception:  # noqa: BLE001 S112 what careless tasks do
            continue


@task
def leave() -> None:
    raise SystemExit(3)


@task(takes_context=True)
def naps(context: TaskContext) -> str:
    if context.attempt == 1:
        context.snooze(30)
    return "rested"


@task(takes_context=True)
def mark(context: TaskContext, number: int = 0) -> dict[str, int]:
    """Begin and end."""
    return _story(context, number)


@task(takes_context=True)
def hold(context: TaskContext) -> dict[str, int]:
    """Go on only when the test opens this attempt's gate; deaf to everything else."""
    ledger = book()  # opened once: a process that is stopped while it reads would lock it for the others
    ledger.begin(context.row.id, context.attempt)
    while not ledger.gate_is_open(context.attempt):
        time.sleep(0.02)
    return _close(context, 0)


@task(takes_context=True)
def steps(context: TaskContext) -> dict[str, int]:
    """Four quarters; the test opens the gate to each."""
    ledger = book()
    ledger.begin(context.row.id, context.attempt)
    for number in range(1, 5):
        while not ledger.gate_is_open(number):
            context.raise_if_cancelled()
            time.sleep(0.02)
        context.progress.set(number / 4, f"step {number}")
    return _close(context, 0)


@task(takes_context=True)
def polite(context: TaskContext) -> dict[str, int]:
    """As `hold`, but hands its work back when its worker is told to stop."""
    book().begin(context.row.id, context.attempt)
    while not book().gate_is_open(context.attempt):
        if context.stopping:
            context.hand_back()
        time.sleep(0.02)
    return _close(context, 0)


@task(takes_context=True)
def last(context: TaskContext) -> dict[str, int]:
    """Ends well as soon as its worker is told to stop."""
    book().begin(context.row.id, context.attempt)
    while not context.stopping:
        time.sleep(0.02)
    return _close(context, 0)


@task(takes_context=True)
def broken(context: TaskContext, number: int = 0, *, for_good: bool = False, then: str = "") -> dict[str, int]:
    """Fails until the test opens gate 0; `for_good` also afterwards; `then` it fails with that text."""
    book().begin(context.row.id, context.attempt)
    if for_good or not book().gate_is_open(0):
        raise LookupError(f"no row {number}")
    if then:
        raise ArithmeticError(then)
    return _close(context, number)


@task(takes_context=True)
def listen(context: TaskContext) -> None:
    """Runs until somebody cancels it."""
    book().begin(context.row.id, context.attempt)
    while True:
        context.raise_if_cancelled()
        time.sleep(0.02)


@task(takes_context=True, timeout=0.2)
def deaf(context: TaskContext) -> None:
    """Hears nothing of what it is told, its time limit included."""
    book().begin(context.row.id, context.attempt)
    while True:
        try:
            time.sleep(60)
        except BaseException:  # noqa: BLE001 S112 the worst kind of task
            continue


@task(takes_context=True)
def poison(context: TaskContext) -> None:
    """Take the whole process down, each time."""
    book().begin(context.row.id, context.attempt)
    os._exit(7)


@task(takes_context=True)
def fragile(context: TaskContext, crashes: int) -> dict[str, int]:
    """Take the process down so many times, and then do the work."""
    if context.attempt <= crashes:
        book().begin(context.row.id, context.attempt)
        os._exit(7)
    return _story(context, crashes)


def _story(context: TaskContext, number: int) -> dict[str, int]:
    book().begin(context.row.id, context.attempt)
    return _close(context, number)


def _close(context: TaskContext, number: int) -> dict[str, int]:
    """A report and a result that say which attempt made them."""
    context.report(title="Mark", data={"attempt": context.attempt})
    book().end(context.row.id, context.attempt)
    return {"attempt": context.attempt, "number": number}


@task(takes_context=True)
def regicide(context: TaskContext) -> dict[str, int]:
    """Kill the worker's parent, and so the slot with it; but only the first time."""
    if not book().begun(context.row.id):
        book().begin(context.row.id, context.attempt)
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)  # the kernel ends us before that
    return _story(context, 0)


@task(takes_context=True)
def twins(context: TaskContext) -> dict[str, int]:
    """Fork, and let both come back from the function."""
    book().begin(context.row.id, context.attempt)
    os.fork()
    return {"attempt": context.attempt, "number": 0}


@task(takes_context=True)
def segfault(context: TaskContext) -> None:
    """Read where there is nothing to read."""
    book().begin(context.row.id, context.attempt)
    ctypes.string_at(0)


@task
def interrupted() -> None:
    raise KeyboardInterrupt


@task(takes_context=True)
def flop(context: TaskContext) -> None:
    """Fail at once, each time."""
    book().begin(context.row.id, context.attempt)
    raise ValueError("a flop")


@task(takes_context=True)
def stumble(context: TaskContext) -> dict[str, int]:
    """Fail the first time; then go on only when the test opens the attempt's gate."""
    book().begin(context.row.id, context.attempt)
    if context.attempt == 1:
        raise ValueError("a stumble")
    while not book().gate_is_open(context.attempt):
        time.sleep(0.02)
    return _close(context, 0)


@task(takes_context=True)
def chatter(context: TaskContext, calls: int) -> dict[str, float]:
    """Tell progress so many times, as fast as it can; the seconds of CPU that this took."""
    book().begin(context.row.id, context.attempt)
    used, began = time.process_time(), time.monotonic()
    for done in range(calls):
        context.progress.set(done / calls, "talking")
    took = {"cpu": time.process_time() - used, "seconds": time.monotonic() - began}
    return {**_close(context, 0), **took}
