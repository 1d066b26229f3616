"""What time asks for: tasks whose hour has come, or whose code is nowhere."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from django.db import transaction

from taskcenter import pointers
from taskcenter.compat import after_commit
from taskcenter.exceptions import UnknownDefinition
from taskcenter.models import Task
from taskcenter.models.unknown import unheard_since
from taskcenter.states import State

from .moves import Failure, count_failures, move, settle
from .running import error_fields, keep_error

UNKNOWN = (
    "No worker of queue {queue} has known {definition} since {since:%Y-%m-%d %H:%M} UTC. Deploy the code that "
    "defines it and restart the workers, then retry the task; or cancel it if the code is gone for good."
)


def promote(limit: int = 500) -> int:
    """Make scheduled tasks whose time has come pending, and wake their queues; how many."""
    if not Task.objects.due().exists():
        return 0  # the usual answer, without a lock
    with transaction.atomic():
        rows = Task.objects.due().taken(limit)
        moved = [task for task in rows if move(Task.objects.all(), task, State.PENDING)]
        after_commit(pointers.push, [(task.id, task.queue) for task in moved])
    return len(moved)


def fail_unknown(definition: str, queues: Iterable[str], since: datetime, *, limit: int = 500) -> int:
    """Fail waiting tasks of a definition that no worker of these queues has known since then; how many.

    The caller has made sure of the workers; a task to which anything has happened since is left alone.
    """
    with transaction.atomic():
        rows = unheard_since(since, definition, queues).taken(limit)
        failed = [(task, failure) for task in rows if (failure := _fail_unknown(task, since))]
        count_failures(failed)
    return len(failed)


def _fail_unknown(task: Task, since: datetime) -> Failure | None:
    text = UNKNOWN.format(queue=task.queue, definition=task.definition, since=since.astimezone(UTC))
    failure = Failure(f"{UnknownDefinition.__module__}.{UnknownDefinition.__qualname__}", text)
    if not move(Task.objects.all(), task, State.FAILED, **error_fields(task, failure)):
        return None
    keep_error(task, failure, text=text)
    settle(task)
    return failure
