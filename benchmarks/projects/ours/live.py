"""Tasks that tell their progress, and the person who watches."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from importlib import import_module

from django.conf import settings
from django.contrib.auth import get_user_model, login
from django.db import connection
from django.http import HttpRequest

from taskcenter import task
from taskcenter.context import TaskContext

__all__ = ["busy", "session", "ticks"]

BLOCK = 2500
"""Steps between two looks at the clock: a quarter of a second, in which one message leaves."""
STEP = 0.0001
"""Seconds that a step works: ten thousand a second."""
TICK = 0.3
"""Seconds between two words of progress: each leaves at once."""


@task(takes_context=True)
def busy(context: TaskContext, number: int) -> dict[str, float]:
    """So many steps of work with progress and as many without, in turns; what a step took, by the clock and in CPU.

    Medians, because others use the machine too.
    """
    turns = _calibrated()
    tell = context.progress.set
    begun, blocks, statements = time.perf_counter(), [], []
    with connection.execute_wrapper(lambda run, sql, *rest: statements.append(sql) or run(sql, *rest)):
        for done in range(0, number, BLOCK):
            quiet = _timed(lambda: [(_work(turns), (done + i) / number) for i in range(BLOCK)])  # noqa: B023 run at once
            told = _timed(lambda: [(_work(turns), tell((done + i) / number)) for i in range(BLOCK)])  # noqa: B023 as above
            blocks.append((*quiet, *told))
    names = ("quiet", "quiet_cpu", "told", "told_cpu")
    taken = {
        name: statistics.median(values) / BLOCK for name, values in zip(names, zip(*blocks, strict=True), strict=True)
    }
    return {**taken, "seconds": time.perf_counter() - begun, "statements": len(statements)}


@task(takes_context=True)
def ticks(context: TaskContext, number: int) -> None:
    """Say when it is, so many times. The clock is the machine's, the same in every process."""
    for done in range(number):
        time.sleep(TICK)
        context.progress.set(done / number, f"{time.monotonic():.6f}")


def session() -> str:
    """The key of a session in which an operator is signed in."""
    user, _ = get_user_model().objects.get_or_create(username="operator", is_staff=True, is_superuser=True)
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore()
    login(request, user)
    request.session.save()
    return str(request.session.session_key)


def _work(turns: int) -> None:
    for _ in range(turns):
        pass


def _calibrated() -> int:
    """How often to turn for one step: the best of some tries, for others use the machine too."""
    tries = []
    for _ in range(20):
        begun = time.thread_time()
        _work(100_000)
        tries.append(time.thread_time() - begun)
    return int(100_000 * STEP / min(tries))


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    begun, used = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - begun, time.process_time() - used
