"""What time asks for: tasks whose hour has come, and tasks whose worker is gone."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import transaction
from django.utils import timezone

from taskcenter import pointers
from taskcenter.compat import after_commit
from taskcenter.models import Task, TaskEvent
from taskcenter.models.worker import stale_before
from taskcenter.states import State

from .moves import Failure, Outcome, move
from .running import lose

LOST = "Its worker stopped answering."


def promote(limit: int = 500) -> int:
    """Make scheduled tasks whose time has come pending, and wake their queues; how many."""
    if not Task.objects.due(timezone.now()).exists():
        return 0  # the usual answer, without a lock
    with transaction.atomic():
        rows = Task.objects.due(timezone.now()).taken(limit)
        moved = [task for task in rows if move(Task.objects.all(), task, State.PENDING)]
        after_commit(pointers.push, [(task.id, task.queue) for task in moved])
    return len(moved)


def recover(task_id: uuid.UUID, attempt: int, *, actor: Any = None, reason: str = "") -> Outcome:
    """Put right one lost attempt, if it is still lost now that its row is locked."""
    with transaction.atomic():
        rows = Task.objects.lost(stale_before()).filter(id=task_id, attempt=attempt).taken(1)
        if not rows:
            return Outcome(moved=False, state=None, text="Somebody is running it, or put it right before.")
        outcome = lose(rows[0], Failure("", LOST, kind=TaskEvent.Kind.CRASHED), actor=actor)
        TaskEvent.objects.tell(
            task_id, TaskEvent.Kind.RECOVERED, reason or outcome.text, attempt=attempt, level="warning", actor=actor
        )
        return outcome
