"""What time asks for: tasks whose hour has come, whose worker is gone, or whose code is nowhere."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from taskcenter import pointers
from taskcenter.compat import after_commit
from taskcenter.exceptions import UnknownDefinition
from taskcenter.models import Task, TaskEvent
from taskcenter.models.unknown import unheard_since
from taskcenter.models.worker import stale_before
from taskcenter.states import State

from .moves import Failure, Outcome, count_failure, move, settle
from .running import error_fields, give_back, keep_error, lose

LOST = "Its worker stopped answering."
UNKNOWN = (
    "No worker of queue {queue} has known {definition} since {since:%Y-%m-%d %H:%M} UTC. Deploy the code that "
    "defines it and restart the workers, then retry the task; or cancel it if the code is gone for good."
)
LOST_TOGETHER = "Its worker stopped answering while it held several tasks; it will run again, alone."


def promote(limit: int = 500) -> int:
    """Make scheduled tasks whose time has come pending, and wake their queues; how many."""
    if not Task.objects.due(timezone.now()).exists():
        return 0  # the usual answer, without a lock
    with transaction.atomic():
        rows = Task.objects.due(timezone.now()).taken(limit)
        moved = [task for task in rows if move(Task.objects.all(), task, State.PENDING)]
        after_commit(pointers.push, [(task.id, task.queue) for task in moved])
    return len(moved)


def recover(task_id: uuid.UUID, attempt: int, *, actor: Any = None, reason: str = "") -> dict[uuid.UUID, Outcome]:
    """Put right one lost attempt, if it is still lost now that its row is locked.

    What was claimed with it is put right with it: of several that were lost together nobody knows which
    one was running, so none of them is blamed. Empty when there was nothing to do.
    """
    with transaction.atomic():
        asked = Task.objects.of_attempt(task_id, attempt).first()
        # All of them or none, and in one order: of two recoveries at once the second finds nothing left.
        rows = list(Task.objects.lost(stale_before()).claimed_with(asked).select_for_update()) if asked else []
        return {row.id: _put_right(row, alone=len(rows) == 1, actor=actor, reason=reason) for row in rows}


def _put_right(row: Task, *, alone: bool, actor: Any, reason: str) -> Outcome:
    task_id, attempt = row.id, row.attempt
    failure = Failure("", LOST, kind=TaskEvent.Kind.CRASHED)
    outcome = lose(row, failure, actor=actor) if alone else give_back(row, LOST_TOGETHER)
    TaskEvent.objects.tell(
        task_id, TaskEvent.Kind.RECOVERED, reason or outcome.text, attempt=attempt, level="warning", actor=actor
    )
    if alone:
        count_failure(row, failure)
    return outcome


def fail_unknown(definition: str, queues: Iterable[str], since: datetime, *, limit: int = 500) -> int:
    """Fail waiting tasks of a definition that no worker of these queues has known since then; how many.

    The caller has made sure of the workers; a task to which anything has happened since is left alone.
    """
    with transaction.atomic():
        rows = unheard_since(since, definition, queues).taken(limit)
        failed = [(task, failure) for task in rows if (failure := _fail_unknown(task, since))]
        _count_together(failed)
    return len(failed)


def _fail_unknown(task: Task, since: datetime) -> Failure | None:
    text = UNKNOWN.format(queue=task.queue, definition=task.definition, since=since.astimezone(UTC))
    failure = Failure(f"{UnknownDefinition.__module__}.{UnknownDefinition.__qualname__}", text)
    if not move(Task.objects.all(), task, State.FAILED, **error_fields(task, failure)):
        return None
    keep_error(task, failure, text=text)
    settle(task)
    return failure


def _count_together(failed: list[tuple[Task, Failure]]) -> None:
    """Each group once, in the order of the fingerprints, in which nobody can wait for a rival that waits for them."""
    groups: dict[str, list[tuple[Task, Failure]]] = {}
    for task, failure in failed:
        groups.setdefault(failure.fingerprint(task.definition), []).append((task, failure))
    for _, members in sorted(groups.items()):
        count_failure(*members[-1], times=len(members))
