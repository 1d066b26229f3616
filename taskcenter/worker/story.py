"""One task's way through a worker: begin, run, end, whatever the function does.

A slot uses the parts: `perform()` here, and the end of what returned with its next claim. A stock RQ
worker and tests use the whole: `run()`.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from types import FrameType
from typing import Any

from django.db import InterfaceError, InternalError, OperationalError, connections

from taskcenter import lifecycle
from taskcenter.compat import TaskResult, is_heard, strangers_listen, task_backends, task_finished, task_started
from taskcenter.conf import get_settings
from taskcenter.context import Listener, TaskContext
from taskcenter.definitions import TaskDefinition, find
from taskcenter.exceptions import Cancelled, HandedBack, InvalidPayload, Snoozed, SoftTimeout
from taskcenter.fingerprint import place_of
from taskcenter.models import Task, TaskEvent
from taskcenter.models.engine import Claimed, Ended
from taskcenter.payload import packed
from taskcenter.states import FINAL, State

__all__ = ["Attempt", "Returned", "delay_of", "end", "perform", "run", "tell_finished"]

logger = logging.getLogger("taskcenter")

PATIENCE = 60
"""Seconds a worker tries to write an ending while the database is away."""


@dataclass(frozen=True, slots=True)
class Returned:
    """The function came back with a value that can be kept, as JSON text."""

    result: str


class Attempt:
    """One claimed attempt under way. What not every task needs is made when it is asked for."""

    def __init__(self, claimed: Claimed, listener: Listener) -> None:
        self.claimed = claimed
        self.listener = listener
        self.definition: TaskDefinition = find(claimed.definition)

    @cached_property
    def task(self) -> Task:
        return self.claimed.task()

    @cached_property
    def result(self) -> TaskResult:
        """What Django calls the task. Raises HandedBack when the database is away: nothing has begun yet."""
        try:
            return _result_of(self.task, self.definition)
        except (OperationalError, InterfaceError) as error:
            raise HandedBack("The database went away before it began.") from error

    @property
    def sender(self) -> type:
        """Who sends Django's signals: the class of the backend."""
        return type(task_backends[self.definition.backend])

    @cached_property
    def context(self) -> TaskContext:
        return TaskContext(task_result=self.result, row=self.task, listener=self.listener)

    def ended(self, returned: Returned) -> Ended:
        """Its end, ready to be written."""
        has_context = self.definition.takes_context
        return lifecycle.with_note(Ended(self.claimed, returned.result, has_context=has_context, run=self))


def run(task: Task, listener: Listener) -> lifecycle.Outcome:
    """Run one claimed attempt and write how it ended."""
    attempt = Attempt(Claimed.of(task), listener)
    attempt.task = task
    outcome = end(attempt, perform(attempt))
    if outcome.moved and outcome.state in FINAL:
        tell_finished(attempt, State(outcome.state))
    return outcome


def perform(attempt: Attempt) -> Returned | BaseException:
    """Call the function; a value or what it raised. Nothing a task raises leaves here."""
    process = os.getpid()
    outside = _in_transaction()
    try:
        if is_heard(task_started):
            task_started.send_robust(attempt.sender, task_result=attempt.result)
        return Returned(_called(attempt))
    except BaseException as error:  # noqa: BLE001 also SystemExit, KeyboardInterrupt and our own interrupts
        return error
    finally:
        if os.getpid() != process:
            os._exit(0)  # the task forked, and this is the child: the attempt is its parent's
        _leave_clean(attempt, outside)


def end(attempt: Attempt, ending: Returned | BaseException) -> lifecycle.Outcome:
    """Write the end, again and again while the database is away: the work is done, do not lose it.

    PostgreSQL calls it an internal error when it takes no writes, as after a failover.
    """
    for tries in range(PATIENCE):
        try:
            return _write(attempt, ending)
        except (OperationalError, InterfaceError, InternalError) as error:
            if not tries:
                logger.warning("The ending of a task could not be written, trying again: %s", error)
            connections.close_all()
            time.sleep(1)
    return _write(attempt, ending)


def tell_finished(attempt: Attempt, state: State) -> None:
    """Django's own signal, for whoever listens; a listener's error is the listener's."""
    if not is_heard(task_finished, failed=state != State.COMPLETED):
        return
    if strangers_listen(task_finished):
        attempt.task.refresh_from_db()
    else:
        attempt.task.state = state  # all that Django's log line wants to know
    task_finished.send_robust(attempt.sender, task_result=_result_of(attempt.task, attempt.definition))


def _called(attempt: Attempt) -> str:
    """The function's value as JSON text, within its time."""
    claimed, definition = attempt.claimed, attempt.definition
    arguments = json.loads(claimed.args)
    if definition.takes_context:
        arguments.insert(0, attempt.context)
    kwargs = json.loads(claimed.kwargs)
    with _time_limit(claimed.timeout) if claimed.timeout else nullcontext():
        value = definition.call(*arguments, **kwargs)
    return packed(value, limit=get_settings().RESULT_LIMIT, what="result")


def _in_transaction() -> frozenset[str]:
    return frozenset(item.alias for item in connections.all(initialized_only=True) if item.in_atomic_block)


def _leave_clean(attempt: Attempt, outside: frozenset[str]) -> None:
    """What a task may leave behind must not meet the next one."""
    if "context" in attempt.__dict__:
        attempt.context.progress.flush()
    for connection in connections.all(initialized_only=True):
        if connection.in_atomic_block:
            if connection.alias not in outside:
                connection.close()
                del connections[connection.alias]  # the next use gets a fresh one
        else:
            connection.close_if_unusable_or_obsolete()


def _write(attempt: Attempt, ending: Returned | BaseException) -> lifecycle.Outcome:
    match ending:
        case Returned():
            return lifecycle.finish(attempt.ended(ending))
        case Cancelled():
            return lifecycle.cancelled(attempt.task)
        case Snoozed():
            return lifecycle.snooze(attempt.task, ending.delay)
        case HandedBack():
            return lifecycle.hand_back(attempt.claimed.id, attempt.claimed.attempt, str(ending))
    delay = delay_of(attempt.task, ending, attempt.result)
    return lifecycle.fail(attempt.task, failure_of(ending, attempt.claimed.definition), delay=delay)


def failure_of(error: BaseException, definition: str = "") -> lifecycle.Failure:
    """An exception as text that can be kept: without NUL, which databases refuse.

    Where a task was when its time was up says nothing about why: that has no place.
    """
    kind = TaskEvent.Kind.TIMED_OUT if isinstance(error, SoftTimeout) else TaskEvent.Kind.FAILED
    name = f"{type(error).__module__}.{type(error).__qualname__}"
    lines = "".join(traceback.format_exception(error))
    place = "" if isinstance(error, SoftTimeout) else place_of(error.__traceback__, definition)
    return lifecycle.Failure(_plain(name), _plain(_message(error)), _plain(lines), kind, _plain(place))


def _message(error: BaseException) -> str:
    try:
        return str(error) or type(error).__name__
    except Exception:  # noqa: BLE001 an exception whose str() fails is still an exception
        return type(error).__name__


def _plain(text: str) -> str:
    return text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode()


def delay_of(task: Task, error: BaseException, result: TaskResult | None = None) -> float | None:
    """Seconds until the next try; None: no further try.

    A result that cannot be kept would not be better next time; a back-off that raises means a minute.
    """
    if isinstance(error, InvalidPayload):
        return None
    try:
        definition = find(task.definition)
        return definition.delay_after(task.failures + 1, error, result or _result_of(task, definition))
    except Exception:
        logger.exception("Task %s: its backoff could not be asked", task.id)
        return 60.0


def _result_of(task: Task, definition: TaskDefinition) -> TaskResult:
    backend: Any = task_backends[definition.backend]
    result: TaskResult = backend.result_of(task, definition)
    return result


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raise SoftTimeout in the main thread when the time is up."""

    def ring(_signum: int, _frame: FrameType | None) -> None:
        raise SoftTimeout(f"The task ran longer than its limit of {seconds:g} seconds.")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
