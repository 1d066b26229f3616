"""Tasks that wait: for parents, for their time, for the next try, for a worker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from taskcenter.conf import get_settings
from taskcenter.models import Task, TaskEvent

from .around import Around
from .crowd import crowd
from .obstacles import obstacles
from .values import Reason
from .words import as_data, counted, listed, span, tasks_data, when

__all__ = ["blocked", "pending", "scheduled"]

_PLANS = (TaskEvent.Kind.RETRY_PLANNED, TaskEvent.Kind.SNOOZED)


def blocked(around: Around) -> Iterator[Reason]:
    """`waits_for` counts the parents, `parent` names one of them."""
    task = around.task
    parents = around.named(Task.objects.filter(pk=task.parent_id)) if task.parent_id else []
    data = {"waits_for": task.waits_for, "tasks": tasks_data(parents)}
    if not task.waits_for:
        yield Reason(
            "parents_gone", "It is blocked, but waits for no parent any more.", "Cancel it, enqueue it anew.", data
        )
        return
    text = f"It waits for {counted(task.waits_for, 'parent')} to finish."
    if parents:
        which = "One of them" if task.waits_for > 1 else "That"
        text += f" {which} is {listed(parents, 1)}, which is {parents[0].state}."
    fix = "Retry that one: it does not finish by itself any more." if parents and parents[0].is_final else ""
    yield Reason("parents", text, fix, data)


def scheduled(around: Around) -> Iterator[Reason]:
    """Its time; and whatever would hold it then too."""
    yield _time(around)
    yield from obstacles(around)


def pending(around: Around) -> Iterator[Reason]:
    """What keeps it from being claimed; if nothing does, what comes before it."""
    held = False
    for reason in obstacles(around):
        held = True
        yield reason
    if not held:
        yield from crowd(around)


def _time(around: Around) -> Reason:
    task = around.task
    assert task.run_after is not None  # noqa: S101 a CHECK on the row
    left = (task.run_after - around.now).total_seconds()
    at = f"{when(task.run_after)}, in {span(left)}" if left > 0 else f"{when(task.run_after)}, {span(-left)} ago"
    data: dict[str, Any] = {"run_after": as_data(task.run_after), "seconds_left": round(left, 1)}
    plan = task.events.filter(kind__in=_PLANS).order_by("-seq").first() if task.attempt else None
    kind = plan.kind if plan else None
    if left <= 0:
        return _overdue(around, at, data)
    if kind == TaskEvent.Kind.RETRY_PLANNED:
        return Reason("retry", f"{_failure(task)} It runs again at {at}.", data={**data, "failures": task.failures})
    if kind == TaskEvent.Kind.SNOOZED:
        return Reason("snoozed", f"It asked to be run later (snooze): at {at}.", data=data)
    return Reason("not_due", f"Its time has not come: it runs at {at}.", data=data)


def _failure(task: Task) -> str:
    error = ": ".join(filter(None, (task.error_type.rpartition(".")[2], task.error_message)))
    told = f" ({error})" if error else ""
    return f"Attempt {task.attempt} failed{told}, the failure {task.failures} of {task.max_attempts}."


def _overdue(around: Around, at: str, data: dict[str, Any]) -> Reason:
    """Whoever sees it first makes it pending: idle slots, heartbeats, the scheduler's ticks."""
    text = f"Its time came at {at}; workers and schedulers make such tasks pending"
    if around.all_workers:
        return Reason("due", f"{text} within {span(get_settings().HEARTBEAT)}.", data=data)
    fix = f"Start one: manage.py rqworker {around.task.queue}, or manage.py rqscheduler"
    return Reason("due", f"{text}, and no worker is alive.", fix, data)
