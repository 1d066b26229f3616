"""How an attempt ends when it does not simply return: fail, crash, stop, snooze, hand back."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import transaction
from django.db.models import F

from taskcenter.models import Task, TaskEvent
from taskcenter.states import State
from taskcenter.verdicts import Ran, Verdict

from .lost import judge
from .moves import MESSAGE_LIMIT, Failure, Outcome, count_failure, later, move, owned, settle, superseded, wake

Kind = TaskEvent.Kind


def fail(task: Task, failure: Failure, *, delay: float | None) -> Outcome:
    """The attempt raised or ran out of time.

    It runs again in `delay` seconds while attempts are left; with None it must not be tried again.
    """
    with transaction.atomic():
        row = owned(task)
        if row is None:
            return superseded(task, "failed")
        outcome = _fail(row, failure, delay)
        count_failure(row, failure)
        return outcome


def _fail(row: Task, failure: Failure, delay: float | None) -> Outcome:
    keep_error(row, failure)
    if row.cancel_requested_at:
        return _end(row, State.CANCELLED, "Cancelled while it failed.", failures=F("failures") + 1)
    if delay is not None and row.failures + 1 < row.max_attempts:
        return _plan_retry(row, failure, delay)
    return _end(row, State.FAILED, failure.message, failures=row.failures + 1, **error_fields(row, failure))


def crash(task_id: uuid.UUID, attempt: int, failure: Failure) -> Outcome:
    """The process that ran this attempt is gone; its worker saw it die."""
    with transaction.atomic():
        row = Task.objects.select_for_update().of_attempt(task_id, attempt).first()
        if row is None:
            return Outcome(moved=False, state=None, text="The attempt had ended before its process died.")
        keep_error(row, failure)
        outcome = _close(row, Ran.YES, failure.message, **error_fields(row, failure))
        count_failure(row, failure)
        return outcome


def cancelled(task: Task) -> Outcome:
    """The attempt stopped because somebody asked for it."""
    with transaction.atomic():
        row = owned(task)
        if row is None:
            return superseded(task, "stopped")
        return _end(row, State.CANCELLED, "Stopped as asked.", interrupted=row.interrupted + 1)


def snooze(task: Task, delay: float) -> Outcome:
    """The attempt asked to be run again in `delay` seconds; nobody is to blame."""
    with transaction.atomic():
        row = owned(task)
        if row is None:
            return superseded(task, "snoozed")
        if row.cancel_requested_at:
            return _end(row, State.CANCELLED, "Stopped as asked.", interrupted=row.interrupted + 1)
        when = later(delay)
        TaskEvent.objects.tell(
            row.id, Kind.SNOOZED, f"Runs again at {when:%H:%M:%S} UTC.", attempt=row.attempt, worker_id=row.worker_id
        )
        move(Task.objects.all(), row, State.SCHEDULED, run_after=when, interrupted=row.interrupted + 1, worker_id=None)
        return Outcome(moved=True, state=State.SCHEDULED, text=f"Snoozed for {delay:g} seconds.")


def hand_back(task_id: uuid.UUID, attempt: int, reason: str) -> Outcome:
    """The attempt will not be finished here, and nobody is to blame: let another worker take it."""
    with transaction.atomic():
        row = Task.objects.select_for_update().of_attempt(task_id, attempt).first()
        if row is None:
            return Outcome(moved=False, state=None, text="The attempt had ended before it was handed back.")
        return give_back(row, reason)


def give_back(row: Task, reason: str) -> Outcome:
    """A locked row whose attempt nobody is to blame for: waiting again, or cancelled if that was asked."""
    return _close(row, Ran.NO, reason)


def _close(row: Task, ran: Ran, cause: str, **error: str) -> Outcome:
    """End a locked attempt whose process is gone as `taskcenter.verdicts` has it."""
    fate = judge(row, ran)
    text = fate.text.format(cause=cause)
    counts = {fate.counts: getattr(row, fate.counts) + 1}
    if fate.verdict == Verdict.CANCELLED:
        return _end(row, State.CANCELLED, text, **counts)
    if fate.verdict == Verdict.FAILED:
        return _end(row, State.FAILED, text, **counts, **error)
    if ran is Ran.NO:
        TaskEvent.objects.tell(row.id, Kind.HANDED_BACK, text, attempt=row.attempt, worker_id=row.worker_id)
    return _requeue(row, text, **counts)


def _plan_retry(row: Task, failure: Failure, delay: float) -> Outcome:
    when = later(delay)
    text = f"Try {row.failures + 2} of {row.max_attempts} at {when:%H:%M:%S} UTC."
    TaskEvent.objects.tell(row.id, Kind.RETRY_PLANNED, text, attempt=row.attempt)
    changes: dict[str, Any] = {"run_after": when, "failures": row.failures + 1, "worker_id": None}
    move(Task.objects.all(), row, State.SCHEDULED, **changes, **error_fields(row, failure))
    return Outcome(moved=True, state=State.SCHEDULED, text=text)


def _requeue(row: Task, text: str, **counts: int) -> Outcome:
    move(Task.objects.all(), row, State.PENDING, worker_id=None, **counts)
    wake(row)
    return Outcome(moved=True, state=State.PENDING, text=text)


def _end(row: Task, state: State, text: str, **changes: Any) -> Outcome:
    if state == State.CANCELLED:
        TaskEvent.objects.tell(row.id, Kind.CANCELLED, text, attempt=row.attempt, worker_id=row.worker_id)
    move(Task.objects.all(), row, state, **changes)
    settle(row)
    return Outcome(moved=True, state=state, text=text)


def keep_error(row: Task, failure: Failure, *, text: str = "") -> None:
    """The line of the history that tells how the attempt ended, and by which one finds failures like it."""
    TaskEvent.objects.tell(
        row.id,
        failure.kind,
        text or (f"{failure.name}: {failure.message}" if failure.type else failure.message),
        attempt=row.attempt,
        level="error",
        data={
            "type": failure.type,
            "message": failure.message,
            "traceback": failure.traceback,
            "place": failure.place,
            "fingerprint": failure.fingerprint(row.definition),
        },
        worker_id=row.worker_id,
    )


def error_fields(row: Task, failure: Failure) -> dict[str, str]:
    """What the row keeps of its latest failure."""
    return {
        "error_type": failure.type[:255],
        "error_message": failure.message[:MESSAGE_LIMIT],
        "fingerprint": failure.fingerprint(row.definition),
    }
