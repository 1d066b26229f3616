"""One task's way through a slot: begin, run, end, whatever the function does."""

from __future__ import annotations

import logging
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from django.db import InterfaceError, OperationalError, close_old_connections, connections

from taskcenter import lifecycle
from taskcenter.backend import TaskCenterBackend
from taskcenter.compat import TaskResult, task_backends, task_finished, task_started
from taskcenter.conf import get_settings
from taskcenter.context import Listener, TaskContext
from taskcenter.definitions import TaskDefinition, find
from taskcenter.exceptions import Cancelled, HandedBack, InvalidPayload, Snoozed, SoftTimeout
from taskcenter.models import Task, TaskEvent
from taskcenter.payload import checked
from taskcenter.states import FINAL

__all__ = ["delay_of", "run"]

logger = logging.getLogger("taskcenter")

PATIENCE = 60
"""Seconds a slot tries to write an ending while the database is away."""


@dataclass(frozen=True, slots=True)
class Returned:
    """The function came back with a value that can be kept."""

    value: Any


def run(task: Task, listener: Listener) -> lifecycle.Outcome:
    """Run one claimed attempt and write how it ended."""
    definition = find(task.definition)
    result = _result_of(task, definition)
    context = TaskContext(task_result=result, row=task, listener=listener)
    task_started.send_robust(TaskCenterBackend, task_result=result)
    ending = _body(task, definition, context)
    outcome = _insist(lambda: _write(task, result, ending))
    _tell_strangers(task, definition, outcome)
    return outcome


def _insist(write: Callable[[], lifecycle.Outcome]) -> lifecycle.Outcome:
    """Write the ending, again and again while the database is away: the work is done, do not lose it."""
    for _ in range(PATIENCE):
        try:
            return write()
        except (OperationalError, InterfaceError) as error:
            logger.warning("The ending of a task could not be written, trying again: %s", error)
            connections.close_all()
            time.sleep(1)
    return write()


def _body(task: Task, definition: TaskDefinition, context: TaskContext) -> Returned | BaseException:
    """Call the function; a value or what it raised. Nothing a task raises leaves here."""
    arguments = [context, *task.args] if definition.takes_context else task.args
    outside = _in_transaction()
    try:
        close_old_connections()
        with _time_limit(task.timeout):
            value = definition.call(*arguments, **task.kwargs)
        return Returned(checked(value, limit=get_settings().RESULT_LIMIT, what="result"))
    except BaseException as error:  # noqa: BLE001 also SystemExit, KeyboardInterrupt and our own interrupts
        return error
    finally:
        _leave_clean(context, outside)


def _in_transaction() -> frozenset[str]:
    return frozenset(item.alias for item in connections.all(initialized_only=True) if item.in_atomic_block)


def _leave_clean(context: TaskContext, outside: frozenset[str]) -> None:
    """What a task may leave behind must not meet the next one."""
    context.progress.flush()
    for connection in connections.all(initialized_only=True):
        if connection.in_atomic_block and connection.alias not in outside:
            connection.close()
            del connections[connection.alias]  # the next use gets a fresh one
    close_old_connections()


def _write(task: Task, result: TaskResult, ending: Returned | BaseException) -> lifecycle.Outcome:
    match ending:
        case Returned(value):
            return lifecycle.complete(task, value)
        case Cancelled():
            return lifecycle.cancelled(task)
        case Snoozed(delay=delay):
            return lifecycle.snooze(task, delay)
        case HandedBack():
            return lifecycle.hand_back(task.id, task.attempt, str(ending))
    return lifecycle.fail(task, failure_of(ending), delay=delay_of(task, ending, result))


def failure_of(error: BaseException) -> lifecycle.Failure:
    """An exception as text that can be kept: without NUL, which databases refuse."""
    kind = TaskEvent.Kind.TIMED_OUT if isinstance(error, SoftTimeout) else TaskEvent.Kind.FAILED
    name = f"{type(error).__module__}.{type(error).__qualname__}"
    lines = "".join(traceback.format_exception(error))
    return lifecycle.Failure(_plain(name), _plain(_message(error)), _plain(lines), kind)


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


def _tell_strangers(task: Task, definition: TaskDefinition, outcome: lifecycle.Outcome) -> None:
    """Django's own signal, for whoever listens; a listener's error is the listener's."""
    if outcome.moved and outcome.state in FINAL:
        task.refresh_from_db()
        result = _result_of(task, definition)
        task_finished.send_robust(TaskCenterBackend, task_result=result)


@contextmanager
def _time_limit(seconds: float | None) -> Iterator[None]:
    """Raise SoftTimeout in the main thread when the time is up."""
    if not seconds:
        yield
        return

    def ring(_signum: int, _frame: FrameType | None) -> None:
        raise SoftTimeout(f"The task ran longer than its limit of {seconds:g} seconds.")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
