"""`TaskRecovery`: one look at everything that may have gone wrong, each part on its own."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from asgiref.sync import sync_to_async
from django.db import DatabaseError
from django.utils import timezone

from taskcenter import lifecycle, pointers
from taskcenter.conf import get_settings, redis_queues
from taskcenter.lifecycle import Outcome
from taskcenter.models import Queue, Task, TaskQuerySet, Worker
from taskcenter.models.lost import idle, pages
from taskcenter.models.worker import stale_before
from taskcenter.states import FINAL, State
from taskcenter.verdicts import Ran, Row
from taskcenter.wire import UNREACHABLE

from . import lifelines, reconcile
from .chunks import CHUNK, Chunks, Swept
from .reconcile import Reconciled
from .unknown import BATCH, out_of_reach

__all__ = ["Swept", "TaskRecovery"]

logger = logging.getLogger("taskcenter")

SMALL_CHUNK = 500
"""Lost tasks at once where time is short."""


class TaskRecovery:
    """Find, decide, act, log. Two at once, or one beside a normal finish, are harmless.

    `seconds` bounds the time for lost tasks: what is left over is for the next sweep, here or elsewhere.
    `reason` is kept in the history of each.
    """

    def __init__(self, *, seconds: float | None = None, reason: str = "") -> None:
        self.seconds = seconds
        self.reason = reason
        self.chunk = CHUNK if seconds is None else SMALL_CHUNK

    def recover_stuck_tasks(self) -> Swept:
        """One whole sweep. One bad task never stops it."""
        swept = self.recover_neighbours()
        self.recover_lost(swept=swept)
        swept.promoted = lifecycle.promote()
        swept.workers_retired += idle(Worker.objects.silent()).retire_all()
        self._fail_unknown(swept)
        swept.pointers_pushed = self.push_missing_pointers()
        if swept.count or swept.workers_retired:
            logger.warning("Recovered %d tasks of %d dead workers", swept.count, swept.workers_retired)
        return swept

    async def arecover_stuck_tasks(self) -> Swept:
        """See recover_stuck_tasks()."""
        return await sync_to_async(self.recover_stuck_tasks, thread_sensitive=True)()

    def recover_lost(
        self,
        *,
        queue: str = "",
        begun_before: datetime | None = None,
        workers: Iterable[uuid.UUID] | None = None,
        swept: Swept | None = None,
    ) -> Swept:
        """Put right all lost tasks, or some of them; thousands in a handful of statements and in bounded memory."""
        swept = Swept() if swept is None else swept
        deadline = None if self.seconds is None else time.monotonic() + self.seconds
        chunks = Chunks(swept, self.reason)
        for claims in pages(_lost(queue, begun_before, workers), self.chunk):
            chunks.put_right(claims)
            if deadline is not None and time.monotonic() > deadline:
                logger.warning("Recovery has no more time now; the rest comes with the next sweep")
                break
        return swept

    def recover_neighbours(self) -> Swept:
        """Put right at once what workers of this host left behind of which no process is left."""
        swept = Swept()
        dead = lifelines.broken()
        if not dead:
            return swept
        for worker in Worker.objects.filter(id__in=dead, stopped_at=None):
            logger.warning("Worker %s is dead: no process of it is left on this host", worker)
        swept.workers_retired = Worker.objects.filter(id__in=dead).retire_all()
        self.recover_lost(workers=dead, swept=swept)
        lifelines.forget(dead)
        return swept

    def lost_tasks(self, *, queue: str = "", begun_before: datetime | None = None, limit: int = 0) -> Iterator[Task]:
        """Tasks whose worker is dead, those of one claim together."""
        for number, (task, _) in enumerate(self.foresee(queue=queue, begun_before=begun_before), 1):
            yield task
            if number == limit:
                return

    def foresee(self, *, queue: str = "", begun_before: datetime | None = None) -> Iterator[tuple[Task, Row]]:
        """Lost tasks, and what would be done with each if it were done now."""
        for claims in pages(_lost(queue, begun_before), CHUNK):
            for claim in claims:
                for task in claim.tasks:
                    yield task, lifecycle.judge(task, Ran.PERHAPS if claim.together else Ran.YES)

    def recover_task(self, task_id: uuid.UUID, *, actor: Any = None, reason: str = "") -> Outcome:
        """Put one task right if nobody is running it; else say why nothing was to be done."""
        task = Task.objects.filter(id=task_id).first()
        if task is None:
            return Outcome(moved=False, state=None, text="This task does not exist any more.")
        if task.state == State.PROCESSING:
            return self._recover_processing(task, actor, reason)
        if task.state == State.PENDING:
            return self._wake_again(task)
        if task.state in FINAL:
            text = f"Nothing to recover: the task is {task.state}."
            return Outcome(moved=False, state=State(task.state), text=text)
        return Outcome(
            moved=False, state=State(task.state), text="Nothing to recover: the task waits for its time to come."
        )

    async def arecover_task(self, task_id: uuid.UUID, *, actor: Any = None, reason: str = "") -> Outcome:
        """See recover_task()."""
        return await sync_to_async(self.recover_task, thread_sensitive=True)(task_id, actor=actor, reason=reason)

    def reconcile(self, queues: Iterable[str] = (), *, dry_run: bool = False) -> Reconciled:
        """Make Redis agree with the database after it forgot: what was different, queue by queue.

        Raises the errors of an unreachable Redis.
        """
        promoted = 0 if dry_run else lifecycle.promote()
        names = list(queues) or list(redis_queues())
        return Reconciled(promoted, reconcile.compare(names, dry_run=dry_run))

    async def areconcile(self, queues: Iterable[str] = (), *, dry_run: bool = False) -> Reconciled:
        """See reconcile()."""
        return await sync_to_async(self.reconcile, thread_sensitive=True)(queues, dry_run=dry_run)

    def push_missing_pointers(self) -> int:
        """Give each queue with waiting tasks the pointers that it lacks, as far as they are worth it; how many."""
        lengths = pointers.count_all(redis_queues())
        return sum(reconcile.fill_up(queue, length) for queue, length in (lengths or {}).items())

    def delete_orphans(self) -> int:
        """Delete the pointers and job hashes of tasks that have ended or are gone; how many."""
        try:
            return sum(reconcile.delete_orphans(list(redis_queues())).values())
        except UNREACHABLE as error:
            logger.warning("Redis does not answer; orphaned pointers stay for now: %s", error)
            return 0

    def _fail_unknown(self, swept: Swept) -> None:
        """Fail what has waited for UNKNOWN_FAILS_AFTER where no worker has known its definition for as long."""
        since = timezone.now() - get_settings().UNKNOWN_FAILS_AFTER
        try:
            for definition, queues in out_of_reach(since).items():
                failed = lifecycle.fail_unknown(definition, queues, since, limit=BATCH)
                if failed:
                    logger.error("Failed %d tasks: no worker knows definition=%s", failed, definition)
                swept.unknown_failed += failed
        except DatabaseError:
            swept.errors += 1
            logger.exception("Tasks of unknown definitions could not be failed; the sweep goes on")

    def _recover_processing(self, task: Task, actor: Any, reason: str) -> Outcome:
        worker = Worker.objects.filter(id=task.worker_id).first() if task.worker_id else None
        if worker is not None and worker.is_alive:
            text = lifecycle.judge(task, Ran.YES, alive=True).text
            return Outcome(moved=False, state=State.PROCESSING, text=f"{text} Worker: {worker}.")
        outcomes = lifecycle.recover(task.id, task.attempt, actor=actor, reason=reason)
        return outcomes.get(task.id) or Outcome(
            moved=False, state=None, text="Somebody is running it, or put it right before."
        )

    def _wake_again(self, task: Task) -> Outcome:
        if Queue.objects.paused().filter(name=task.queue).exists():
            text = f"Nothing to recover: queue {task.queue} is paused."
        elif pointers.push([(task.id, task.queue)]):
            text = "It waits for a free worker; its queue was woken again."
        else:
            text = "It waits for a free worker; Redis does not answer, so workers find it by themselves."
        return Outcome(moved=False, state=State.PENDING, text=text)


def _lost(
    queue: str = "", begun_before: datetime | None = None, workers: Iterable[uuid.UUID] | None = None
) -> TaskQuerySet:
    rows = Task.objects.lost(stale_before())
    rows = rows.filter(queue=queue) if queue else rows
    rows = rows.filter(attempted_at__lte=begun_before) if begun_before else rows
    return rows if workers is None else rows.filter(worker_id__in=list(workers))
