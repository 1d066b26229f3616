"""From a task to its explanation: the row read anew, the story of its state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from asgiref.sync import sync_to_async
from django.utils import timezone

from taskcenter.conf import get_settings
from taskcenter.definitions import known_names
from taskcenter.enqueue import key_hash
from taskcenter.models import Task
from taskcenter.states import State

from .around import BLOBS, Around
from .ended import ended
from .running import processing
from .values import Explanation, Reason
from .waiting import blocked, pending, scheduled
from .words import as_data, label

__all__ = ["aexplain", "explain", "explain_key"]

_STORIES: dict[str, Callable[[Around], Iterator[Reason]]] = {
    State.BLOCKED: blocked,
    State.SCHEDULED: scheduled,
    State.PENDING: pending,
    State.PROCESSING: processing,
    State.COMPLETED: ended,
    State.FAILED: ended,
    State.CANCELLED: ended,
}


def explain(task: Task, *, user: Any = None) -> Explanation:
    """Why this task is not running; its row is read anew.

    `user`: other tasks are named only if this person may see them; by default all are.
    """
    row = Task.objects.defer(*BLOBS).filter(pk=task.pk).first()
    if row is None:
        return Explanation(task.pk, None, label(task), (_gone(),))
    around = Around(row, timezone.now(), user)
    return Explanation(row.pk, str(row.state), label(row), tuple(_STORIES[row.state](around)))


async def aexplain(task: Task, *, user: Any = None) -> Explanation:
    """See explain()."""
    return await sync_to_async(explain, thread_sensitive=True)(task, user=user)


def explain_key(definition: str, unique_key: str) -> Explanation:
    """Why enqueueing with this `unique_key` makes no new task: the live one that holds it, and what that waits for."""
    holder = Task.objects.live().filter(unique_key=key_hash(definition, unique_key)).first()
    if holder is None:
        text = f"No live task of {definition} holds the unique key {unique_key!r}: enqueueing makes a new task."
        if definition not in known_names():
            text += " But the code here knows no definition of that name."
        return Explanation(None, None, definition, (Reason("key_free", text),))
    text = f"Task {label(holder)} ({holder.pk}) holds the unique key {unique_key!r} and is {holder.state}."
    held = Reason("key_held", text, "Wait for it to end, or cancel it.", {"since": as_data(holder.created_at)})
    found = explain(holder)
    return Explanation(holder.pk, found.state, found.label, (held, *found.reasons))


def _gone() -> Reason:
    keep = get_settings().TASK_RETENTION
    after = f" {keep.days} days after their end" if keep else ""
    return Reason("gone", "There is no such task any more.", f"Nothing: finished tasks are deleted{after}.")
