"""Notifications: one message to the person a task worked for, when an attempt of it has finished.

The row is written in the transaction that finishes the task, so there is one if and only if the task
finished; browsers hear of it after the commit, and a browser that missed it sees it at the next page.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.urls import NoReverseMatch, reverse

from .compat import after_commit
from .models import Notification, Task
from .states import State
from .wire import notice_channel, try_redis

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["announce_unread", "mark_read", "outcome_text", "record", "unread_count"]


_TEXT_LENGTH = 255

_Key = dict[str, Any]


def record(task: Task) -> None:
    """Tell the task's owner how it ended; nothing without an owner or before a final state.

    Called inside the finishing transaction. A second call for the same attempt changes nothing.
    """
    if task.owner_id is None or not task.is_final:
        return
    key = {
        "task_id": task.pk,
        "attempt": task.attempt,
        "kind": str(task.state),
        "recipient_id": task.owner_id,
    }
    row = Notification(**key, channel=Notification.Channel.APP, text=outcome_text(task))
    Notification.objects.bulk_create([row], ignore_conflicts=True)
    after_commit(_publish, key)


def outcome_text(task: Task) -> str:
    """How it ended, as a sentence for its owner, in at most 255 characters."""
    match task.state:
        case State.COMPLETED:
            text = f"{task.label} is ready"
        case State.CANCELLED:
            text = f"{task.label} was cancelled"
        case _:
            cause = " ".join(task.error_message.split())
            text = f"{task.label} failed: {cause}" if cause else f"{task.label} failed"
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
    """Publish the person's unread count, and what is new, to their open pages."""
    unread = Notification.objects.filter(recipient=user_pk, channel=Notification.Channel.APP).unread().count()
    frame = json.dumps({"unread": unread, "item": item})
    try_redis(lambda redis: redis.publish(notice_channel(user_pk), frame))


def _publish(key: _Key) -> None:
    row = Notification.objects.filter(**key, channel=Notification.Channel.APP).first()
    item = {"text": row.text, "url": _page(row), "id": row.pk} if row else None
    announce_unread(key["recipient_id"], item)


def _page(row: Notification) -> str:
    try:
        return reverse("taskcenter:task-detail", args=[row.task_id])
    except NoReverseMatch:
        # A worker-only site need not include our URLs.
        return ""
