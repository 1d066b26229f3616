"""The duty: something the scheduler itself does, and when it is next due."""

from __future__ import annotations

from datetime import datetime

from django.db import models


class DutyQuerySet(models.QuerySet["Duty"]):
    def take(self, name: str, seen: datetime | None, next_due: datetime, now: datetime) -> bool:
        """Compare-and-set: only one scheduler gets each due time."""
        mine = self.filter(name=name, next_due=seen)
        return bool(mine.update(next_due=next_due, last_started_at=now))


class Duty(models.Model):
    name = models.CharField(max_length=50, primary_key=True)
    next_due = models.DateTimeField(null=True)
    last_started_at = models.DateTimeField(null=True, blank=True)
    last_finished_at = models.DateTimeField(null=True, blank=True)
    last_outcome = models.CharField(max_length=255, default="", blank=True)

    objects = DutyQuerySet.as_manager()

    class Meta:
        default_permissions = ("view",)
        verbose_name_plural = "duties"

    def __str__(self) -> str:
        return self.name
