"""The worker: one `manage.py rqworker` process, and whether it still lives."""

from __future__ import annotations

import uuid
from typing import Any, Self

from django.db import models
from django.utils import timezone

from taskcenter.conf import get_settings

from .clock import Ago


def stale_before() -> Ago:
    """The time before which a last heartbeat means that the worker is dead, for a filter."""
    return Ago(get_settings().STALE_AFTER)


class WorkerQuerySet(models.QuerySet["Worker"]):
    def alive(self) -> Self:
        return self.filter(stopped_at=None, heartbeat_at__gt=stale_before())

    def silent(self) -> Self:
        """Not stopped in order, and not heard of for too long."""
        return self.filter(stopped_at=None, heartbeat_at__lte=stale_before())

    def register(self, **fields: Any) -> None:
        """A row for a worker that lives from now on."""
        self.create(started_at=Ago(), heartbeat_at=Ago(), **fields)

    def beat(self, worker_id: uuid.UUID) -> bool:
        """Touch that worker's row; False when the row is gone or retired: the worker must register anew."""
        touched = self.filter(id=worker_id, stopped_at=None).update(heartbeat_at=Ago())
        return bool(touched)

    def retire(self, worker_id: uuid.UUID) -> bool:
        """Say that the worker is no more; False when somebody said so before."""
        return bool(self.filter(id=worker_id, stopped_at=None).update(stopped_at=Ago()))

    def retire_all(self) -> int:
        """`retire()` for all of these that are not stopped; how many."""
        return self.filter(stopped_at=None).update(stopped_at=Ago())


class Worker(models.Model):
    """One incarnation of a worker process; its id is never used again."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=255, help_text="The name RQ knows it by.")
    host = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    queues = models.JSONField(default=list)
    slots = models.PositiveSmallIntegerField(default=1)
    definitions = models.JSONField(default=list, help_text="What its code can run.")
    started_at = models.DateTimeField(default=timezone.now)
    heartbeat_at = models.DateTimeField(default=timezone.now)
    stopped_at = models.DateTimeField(null=True, blank=True)

    objects = WorkerQuerySet.as_manager()

    class Meta:
        indexes = (models.Index(fields=("stopped_at", "heartbeat_at"), name="taskcenter_worker_alive"),)

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}"

    @property
    def is_alive(self) -> bool:
        """Asked of the database each time: only its clock knows how old a heartbeat is."""
        return type(self).objects.alive().filter(pk=self.pk).exists()
