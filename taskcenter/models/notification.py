"""The notification: one message to one person over one channel."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.utils import timezone

from .task import Task


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
