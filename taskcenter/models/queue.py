"""The queue: a named line of tasks, and whether it moves. Queues without a row have no limits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from django.db import models
from django.utils import timezone

REASON_LENGTH = 255


class QueueQuerySet(models.QuerySet["Queue"]):
    """Questions, and the only writes: pause, resume, limit. A row is made when it is first needed."""

    def paused(self) -> Self:
        return self.filter(paused_at__isnull=False)

    def ensure(self, names: Iterable[str]) -> None:
        """Give each of these queues its row, which changes nothing."""
        self.bulk_create([self.model(name=name) for name in sorted(set(names))], ignore_conflicts=True)

    def pause(self, name: str, reason: str = "") -> bool:
        """Keep workers from claiming; False when it is paused already: since when and why then stay."""
        self.ensure([name])
        changes = {"paused_at": timezone.now(), "paused_reason": reason[:REASON_LENGTH]}
        return bool(self.filter(name=name, paused_at=None).update(**changes))

    def resume(self, name: str) -> bool:
        """Let workers claim again; False when it was not paused."""
        return bool(self.paused().filter(name=name).update(paused_at=None, paused_reason=""))

    def limit(self, name: str, max_running: int | None) -> bool:
        """Let at most so many of its tasks run at once (None: any number); False when that was so before."""
        self.ensure([name])
        return bool(self.filter(name=name).exclude(max_running=max_running).update(max_running=max_running))


class Queue(models.Model):
    name = models.CharField(max_length=100, primary_key=True)
    paused_at = models.DateTimeField(null=True, blank=True)
    paused_reason = models.CharField(max_length=REASON_LENGTH, default="", blank=True)
    max_running = models.PositiveIntegerField(null=True, blank=True, help_text="Tasks that may run at once.")
    rate = models.CharField(max_length=32, default="", blank=True, help_text="For example 100/m.")

    objects = QueueQuerySet.as_manager()

    class Meta:
        permissions = (("pause_queue", "Can pause and resume a queue"),)

    def __str__(self) -> str:
        return self.name
