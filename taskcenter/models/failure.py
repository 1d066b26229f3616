"""The failure group: attempts that failed alike, counted under their fingerprint."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Self

from django.db import connections, models, transaction
from django.db.models import Exists, F, OuterRef, Value
from django.db.models.functions import Greatest
from django.utils import timezone

from taskcenter.states import State

from .task import Task, TaskQuerySet

BATCH = 500
SAMPLE_LENGTH = 2000
"""Characters of the latest message that a group keeps."""
FAILED_LOOKED_AT = 2000
"""Of the failed tasks the newest so many are looked at: beyond that, the number itself is the news."""


class FailureGroupQuerySet(models.QuerySet["FailureGroup"]):
    """Questions, and the only writes: count, forget."""

    def latest_first(self) -> Self:
        return self.order_by("-last_seen", "fingerprint")

    def starting(self, prefix: str) -> Self:
        """Those whose fingerprint begins so; case does not matter."""
        return self.filter(fingerprint__startswith=prefix.lower())

    def saw(self, fingerprint: str, *, times: int = 1, **sample: Any) -> None:
        """Count attempts that failed so; `sample` describes the latest of them.

        The row stays locked until the caller's transaction ends, and everybody who fails alike wants it:
        so this is a transaction's last statement, and groups are counted in the order of their fingerprints.
        The first two to see a failure both try to insert: the later one waits for the other's commit, inserts
        nothing, and counts on.
        """
        now = timezone.now()
        seen = {"count": F("count") + times, "last_seen": Greatest(F("last_seen"), Value(now)), **sample}
        mine = self.filter(fingerprint=fingerprint)
        if not mine.update(**seen):
            new = self.model(fingerprint=fingerprint, first_seen=now, last_seen=now, **sample)
            self.bulk_create([new], ignore_conflicts=True)
            mine.update(**seen)

    def forget(self, before: datetime) -> int:
        """Delete groups not seen since then of which no task is failed any more; how many."""
        gone = 0
        while forgotten := self._forget_some(before):
            gone += forgotten
        return gone

    def _forget_some(self, before: datetime) -> int:
        """A locked one is being counted right now: it is left alone."""
        failed = Task.objects.failed_like(OuterRef("fingerprint"))
        old = self.filter(last_seen__lt=before).exclude(Exists(failed)).order_by("fingerprint")
        with transaction.atomic(using=self.db):
            skips = connections[self.db].features.has_select_for_update_skip_locked
            rows = old.select_for_update(skip_locked=True) if skips else old
            ids = list(rows.values_list("fingerprint", flat=True)[:BATCH])
            return self.filter(fingerprint__in=ids).delete()[0] if ids else 0


def failed_since(moment: datetime) -> TaskQuerySet:
    """Tasks that are failed now and failed since then, of the newest so many failed ones."""
    newest = Task.objects.filter(state=State.FAILED).order_by("-id").values("pk")[: FAILED_LOOKED_AT + 1]
    return Task.objects.filter(pk__in=newest, finished_at__gte=moment)


def count_open(groups: Iterable[FailureGroup]) -> list[FailureGroup]:
    """These groups, each with how many of its tasks are failed now. One query, of an index alone."""
    known = {group.fingerprint: group for group in groups}
    failed = Task.objects.filter(state=State.FAILED, fingerprint__in=list(known)).order_by()
    for fingerprint, tasks in failed.values_list("fingerprint").annotate(tasks=models.Count("pk")):
        known[fingerprint].open_tasks = tasks
    return list(known.values())


class FailureGroup(models.Model):
    """What failed alike. `count` counts attempts; its tasks that are failed now are found by their fingerprint."""

    fingerprint = models.CharField(max_length=64, primary_key=True, editable=False)
    definition = models.CharField(max_length=255)
    error_type = models.CharField(max_length=255, default="", blank=True, help_text="Empty when its process died.")
    place = models.CharField(max_length=255, default="", blank=True, help_text="Where it was raised, in own code.")
    message = models.TextField(default="", blank=True, help_text="Of the latest one.")
    task_id = models.UUIDField(null=True, blank=True, help_text="The task that failed last.")
    first_seen = models.DateTimeField(default=timezone.now)
    last_seen = models.DateTimeField(default=timezone.now)
    count = models.BigIntegerField(default=0, help_text="Attempts that failed so.")

    open_tasks: int = 0
    """Its tasks that are failed now; see count_open()."""

    objects = FailureGroupQuerySet.as_manager()

    class Meta:
        # No index beside the key: each would be written at every count.
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.error_name}: {self.message}" if self.error_type else self.message

    @property
    def error_name(self) -> str:
        """The error's class without its module."""
        return self.error_type.rpartition(".")[2]

    @property
    def short(self) -> str:
        """As much of the fingerprint as people need."""
        return self.fingerprint[:12]


def sample_of(task_id: uuid.UUID, definition: str, error_type: str, place: str, message: str) -> dict[str, Any]:
    """The fields of a group that its latest failure decides, cut to what they hold."""
    return {
        "task_id": task_id,
        "definition": definition,
        "error_type": error_type[:255],
        "place": place[:255],
        "message": message[:SAMPLE_LENGTH],
    }
