"""Notifications: one message to the person a task worked for, when an attempt of it has finished.

The row is written in the transaction that finishes the task, so there is one if and only if the task
finished; browsers hear of it after the commit, and a browser that missed it sees it at the next page.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

import redis
from django.urls import NoReverseMatch, reverse

from .compat import after_commit
from .models import Notification, Task
from .states import State
from .wire import notice_channel, try_redis

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "Key",
    "announce_new",
    "announce_unread",
    "completed_text",
    "mark_read",
    "outcome_text",
    "record",
    "record_many",
    "unread_count",
]


_TEXT_LENGTH = 255

Key = tuple[UUID, int, Any]
"""Task id, attempt and the primary key of the recipient."""


def record(task: Task) -> None:
    """Tell the task's owner how it ended; nothing without an owner or before a final state.

    Called inside the finishing transaction. A second call for the same attempt changes nothing.
    """
    if task.owner_id is None or not task.is_final:
        return
    key = {"task_id": task.pk, "attempt": task.attempt, "kind": str(task.state), "recipient_id": task.owner_id}
    row = Notification(**key, channel=Notification.Channel.APP, text=outcome_text(task))
    Notification.objects.bulk_create([row], ignore_conflicts=True)
    after_commit(announce_new, [(task.pk, task.attempt, task.owner_id)])


def record_many(tasks: Sequence[Task]) -> None:
    """`record()` for many tasks whose new state and attempt are written, in one statement."""
    mine = [task for task in tasks if task.owner_id is not None and task.is_final]
    if mine:
        Notification.objects.tell_owners({task.pk: outcome_text(task) for task in mine})
        after_commit(announce_new, [(task.pk, task.attempt, task.owner_id) for task in mine])


def completed_text(label: str) -> str:
    """What the owner of a completed task is told, in at most 255 characters."""
    return _short(f"{label} is ready")


def outcome_text(task: Task) -> str:
    """How it ended, as a sentence for its owner, in at most 255 characters."""
    match task.state:
        case State.COMPLETED:
            return completed_text(task.label)
        case State.CANCELLED:
            return _short(f"{task.label} was cancelled")
    cause = " ".join(task.error_message.split())
    return _short(f"{task.label} failed: {cause}" if cause else f"{task.label} failed")


def _short(text: str) -> str:
    return text if len(text) <= _TEXT_LENGTH else text[: _TEXT_LENGTH - 1] + "…"


def unread_count(user: Any) -> int:
    """How many notifications that person has not read."""
    return Notification.objects.to(user).unread().count()


def mark_read(user: Any, ids: Iterable[int] | None = None, *, task: Task | None = None) -> int:
    """Mark those, those of a task, or all of a person's notifications read; how many were not."""
    mine = Notification.objects.to(user)
    if task is not None:
        mine = mine.filter(task=task)
    if ids is not None:
        mine = mine.filter(pk__in=list(ids))
    changed = mine.mark_read()
    if changed:
        after_commit(announce_unread, user.pk)
    return changed


def announce_unread(user_pk: Any, item: dict[str, Any] | None = None) -> None:
    """Publish a person's unread count, and what is new, to their open pages."""
    _publish([(user_pk, item)])


def announce_new(keys: Sequence[Key]) -> None:
    """Publish these new notifications, and their recipients' unread counts, to open pages.

    Two queries and one round trip, however many there are.
    """
    wanted = {(task_id, attempt) for task_id, attempt, _ in keys}
    rows = Notification.objects.filter(task_id__in=[key[0] for key in keys], channel=Notification.Channel.APP)
    fresh = [row for row in rows.order_by("id") if (row.task_id, row.attempt) in wanted]
    items = [{"text": row.text, "url": _page(row), "id": row.pk} for row in fresh]
    _publish([(row.recipient_id, item) for row, item in zip(fresh, items, strict=True)])


def _publish(news: Sequence[tuple[Any, dict[str, Any] | None]]) -> None:
    unread = Notification.objects.unread_counts({user_pk for user_pk, _ in news})

    def tell(client: redis.Redis) -> None:
        pipeline = client.pipeline(transaction=False)
        for user_pk, item in news:
            frame = json.dumps({"unread": unread.get(user_pk, 0), "item": item})
            pipeline.publish(notice_channel(user_pk), frame)
        pipeline.execute()

    if news:
        try_redis(tell)


def _page(row: Notification) -> str:
    try:
        return reverse("taskcenter:task-detail", args=[row.task_id])
    except NoReverseMatch:
        # A worker-only site need not include our URLs.
        return ""
