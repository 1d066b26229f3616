"""The tasks that TaskCenter itself brings."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from . import operations
from .compat import InvalidTask, task_backends
from .conf import redis_queues
from .context import TaskContext
from .definitions import TaskDefinition, backend_alias, task
from .exceptions import ConfigurationError, NotAllowed

__all__ = ["operate"]


def operate(context: TaskContext, *, expected: int, **order: Any) -> dict[str, Any]:
    """Retry, cancel or recover many tasks for an operator."""
    return operations.carry_out(context, operations.Order.from_json(order), expected)


def _pause(exception: BaseException, _result: Any) -> float | None:
    """A database that stumbles is tried again; a permission that is gone stays so."""
    return None if isinstance(exception, NotAllowed) else 5.0


def _defined() -> TaskDefinition:
    alias = backend_alias()
    known = [name for name in redis_queues() if name in task_backends[alias].queues]
    queue = known[0] if known and "default" not in known else "default"
    options: Any = {"max_attempts": 5, "max_crashes": 20, "backoff": _pause, "queue_name": queue}
    made: TaskDefinition = task(takes_context=True, backend=alias, **options)(operate)
    return made


# Without a backend of ours there are no tasks at all; the system checks say so.
with suppress(ConfigurationError, InvalidTask, ImportError):
    _defined()
