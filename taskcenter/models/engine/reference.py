"""The engine in the ORM: what the raw ones are tested against, and what other drivers use."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import F, Value
from django.db.models.functions import Greatest

from taskcenter.models.clock import moment
from taskcenter.models.notification import Notification
from taskcenter.models.queue import Queue
from taskcenter.models.report import Report
from taskcenter.models.task import Task
from taskcenter.states import State

from .rows import Claimed, Ended, Handed, Turned, Want, in_running_order

__all__ = ["ReferenceEngine"]

UNTOUCHED = {"failures": 0, "crashes": 0, "interrupted": 0}


class ReferenceEngine:
    """See `Engine`. Uses the thread's own connection of that alias."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection
        self._tasks = Task.objects.using(connection.alias)

    def turn(self, ended: Sequence[Ended], want: Want | None) -> Turned:
        turned = Turned()
        with transaction.atomic(using=self.connection.alias):
            for item in ended:
                self._finish(item, turned)
            if want is not None:
                turned.claimed = in_running_order([self._begin(task, want) for task in self._chosen(want)])
        return turned

    def hand_back(self, held: Sequence[Claimed]) -> list[Handed]:
        handed = []
        with transaction.atomic(using=self.connection.alias):
            for item in held:
                rows = self._tasks.of_attempt(item.id, item.attempt).filter(cancel_requested_at=None)
                rows.filter(**UNTOUCHED).update(started_at=None)
                changes = {"interrupted": F("interrupted") + 1, "rev": F("rev") + 1, "worker_id": None}
                if rows.update(state=State.PENDING, **changes):
                    task = self._tasks.get(id=item.id)
                    handed.append(Handed(task.id, task.attempt, task.rev, task.queue))
        return handed

    def _finish(self, item: Ended, turned: Turned) -> None:
        claimed, now = item.claimed, moment(self.connection.alias)
        changes: dict[str, Any] = {"finished_at": now, "progress": 1.0, "result": json.loads(item.result)}
        changes |= {"error_type": "", "error_message": "", "fingerprint": ""}
        rows = self._tasks.of_attempt(claimed.id, claimed.attempt)
        if item.age is not None:
            begun = now - timedelta(seconds=item.age)
            rows.filter(started_at=F("attempted_at")).update(started_at=Greatest("attempted_at", Value(begun)))
            changes["attempted_at"] = Greatest("attempted_at", Value(begun))
        if not rows.update(state=State.COMPLETED, rev=F("rev") + 1, **changes):
            return
        rev, owner = self._tasks.values_list("rev", "owner_id").get(id=claimed.id)
        turned.landed[claimed.id] = rev
        using = self.connection.alias
        Report.objects.using(using).filter(task_id=claimed.id, attempt=claimed.attempt).update(is_final=True)
        if owner is not None:
            row = Notification(task_id=claimed.id, attempt=claimed.attempt, kind="completed", recipient_id=owner)
            row.text, row.created_at = item.note, now
            Notification.objects.using(using).bulk_create([row], ignore_conflicts=True)

    def _chosen(self, want: Want) -> list[Task]:
        """The best of all queues, locked; at most one that must run alone."""
        found: list[Task] = []
        for queue, room in self._rooms(want).items():
            found += self._tasks.claimable([queue], want.definitions).taken(room) if room > 0 else []
        found.sort(key=lambda task: (-task.priority, task.id))
        best = found[: want.limit]
        if want.at and any(max(filter(None, (task.created_at, task.run_after))) > want.at for task in best):
            return []  # see the other engines
        careful = [task for task in best if task.interrupted or task.crashes or not task.max_crashes]
        return [task for task in best if task not in careful] + careful[:1]

    def _rooms(self, want: Want) -> dict[str, int]:
        rooms = dict.fromkeys(want.queues, want.limit)
        known = Queue.objects.using(self.connection.alias).filter(name__in=want.queues).order_by("name")
        for queue in known.select_for_update():
            if queue.paused_at is not None:
                rooms[queue.name] = 0
            elif queue.max_running is not None:
                running = self._tasks.processing().filter(queue=queue.name).count()
                rooms[queue.name] = min(want.limit, queue.max_running - running)
        return rooms

    def _begin(self, task: Task, want: Want) -> Claimed:
        now = want.at or moment(self.connection.alias)
        task.state, task.rev, task.attempt = State.PROCESSING, task.rev + 1, task.attempt + 1
        task.worker_id, task.attempted_at, task.run_after = want.worker_id, now, None
        task.started_at = task.started_at or now
        names = ["state", "rev", "attempt", "worker_id", "attempted_at", "started_at", "run_after"]
        task.save(using=self.connection.alias, update_fields=names)
        return Claimed.of(task)
