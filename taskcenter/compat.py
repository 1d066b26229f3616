"""`django.tasks` of Django 6.1, or the `django-tasks` backport on 5.2, under one set of names."""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import django
from django.db import transaction
from django.dispatch import Signal

__all__ = [
    "BaseTaskBackend",
    "DjangoTask",
    "DjangoTaskContext",
    "InvalidTask",
    "TaskError",
    "TaskResult",
    "TaskResultDoesNotExist",
    "TaskResultStatus",
    "after_commit",
    "is_heard",
    "strangers_listen",
    "task_backends",
    "task_enqueued",
    "task_finished",
    "task_started",
    "uuid7",
]

# mypy reads the backport's types only: it is the one with annotations.
if TYPE_CHECKING or django.VERSION < (6, 0):
    from django_tasks import signals as task_signals
    from django_tasks import task_backends
    from django_tasks.backends.base import BaseTaskBackend
    from django_tasks.base import Task as DjangoTask
    from django_tasks.base import TaskContext as DjangoTaskContext
    from django_tasks.base import TaskError, TaskResult, TaskResultStatus
    from django_tasks.exceptions import InvalidTaskError as InvalidTask
    from django_tasks.exceptions import TaskResultDoesNotExist
    from django_tasks.signals import task_enqueued, task_finished, task_started
else:
    from django.tasks import signals as task_signals
    from django.tasks import task_backends
    from django.tasks.backends.base import BaseTaskBackend
    from django.tasks.base import Task as DjangoTask
    from django.tasks.base import TaskContext as DjangoTaskContext
    from django.tasks.base import TaskError, TaskResult, TaskResultStatus
    from django.tasks.exceptions import InvalidTask, TaskResultDoesNotExist
    from django.tasks.signals import task_enqueued, task_finished, task_started


_SIGNALS = task_signals.__name__
tasks_logger = task_signals.logger


def after_commit(function: Callable[..., Any], *args: Any, using: str | None = None) -> None:
    """Call it when the transaction commits; what it raises is logged and never reaches the caller.

    `using` is the alias of the database whose commit is meant. A lambda, because Django 5.2 asks a robust
    function for its `__qualname__`, which a partial lacks.
    """
    transaction.on_commit(lambda: function(*args), using=using, robust=True)


def strangers_listen(signal: Signal) -> bool:
    """Whether anybody but Django itself, which only logs, is connected to one of the three signals."""
    return any(getattr(_listener(entry), "__module__", _SIGNALS) != _SIGNALS for entry in signal.receivers)


def _listener(entry: tuple[Any, ...]) -> Any:
    """The function of an entry of `Signal.receivers`: (key, receiver, …), weak most often, None once dead."""
    receiver = entry[1]
    return receiver() if isinstance(receiver, weakref.ReferenceType) else receiver


def is_heard(signal: Signal, *, failed: bool = False) -> bool:
    """Whether sending it would come to anything: a stranger listens, or Django's log line is wanted."""
    level = logging.DEBUG if signal is task_enqueued else logging.ERROR if failed else logging.INFO
    return tasks_logger.isEnabledFor(level) or strangers_listen(signal)


_lock = threading.Lock()
_last = 0


def uuid7() -> uuid.UUID:
    """A UUID of version 7 (RFC 9562) that rises strictly within a process.

    The 12 bits behind the milliseconds hold a fraction of one (RFC 9562, method 3), moved on by one
    when the clock has not moved: rows made in a loop sort in the order they were made.
    """
    global _last  # noqa: PLW0603 one counter per process is what "rises" means
    with _lock:
        stamp = time.time_ns() * 4096 // 1_000_000
        _last = stamp = max(stamp, _last + 1)
    milliseconds, fraction = divmod(stamp, 4096)
    tail = int.from_bytes(os.urandom(8), "big") & ((1 << 62) - 1)
    return uuid.UUID(int=milliseconds << 80 | 7 << 76 | fraction << 64 | 2 << 62 | tail)
