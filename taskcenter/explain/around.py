"""What stands around one task: its queue, the workers of that queue, Redis, other tasks.

Each question is asked when somebody first wants to know, once, and has a bound: what could be a
million rows is read as far as a cap.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from taskcenter import pointers, progress
from taskcenter.conf import redis_queues
from taskcenter.models import Queue, Task, TaskEvent, TaskQuerySet, Worker

__all__ = ["BLOBS", "SHOWN", "Around"]

SHOWN = 3
"""Tasks that a reason names; the others are counted."""
BLOBS = ("args", "kwargs", "result", "metadata", "progress_state", "tags")
"""Columns that may be large, and explain nothing."""


@dataclass
class Around:
    task: Task
    now: datetime
    user: Any = None
    """Who reads it: tasks that this person may not see are counted, never named. None: no limits."""

    @cached_property
    def queue(self) -> Queue | None:
        return Queue.objects.filter(name=self.task.queue).first()

    @cached_property
    def is_known_queue(self) -> bool:
        return self.task.queue in redis_queues()

    @cached_property
    def all_workers(self) -> list[Worker]:
        """Living workers of any queue, the longest at work first."""
        return list(Worker.objects.alive().order_by("started_at", "id"))

    @cached_property
    def workers(self) -> list[Worker]:
        """Living workers of the task's queue."""
        return [worker for worker in self.all_workers if self.task.queue in worker.queues]

    @cached_property
    def able(self) -> list[Worker]:
        """Those of them whose code knows the task's definition."""
        return [worker for worker in self.workers if self.task.definition in worker.definitions]

    @cached_property
    def redis(self) -> pointers.Look | None:
        """What Redis has to say of the queue, in one round trip; None when it is away."""
        return pointers.look(self.task.queue) if self.is_known_queue else None

    @cached_property
    def last_event(self) -> TaskEvent | None:
        return self.task.events.order_by("-seq").first()

    @property
    def waits_since(self) -> datetime:
        """When it last began to wait, as far as its row and its history can tell."""
        task, event = self.task, self.last_event
        times = (task.created_at, task.run_after, task.attempted_at, event.at if event else None)
        return max(time for time in times if time is not None)

    def named(self, rows: TaskQuerySet) -> list[Task]:
        """The first few of these tasks, as far as the reader may see them."""
        seen = rows if self.user is None else progress.visible(self.user, rows)
        return list(seen.defer(*BLOBS)[:SHOWN])
