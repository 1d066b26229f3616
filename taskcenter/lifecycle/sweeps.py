"""What time asks for: tasks whose hour has come, whose worker is gone, or whose code is nowhere."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from django.db import transaction

from taskcenter import pointers
from taskcenter.compat import after_commit
from taskcenter.exceptions import UnknownDefinition
from taskcenter.models import Task, TaskEvent
from taskcenter.models.unknown import unheard_since
from taskcenter.models.worker import stale_before
from taskcenter.states import State

from .moves import Failure, Outcome, move, settle
from .running import give_back, lose

LOST = "Its worker stopped answering."
UNKNOWN = (
    "No worker of queue {queue} has known {definition} since {since:%Y-%m-%d %H:%M} UTC. Deploy the code that "
    "defines it and restart the workers, then retry the task; or cancel it if the code is gone for good."
)
LOST_TOGETHER = "Its worker stopped answering while it held several tasks; it will run again, alone."


def promote(limit: int = 500) -> int:
    """Make scheduled tasks whose time has come pending, and wake their queues; how many."""
    if not Task.objects.due().exists():
        return 0  # the usual answer, without a lock
    with transaction.atomic():
        rows = Task.objects.due().taken(limit)
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
    if alone:
        outcome = lose(row, Failure("", LOST, kind=TaskEvent.Kind.CRASHED), actor=actor)
    else:
        outcome = give_back(row, LOST_TOGETHER)
    TaskEvent.objects.tell(
        task_id, TaskEvent.Kind.RECOVERED, reason or outcome.text, attempt=attempt, level="warning", actor=actor
    )
    return outcome


def fail_unknown(definition: str, queues: Iterable[str], since: datetime, *, limit: int = 500) -> int:
    """Fail waiting tasks of a definition that no worker of these queues has known since then; how many.

    The caller has made sure of the workers; a task to which anything has happened since is left alone.
    """
    with transaction.atomic():
        rows = unheard_since(since, definition, queues).taken(limit)
        return sum(_fail_unknown(task, since) for task in rows)


def _fail_unknown(task: Task, since: datetime) -> bool:
    text = UNKNOWN.format(queue=task.queue, definition=task.definition, since=since.astimezone(UTC))
    kind = f"{UnknownDefinition.__module__}.{UnknownDefinition.__qualname__}"
    if not move(Task.objects.all(), task, State.FAILED, error_type=kind, error_message=text):
        return False
    TaskEvent.objects.tell(
        task.id,
        TaskEvent.Kind.FAILED,
        text,
        attempt=task.attempt,
        level="error",
        data={"type": kind, "message": text, "traceback": ""},
    )
    settle(task)
    return True
