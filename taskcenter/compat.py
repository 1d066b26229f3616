"""`django.tasks` of Django 6.1, or the `django-tasks` backport on 5.2, under one set of names."""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import django
from django.db import transaction

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
    "task_backends",
    "task_enqueued",
    "task_finished",
    "task_started",
    "uuid7",
]

# mypy reads the backport's types only: it is the one with annotations.
if TYPE_CHECKING or django.VERSION < (6, 0):
    from django_tasks import task_backends
    from django_tasks.backends.base import BaseTaskBackend
    from django_tasks.base import Task as DjangoTask
    from django_tasks.base import TaskContext as DjangoTaskContext
    from django_tasks.base import TaskError, TaskResult, TaskResultStatus
    from django_tasks.exceptions import InvalidTaskError as InvalidTask
    from django_tasks.exceptions import TaskResultDoesNotExist
    from django_tasks.signals import task_enqueued, task_finished, task_started
else:
    from django.tasks import task_backends
    from django.tasks.backends.base import BaseTaskBackend
    from django.tasks.base import Task as DjangoTask
    from django.tasks.base import TaskContext as DjangoTaskContext
    from django.tasks.base import TaskError, TaskResult, TaskResultStatus
    from django.tasks.exceptions import InvalidTask, TaskResultDoesNotExist
    from django.tasks.signals import task_enqueued, task_finished, task_started


def after_commit(function: Callable[..., Any], *args: Any) -> None:
    """Call it when the transaction commits; what it raises is logged and never reaches the caller.

    A lambda, because Django 5.2 asks a robust function for its `__qualname__`, which a partial lacks.
    """
    transaction.on_commit(lambda: function(*args), robust=True)


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
