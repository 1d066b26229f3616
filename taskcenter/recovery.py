"""Recovery: find tasks that no one is running, decide afresh, act by a fenced move, say so.

It promises that a task whose worker died runs again within STALE_AFTER + HEARTBEAT seconds while any
worker lives. It goes by heartbeats, never by the age of a task: a long task on a living worker is left
alone. It does not promise that an attempt's side effects happened once: an attempt that died in the
middle runs again from its start (see checkpoints).
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from asgiref.sync import sync_to_async
from django.db import DatabaseError
from django.utils import timezone

from . import lifecycle, pointers
from .conf import get_settings, redis_queues
from .lifecycle import Outcome
from .models import Queue, Task, Worker
from .models.unknown import waiting_definitions
from .models.worker import stale_before
from .states import FINAL, State
from .wire import UNREACHABLE

__all__ = ["Swept", "TaskRecovery"]

logger = logging.getLogger("taskcenter")

POINTERS_PER_SWEEP = 10_000
BATCH = 500


@dataclass(slots=True)
class Swept:
    """What a sweep did."""

    recovered: list[tuple[uuid.UUID, Outcome]] = field(default_factory=list)
    promoted: int = 0
    unknown_failed: int = 0
    workers_retired: int = 0
    pointers_pushed: int = 0
    errors: int = 0

    @property
    def did_anything(self) -> bool:
        return bool(
            self.recovered or self.promoted or self.unknown_failed or self.workers_retired or self.pointers_pushed
        )


class TaskRecovery:
    """Find, decide, act, log. Two at once, or one beside a normal finish, are harmless."""

    def recover_stuck_tasks(self) -> Swept:
        """One whole sweep. One bad task never stops it."""
        swept = Swept()
        for task in self.lost_tasks():
            self._recover_one(task, swept)
        swept.promoted = lifecycle.promote()
        swept.workers_retired = self._retire_silent_workers()
        self._fail_unknown(swept)
        swept.pointers_pushed = self.push_missing_pointers()
        if swept.recovered or swept.workers_retired:
            logger.warning("Recovered %d tasks of %d dead workers", len(swept.recovered), swept.workers_retired)
        return swept

    async def arecover_stuck_tasks(self) -> Swept:
        """See recover_stuck_tasks()."""
        return await sync_to_async(self.recover_stuck_tasks, thread_sensitive=True)()

    def lost_tasks(self, *, queue: str = "", limit: int = 0) -> Iterator[Task]:
        """Tasks whose worker is dead, oldest attempt first."""
        rows = Task.objects.lost(stale_before()).order_by("attempted_at", "id")
        rows = rows.filter(queue=queue) if queue else rows
        yield from (rows[:limit] if limit else rows).iterator(chunk_size=BATCH)

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

    def push_missing_pointers(self) -> int:
        """Give each queue with waiting tasks as many pointers as it lacks, at most 10,000 a sweep."""
        lengths = pointers.count_all(redis_queues())
        return sum(self._fill_up(queue, length) for queue, length in (lengths or {}).items())

    def delete_orphans(self) -> int:
        """Delete the pointers and job hashes of tasks that have ended or are gone; how many."""
        try:
            return sum(self._orphans_of(queue) for queue in redis_queues())
        except UNREACHABLE as error:
            logger.warning("Redis does not answer; orphaned pointers stay for now: %s", error)
            return 0

    def _recover_one(self, task: Task, swept: Swept) -> None:
        try:
            swept.recovered.extend(lifecycle.recover(task.id, task.attempt).items())
        except DatabaseError:
            swept.errors += 1
            logger.exception("Task %s could not be recovered; the sweep goes on", task.id)

    def _fail_unknown(self, swept: Swept) -> None:
        """Fail what has waited for UNKNOWN_FAILS_AFTER where no worker has known its definition for as long."""
        since = timezone.now() - get_settings().UNKNOWN_FAILS_AFTER
        try:
            for definition, queues in _out_of_reach(since).items():
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
            return Outcome(
                moved=False,
                state=State.PROCESSING,
                text=f"Nothing to recover: worker {worker} is alive and runs it.",
            )
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

    def _retire_silent_workers(self) -> int:
        """Mark dead workers, but only once none of their tasks is left."""
        silent = list(Worker.objects.silent().values_list("id", flat=True))
        held = set(Task.objects.processing().filter(worker_id__in=silent).values_list("worker_id", flat=True))
        return sum(Worker.objects.retire(worker_id) for worker_id in silent if worker_id not in held)

    def _fill_up(self, queue: str, length: int) -> int:
        waiting = Task.objects.pending().filter(queue=queue).in_claim_order().values_list("id", flat=True)
        # Look at one more than the list holds: enough to know whether anything is missing.
        wanted = list(waiting[: min(length + 1, POINTERS_PER_SWEEP)])
        if len(wanted) <= length:
            return 0
        listed = set(pointers.listed(queue, POINTERS_PER_SWEEP) or ())
        missing = [task_id for task_id in waiting[:POINTERS_PER_SWEEP] if task_id not in listed]
        return len(missing) if pointers.push([(task_id, queue) for task_id in missing]) else 0

    def _orphans_of(self, queue: str) -> int:
        seen = list(pointers.hashes(queue))
        gone = 0
        for start in range(0, len(seen), BATCH):
            chunk = seen[start : start + BATCH]
            live = set(Task.objects.live().filter(id__in=chunk).values_list("id", flat=True))
            orphans = [task_id for task_id in chunk if task_id not in live]
            pointers.drop(orphans, queue)
            gone += len(orphans)
        return gone


def _out_of_reach(since: datetime) -> dict[str, list[str]]:
    """Waiting definitions, each with the queues of which no worker has known it since then.

    A deploy must lose nothing. So a queue counts only when its living workers (one at least) have all
    been up for as long, and when it moves; and so does every worker heard of since, dead by now or
    not: one that knows the definition may be on its way back.
    """
    waiting = waiting_definitions()
    settled = _settled_queues(since) if waiting else {}
    missing = {name: [queue for queue, known in settled.items() if name not in known] for name in waiting}
    missing = {name: queues for name, queues in missing.items() if queues}
    if missing:
        _take_out_the_remembered(missing, since)
    return {name: queues for name, queues in missing.items() if queues}


def _settled_queues(since: datetime) -> dict[str, set[str]]:
    """What living workers know, for each queue that moves and whose living workers are all older than that."""
    known: dict[str, set[str]] = {}
    unsettled = set(Queue.objects.paused().values_list("name", flat=True))
    for worker in Worker.objects.alive():
        if worker.started_at > since:
            unsettled.update(worker.queues)
        for queue in worker.queues:
            known.setdefault(queue, set()).update(worker.definitions)
    return {queue: names for queue, names in known.items() if queue not in unsettled}


def _take_out_the_remembered(missing: dict[str, list[str]], since: datetime) -> None:
    """Leave out what a worker knew that has fallen silent or stopped since then."""
    heard = Worker.objects.filter(heartbeat_at__gt=since).values_list("queues", "definitions")
    for queues, definitions in heard.iterator(chunk_size=BATCH):
        for name in missing.keys() & set(definitions):
            missing[name] = [queue for queue in missing[name] if queue not in queues]
