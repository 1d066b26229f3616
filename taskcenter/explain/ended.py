"""Tasks that run no more: how they ended, and whether they could run again."""

from __future__ import annotations

from collections.abc import Iterator

from taskcenter.models import Task, TaskEvent
from taskcenter.states import State

from .around import Around
from .values import Reason
from .words import as_data, label, tasks_data, when

__all__ = ["ended"]

_CANCELS = (TaskEvent.Kind.CANCEL_ASKED, TaskEvent.Kind.CANCELLED)


def ended(around: Around) -> Iterator[Reason]:
    task = around.task
    if task.state == State.COMPLETED:
        data = {"finished_at": as_data(task.finished_at)}
        yield Reason("completed", f"It has completed{_at(task)}.", data=data)
        return
    yield _failed(task) if task.state == State.FAILED else _cancelled(around)
    holder = _key_holder(around)
    if holder is not None:
        yield holder


def _failed(task: Task) -> Reason:
    error = ": ".join(filter(None, (task.error_type, task.error_message)))
    counts = f"{task.failures} of {task.max_attempts} failures, {task.crashes} of {task.max_crashes} crashes"
    text = f"It failed{_at(task)}, after {counts}." + (f" The reason: {error}" if error else "")
    data = {
        "finished_at": as_data(task.finished_at),
        "error_type": task.error_type,
        "error_message": task.error_message,
        "failures": task.failures,
        "crashes": task.crashes,
    }
    return Reason("failed", text, "When the cause is mended, retry it: on its page, or in the admin.", data)


def _cancelled(around: Around) -> Reason:
    """Whoever asked for it; of a running task the event of the asking knows, not that of its end."""
    task = around.task
    events = list(task.events.filter(kind__in=_CANCELS).select_related("actor").order_by("-seq")[:2])
    asked = next((event for event in events if event.kind == TaskEvent.Kind.CANCEL_ASKED), None)
    event = asked or (events[0] if events else None)
    by = f" by {event.actor}" if event and event.actor else ""
    why = event.text if event else ""
    data = {"finished_at": as_data(task.finished_at), "by": str(event.actor) if by and event else None, "reason": why}
    text = f"It was cancelled{by}{_at(task)}." + (f" The reason given: {why}" if why else "")
    return Reason("cancelled", text, "If it is wanted after all, retry it: on its page, or in the admin.", data)


def _key_holder(around: Around) -> Reason | None:
    """The live task that holds its unique key: until that ends, a retry is refused."""
    if around.task.unique_key is None:
        return None
    holders = Task.objects.live().filter(unique_key=around.task.unique_key)
    if not holders.exists():
        return None
    seen = around.named(holders)
    name = f"task {label(seen[0])} ({seen[0].pk})" if seen else "another task"
    text = f"It cannot be retried now: its unique key is held by {name}."
    return Reason("key_held", text, "Wait for that one to end, or cancel it.", {"tasks": tasks_data(seen)})


def _at(task: Task) -> str:
    return f" at {when(task.finished_at)}" if task.finished_at else ""
