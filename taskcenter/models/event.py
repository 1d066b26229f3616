"""The event: a line of a task's history, written for what did not go straight."""

from __future__ import annotations

import uuid
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models.functions import Coalesce
from django.utils import timezone

from .task import Task


class TaskEventQuerySet(models.QuerySet["TaskEvent"]):
    def told(self) -> Self:
        """In the order of telling."""
        return self.order_by("task_id", "seq")

    def tell(
        self,
        task_id: uuid.UUID,
        kind: str,
        text: str = "",
        *,
        attempt: int = 0,
        level: str = "info",
        data: dict[str, Any] | None = None,
        worker_id: uuid.UUID | None = None,
        actor: Any = None,
    ) -> TaskEvent:
        """Append a line. The caller holds the task's row, or the UNIQUE constraint breaks the tie."""
        top = models.Max("seq", default=0)
        seq = self.filter(task_id=task_id).aggregate(top=Coalesce(top, 0))["top"] + 1
        return self.create(
            task_id=task_id,
            seq=seq,
            kind=kind,
            text=text,
            attempt=attempt,
            level=level,
            data=data or {},
            worker_id=worker_id,
            actor=actor if getattr(actor, "pk", None) else None,
        )


class TaskEvent(models.Model):
    """One line: what happened, in which attempt, who or what did it."""

    class Kind(models.TextChoices):
        FAILED = "failed", "Attempt failed"
        TIMED_OUT = "timed_out", "Attempt ran out of time"
        CRASHED = "crashed", "Attempt crashed"
        RETRY_PLANNED = "retry_planned", "Retry planned"
        SNOOZED = "snoozed", "Snoozed"
        HANDED_BACK = "handed_back", "Handed back"
        CANCEL_ASKED = "cancel_asked", "Cancel asked"
        CANCELLED = "cancelled", "Cancelled"
        RETRIED = "retried", "Retried"
        RECOVERED = "recovered", "Recovered"
        SUPERSEDED = "superseded", "Late result set aside"
        STAGE = "stage", "Stage"
        LOG = "log", "Log"

    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="events")
    seq = models.PositiveIntegerField()
    attempt = models.PositiveIntegerField(default=0)
    kind = models.CharField(max_length=20, choices=Kind)
    level = models.CharField(max_length=10, default="info")
    text = models.TextField(default="", blank=True)
    data = models.JSONField(default=dict, blank=True)
    worker_id = models.UUIDField(null=True, blank=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    at = models.DateTimeField(default=timezone.now)

    objects = TaskEventQuerySet.as_manager()

    class Meta:
        default_permissions = ("view",)
        constraints = (models.UniqueConstraint(fields=("task", "seq"), name="taskcenter_event_order"),)

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.text}" if self.text else self.get_kind_display()
