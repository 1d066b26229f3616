"""What people ask for: cancel, retry. Asking twice, or too late, is answered and harmless."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from taskcenter.models import Task, TaskEvent
from taskcenter.states import State

from .moves import Outcome, move, settle, tell_watchers, wake

Kind = TaskEvent.Kind

GONE = Outcome(moved=False, state=None, text="This task does not exist any more.")


def request_cancel(task_id: uuid.UUID, *, actor: Any = None, reason: str = "") -> Outcome:
    """Stop a task: a waiting one at once, a running one at its next checkpoint."""
    with transaction.atomic():
        task = Task.objects.select_for_update().filter(id=task_id).first()
        if task is None:
            return GONE
        if task.is_final:
            return _refused(task, f"Nothing to cancel: the task is {task.state} already.")
        if task.state == State.PROCESSING:
            return _ask_to_stop(task, actor, reason)
        TaskEvent.objects.tell(task.id, Kind.CANCELLED, reason, attempt=task.attempt, actor=actor)
        move(Task.objects.all(), task, State.CANCELLED, cancel_requested_at=timezone.now())
        settle(task)
        return Outcome(moved=True, state=State.CANCELLED, text="Cancelled before it ran.")


def _ask_to_stop(task: Task, actor: Any, reason: str) -> Outcome:
    if task.cancel_requested_at:
        return _refused(task, "It was asked to stop before; it ends at its next checkpoint.")
    TaskEvent.objects.tell(task.id, Kind.CANCEL_ASKED, reason, attempt=task.attempt, actor=actor)
    Task.objects.of_attempt(task.id, task.attempt).update(cancel_requested_at=timezone.now(), rev=F("rev") + 1)
    task.rev += 1
    tell_watchers(task)
    return Outcome(moved=True, state=State.PROCESSING, text="Asked to stop; it ends at its next checkpoint.")


def retry(task_id: uuid.UUID, *, rev: int | None = None, actor: Any = None, reason: str = "") -> Outcome:
    """Run a failed or cancelled task again with the same input, its counts of trouble forgotten.

    With `rev` only while its row is as it was then.
    """
    try:
        with transaction.atomic():
            return _retry(task_id, rev, actor, reason)
    except IntegrityError:
        return Outcome(moved=False, state=None, text="Another live task holds the same unique key; finish that first.")


def _retry(task_id: uuid.UUID, rev: int | None, actor: Any, reason: str) -> Outcome:
    task = Task.objects.select_for_update().filter(id=task_id).first()
    if task is None:
        return GONE
    if task.state not in {State.FAILED, State.CANCELLED}:
        return _refused(task, f"Nothing to retry: the task is {task.state}.")
    if rev not in {None, task.rev}:
        return _refused(task, "Nothing to retry: somebody has moved it meanwhile.")
    TaskEvent.objects.tell(task.id, Kind.RETRIED, reason, attempt=task.attempt, actor=actor)
    counts = {"failures": 0, "crashes": 0, "interrupted": 0}
    times = {"finished_at": None, "run_after": None, "cancel_requested_at": None, "worker_id": None}
    move(Task.objects.all(), task, State.PENDING, progress=None, progress_state={}, **counts, **times)
    wake(task)
    return Outcome(moved=True, state=State.PENDING, text="It will run again.")


def _refused(task: Task, text: str) -> Outcome:
    return Outcome(moved=False, state=State(task.state), text=text)
