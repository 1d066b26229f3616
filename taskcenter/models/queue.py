"""The queue: a named line of tasks, and whether it moves. Queues without a row have no limits."""

from __future__ import annotations

from typing import Self

from django.db import models


class QueueQuerySet(models.QuerySet["Queue"]):
    def paused(self) -> Self:
        return self.filter(paused_at__isnull=False)


class Queue(models.Model):
    name = models.CharField(max_length=100, primary_key=True)
    paused_at = models.DateTimeField(null=True, blank=True)
    paused_reason = models.CharField(max_length=255, default="", blank=True)
    max_running = models.PositiveIntegerField(null=True, blank=True, help_text="Tasks that may run at once.")
    rate = models.CharField(max_length=32, default="", blank=True, help_text="For example 100/m.")

    objects = QueueQuerySet.as_manager()

    class Meta:
        permissions = (("pause_queue", "Can pause and resume a queue"),)

    def __str__(self) -> str:
        return self.name
