"""The tasks that TaskCenter itself brings."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from . import operations, redrive
from .compat import InvalidTask, task_backends
from .conf import redis_queues
from .context import TaskContext
from .definitions import backend_alias, task
from .exceptions import ConfigurationError, NotAllowed

__all__ = ["operate"]


def operate(context: TaskContext, *, expected: int, **order: Any) -> dict[str, Any]:
    """Retry, cancel or recover many tasks for an operator."""
    return operations.carry_out(context, operations.Order.from_json(order), expected)


def _pause(exception: BaseException, _result: Any) -> float | None:
    """A database that stumbles is tried again; a permission that is gone stays so."""
    return None if isinstance(exception, NotAllowed) else 5.0


def _bring(function: Callable[..., Any], **options: Any) -> None:
    """Not by the decorator: settings say which backend is ours, and which queues there are."""
    alias = backend_alias()
    queues = [name for name in redis_queues() if name in task_backends[alias].queues]
    queue = queues[0] if queues and "default" not in queues else "default"
    task(takes_context=True, backend=alias, queue_name=queue, **options)(function)


# Without a backend of ours there are no tasks at all; the system checks say so.
with suppress(ConfigurationError, InvalidTask, ImportError):
    _bring(operate, max_attempts=5, max_crashes=20, backoff=_pause)
    _bring(redrive.redrive, priority=100, max_attempts=10, max_crashes=redrive.MOST_CRASHES)
