"""What people ask for: cancel, retry. Asking twice, or too late, is answered and harmless."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from taskcenter.models import Task, TaskEvent
from taskcenter.rules import Case, cancel_rule, retry_rule
from taskcenter.states import LIVE, State

from .moves import Outcome, move, settle, tell_watchers, wake

Kind = TaskEvent.Kind

GONE = Outcome(moved=False, state=None, text="This task does not exist any more.")
HEARD = "This was confirmed before and has been done; it was not done a second time."
ONCE = "once"
"""The key in an event's data under which it keeps what it was asked by."""


def request_cancel(task_id: uuid.UUID, *, actor: Any = None, reason: str = "", once: str = "") -> Outcome:
    """Stop a task: a waiting one at once, a running one at its next checkpoint.

    `once` names the asking, a form that may be sent twice for example: the same one is heard once per task.
    """
    with transaction.atomic():
        task = Task.objects.select_for_update().filter(id=task_id).first()
        if task is None:
            return GONE
        if heard_before([task.id], once):
            return _refused(task, HEARD)
        ruling = cancel_rule(Case.of(task))
        if not ruling.fits:
            return _refused(task, f"Nothing to cancel: {ruling.why}.")
        if task.state == State.PROCESSING:
            return _ask_to_stop(task, actor, reason, once)
        data = {ONCE: once} if once else {}
        TaskEvent.objects.tell(task.id, Kind.CANCELLED, reason, attempt=task.attempt, actor=actor, data=data)
        move(Task.objects.all(), task, State.CANCELLED, cancel_requested_at=timezone.now())
        settle(task)
        return Outcome(moved=True, state=State.CANCELLED, text="Cancelled before it ran.")


def _ask_to_stop(task: Task, actor: Any, reason: str, once: str) -> Outcome:
    data = {ONCE: once} if once else {}
    TaskEvent.objects.tell(task.id, Kind.CANCEL_ASKED, reason, attempt=task.attempt, actor=actor, data=data)
    Task.objects.of_attempt(task.id, task.attempt).update(cancel_requested_at=timezone.now(), rev=F("rev") + 1)
    task.rev += 1
    tell_watchers(task)
    return Outcome(moved=True, state=State.PROCESSING, text="Asked to stop; it ends at its next checkpoint.")


def retry(
    task_id: uuid.UUID, *, rev: int | None = None, actor: Any = None, reason: str = "", once: str = ""
) -> Outcome:
    """Run a failed or cancelled task again with the same input, its counts of trouble forgotten.

    With `rev` only while its row is as it was then. `once` as for request_cancel(): a second click does not
    retry a task that has failed again since the first.
    """
    try:
        with transaction.atomic():
            return _retry(task_id, rev, actor, reason, once)
    except IntegrityError:
        return Outcome(moved=False, state=None, text="Another live task holds the same unique key; finish that first.")


def _retry(task_id: uuid.UUID, rev: int | None, actor: Any, reason: str, once: str) -> Outcome:
    task = Task.objects.select_for_update().filter(id=task_id).first()
    if task is None:
        return GONE
    if heard_before([task.id], once):
        return _refused(task, HEARD)
    ruling = retry_rule(Case.of(task))
    if not ruling.fits:
        return _refused(task, f"Nothing to retry: {_retried_by(task) or ruling.why}.")
    if rev not in {None, task.rev}:
        return _refused(task, "Nothing to retry: somebody has moved it meanwhile.")
    data = {ONCE: once} if once else {}
    TaskEvent.objects.tell(task.id, Kind.RETRIED, reason, attempt=task.attempt, actor=actor, data=data)
    move(Task.objects.all(), task, State.PENDING, **anew())
    wake(task)
    return Outcome(moved=True, state=State.PENDING, text="It will run again.")


def anew() -> dict[str, Any]:
    """What a retry forgets of the tries before it."""
    counts = {"failures": 0, "crashes": 0, "interrupted": 0}
    times = {"finished_at": None, "run_after": None, "cancel_requested_at": None, "worker_id": None}
    return {"progress": None, "progress_state": {}, **counts, **times}


def heard_before(task_ids: Sequence[uuid.UUID], once: str) -> set[uuid.UUID]:
    """Which of these tasks have an event that was asked for under this name."""
    if not once:
        return set()
    told = TaskEvent.objects.filter(task_id__in=task_ids, data__once=once)
    return set(told.values_list("task_id", flat=True))


def _retried_by(task: Task) -> str:
    """Who has retried a task that lives, if that is why it does."""
    retried = task.events.filter(kind=Kind.RETRIED).select_related("actor").order_by("-seq").first()
    if retried is None or task.state not in LIVE:
        return ""
    by = f" by {retried.actor}" if retried.actor else ""
    return f"it was retried before{by}, at {retried.at.astimezone(UTC):%H:%M:%S} UTC, and is {task.state}"


def _refused(task: Task, text: str) -> Outcome:
    return Outcome(moved=False, state=State(task.state), text=text)
