"""`TaskQueue`: one queue, as its users see it."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from asgiref.sync import sync_to_async
from django.db import router
from django.utils import timezone

from . import lifecycle, pointers
from .compat import TaskResult, after_commit
from .conf import get_settings, redis_queues
from .definitions import find, known_names
from .exceptions import UnknownQueue
from .models import Queue, Task, Worker

__all__ = ["TaskQueue"]

logger = logging.getLogger("taskcenter")

BATCH = 1000
MOST_RUNNING = 2**31 - 1
"""The largest number that a queue's row has room for."""


class TaskQueue:
    """A named line of tasks.

    Raises UnknownQueue when no setting names it.
    """

    def __init__(self, name: str = "default") -> None:
        if name not in redis_queues():
            raise UnknownQueue(f"There is no queue {name!r}; RQ_QUEUES names {', '.join(sorted(redis_queues()))}.")
        self.name = name

    def enqueue(self, definition: str, *args: Any, **kwargs: Any) -> TaskResult:
        """A task of that definition on this queue; raises UnknownDefinition and InvalidPayload."""
        return find(definition).using(queue_name=self.name).enqueue(*args, **kwargs)

    async def aenqueue(self, definition: str, *args: Any, **kwargs: Any) -> TaskResult:
        """See enqueue()."""
        return await sync_to_async(self.enqueue, thread_sensitive=True)(definition, *args, **kwargs)

    def get_pending_tasks(self, limit: int = 100) -> list[Task]:
        """What waits to run, in the order in which it will be claimed."""
        return list(Task.objects.pending().filter(queue=self.name).in_claim_order()[:limit])

    async def aget_pending_tasks(self, limit: int = 100) -> list[Task]:
        """See get_pending_tasks()."""
        return await sync_to_async(self.get_pending_tasks, thread_sensitive=True)(limit)

    def get_next_task(self, worker: Worker) -> Task | None:
        """Claim the best task of this queue for a registered worker; None when nothing waits.

        Whoever calls this must run the task and end the attempt.
        """
        claimed = lifecycle.claim([self.name], known_names(), worker.id)
        return claimed[0] if claimed else None

    async def aget_next_task(self, worker: Worker) -> Task | None:
        """See get_next_task()."""
        return await sync_to_async(self.get_next_task, thread_sensitive=True)(worker)

    def pause(self, reason: str = "") -> bool:
        """Keep workers from claiming its tasks; False when it was paused before.

        What runs goes on, and tasks can still be enqueued.
        """
        paused = Queue.objects.pause(self.name, reason)
        if paused:
            logger.warning("Queue %s paused: %s", self.name, reason or "no reason given")
        return paused

    async def apause(self, reason: str = "") -> bool:
        """See pause()."""
        return await sync_to_async(self.pause, thread_sensitive=True)(reason)

    def resume(self, reason: str = "") -> bool:
        """Let workers claim its tasks again, and wake them; False when it was not paused."""
        resumed = Queue.objects.resume(self.name)
        if resumed:
            logger.warning("Queue %s resumed: %s", self.name, reason or "no reason given")
            self._wake()
        return resumed

    async def aresume(self, reason: str = "") -> bool:
        """See resume()."""
        return await sync_to_async(self.resume, thread_sensitive=True)(reason)

    def limit(self, max_running: int | None) -> bool:
        """Let at most so many of its tasks run at once, None: any number; False when that was so before.

        Raises ValueError for less than 1: a queue that shall not move at all is paused.
        """
        if max_running is not None and not 1 <= max_running <= MOST_RUNNING:
            raise ValueError(f"max_running must be from 1 to {MOST_RUNNING}, or None; to stop a queue, pause it.")
        limited = Queue.objects.limit(self.name, max_running)
        if limited:
            self._wake()
        return limited

    async def alimit(self, max_running: int | None) -> bool:
        """See limit()."""
        return await sync_to_async(self.limit, thread_sensitive=True)(max_running)

    def _wake(self) -> None:
        """Pointers for what waits: the ones that workers popped in vain are gone."""
        waiting = Task.objects.pending().filter(queue=self.name).in_claim_order().values_list("id", flat=True)
        wanted = [(task_id, self.name) for task_id in waiting[: pointers.ENOUGH]]
        after_commit(pointers.push, wanted, using=router.db_for_write(Queue))

    def cleanup_old_tasks(self, older_than: timedelta | None = None, *, now: datetime | None = None) -> int:
        """Delete finished tasks of this queue that ended longer ago than that; how many.

        `older_than` is `TASKCENTER["TASK_RETENTION"]` if not given. Reports stay.
        """
        age = older_than if older_than is not None else get_settings().TASK_RETENTION
        if age is None:
            return 0
        old = Task.objects.finished().filter(queue=self.name, finished_at__lt=(now or timezone.now()) - age)
        gone = 0
        while ids := list(old.values_list("id", flat=True)[:BATCH]):
            Task.objects.filter(id__in=ids).delete()
            gone += len(ids)
        return gone

    async def acleanup_old_tasks(self, older_than: timedelta | None = None) -> int:
        """See cleanup_old_tasks()."""
        return await sync_to_async(self.cleanup_old_tasks, thread_sensitive=True)(older_than)
