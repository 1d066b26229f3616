"""The notification: one message to one person over one channel."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.utils import timezone

from . import bulk
from .task import Task

_TELL_OWNERS = """
INSERT INTO taskcenter_notification (created_at, channel, task_id, attempt, kind, recipient_id, text)
SELECT {at}, 'app', t.id, t.attempt, t.state, t.owner_id, d.text
FROM {rows} JOIN taskcenter_task AS t ON t.id = d.task_id WHERE t.owner_id IS NOT NULL ON CONFLICT DO NOTHING"""


class NotificationQuerySet(models.QuerySet["Notification"]):
    def to(self, user: Any) -> Self:
        """In the app, to that person, newest first."""
        mine = self.filter(recipient=user.pk, channel=Notification.Channel.APP)
        return mine.order_by("-id") if user.is_authenticated else self.none()

    def unread(self) -> Self:
        return self.filter(read_at=None)

    def unread_counts(self, recipients: Iterable[Any]) -> dict[Any, int]:
        """How many each of these people has not read; who has none is left out."""
        mine = self.unread().filter(recipient__in=recipients, channel=Notification.Channel.APP)
        return dict(mine.order_by().values_list("recipient").annotate(models.Count("id")))

    def tell_owners(self, texts: Mapping[uuid.UUID, str]) -> None:
        """Tell the owner of each of these tasks how it ended, in one statement; once per attempt."""
        rows = [{"task_id": task_id, "text": text} for task_id, text in texts.items()]
        at = bulk.given(self.model, "created_at", timezone.now())
        bulk.execute(self.db, _TELL_OWNERS, {"task_id": "uuid", "text": "text"}, rows, at=at)

    def mark_read(self) -> int:
        """Mark all of these read; how many were not."""
        return self.unread().update(read_at=timezone.now())


class Notification(models.Model):
    class Channel(models.TextChoices):
        APP = "app", "In the app"

    class Kind(models.TextChoices):
        COMPLETED = "completed", "Completed"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="notifications")
    attempt = models.PositiveIntegerField()
    kind = models.CharField(max_length=20, choices=Kind)
    recipient = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    channel = models.CharField(max_length=20, choices=Channel, default=Channel.APP)
    text = models.CharField(max_length=255)
    created_at = models.DateTimeField(default=timezone.now)
    read_at = models.DateTimeField(null=True, blank=True)

    objects = NotificationQuerySet.as_manager()

    class Meta:
        indexes = (models.Index(fields=("recipient", "channel", "-id"), name="taskcenter_notification_list"),)
        constraints = (
            models.UniqueConstraint(
                fields=("task", "attempt", "kind", "recipient", "channel"), name="taskcenter_notification_once"
            ),
        )

    def __str__(self) -> str:
        return self.text
