"""What the dashboard shows, asked once per look: a fixed number of queries, none of which grows with the table."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Count
from django.urls import reverse

from taskcenter import progress, wire
from taskcenter.charts import render
from taskcenter.conf import redis_queues
from taskcenter.explain.words import span as for_so_long
from taskcenter.models import Duty, FailureGroup, Queue, Task, Worker
from taskcenter.models.clock import moment
from taskcenter.models.failure import failed_since
from taskcenter.models.lines import LIMIT, lines, queues_with_tasks, written
from taskcenter.models.worker import stale_before
from taskcenter.states import State

from .attention import Alarm, alarms
from .history import History, Span
from .task_list import BLOBS
from .tiles import Tile, rate, tiles, total

if TYPE_CHECKING:
    from django.utils.safestring import SafeString

    from taskcenter.charts import Line, StackedBar
    from taskcenter.models import lines as lines_room
    from taskcenter.progress import Snapshot

__all__ = ["Board", "QueueRow", "WorkerRow"]

RUNNING_LOOKED_AT = 200
"""Running tasks whose progress is looked at, the longest running first."""
TASKS_SHOWN = 3
"""Of a worker."""
WORKERS_SHOWN = 50
FAILURES_SHOWN = 10
LINKED = ("pending", "processing", "completed", "failed")


@dataclass(frozen=True, slots=True)
class QueueRow:
    name: str
    line: lines_room.Line
    state: str
    paused_at: datetime | None
    paused_reason: str
    unserved: bool
    is_known: bool
    """Whether settings name it: only then can it be paused."""
    oldest: str
    done: str
    failed: str
    spark: SafeString
    urls: dict[str, str]
    """By state."""

    @property
    def waiting(self) -> int:
        return self.line.pending

    @property
    def shown_waiting(self) -> str:
        return written(self.line.pending)

    @property
    def shown_processing(self) -> str:
        return written(self.line.processing)

    @property
    def command(self) -> str:
        return f"manage.py rqworker {self.name}"


@dataclass(frozen=True, slots=True)
class WorkerRow:
    worker: Worker
    state: str
    busy: int
    running: int
    tasks: list[Snapshot]
    heartbeat: str
    up: str

    @property
    def more(self) -> int:
        return self.running - len(self.tasks)


class Board:
    """One look. `user` decides which tasks are named; the numbers are those of all."""

    def __init__(self, user: Any, span: Span, *, site: str = "admin") -> None:
        self.user, self.span, self.site = user, span, site
        self.now = moment(Task.objects.db)
        self.redis_since = redis_away_since()
        self.history = History(span, self.now)
        self.workers = self._worker_rows()
        self.queues = self._queue_rows()
        self.lost = Task.objects.lost(stale_before())[: LIMIT + 1].count()
        self.stalled = sum(one.stalled for one in self._running)
        self._look_at_failures()

    @cached_property
    def alarms(self) -> list[Alarm]:
        return alarms(self)

    @property
    def is_empty(self) -> bool:
        return not self._names_with_tasks and not self.workers

    @cached_property
    def tiles(self) -> list[Tile]:
        return tiles(self)

    @property
    def throughput(self) -> StackedBar:
        return self.history.throughput()

    @property
    def waiting(self) -> Line:
        return self.history.waiting(sum(row.waiting for row in self.queues), total(self, "pending"))

    @property
    def workers_shown(self) -> list[WorkerRow]:
        return self.workers[:WORKERS_SHOWN]

    @property
    def workers_url(self) -> str:
        return self.address("worker_changelist") if self.user.has_perm("taskcenter.view_worker") else ""

    @property
    def duties(self) -> list[Duty]:
        return list(Duty.objects.order_by("next_due"))

    # Where things lead.

    def tasks(self, **filters: str) -> str:
        """The list of tasks so narrowed; nowhere for whoever may not see it."""
        if not self.user.has_perm("taskcenter.view_task"):
            return ""
        return f"{self.address('task_changelist')}?{urlencode(filters)}"

    def address(self, name: str, *args: Any) -> str:
        return reverse(f"admin:taskcenter_{name}", args=args, current_app=self.site)

    @property
    def duties_url(self) -> str:
        return self.address("duty_changelist") if self.user.has_perm("taskcenter.view_duty") else ""

    @property
    def queues_url(self) -> str:
        return self.address("queue_changelist") if self._may_see_queues else ""

    @property
    def group_url(self) -> str:
        allowed = self.group is not None and self.user.has_perm("taskcenter.view_failuregroup")
        return self.address("failuregroup_change", self.group.pk) if self.group and allowed else ""

    # Looking.

    @cached_property
    def _may_see_queues(self) -> bool:
        return any(self.user.has_perm(f"taskcenter.{name}") for name in ("view_queue", "pause_queue"))

    @cached_property
    def _running(self) -> list[Snapshot]:
        return progress.snapshots(Task.objects.processing().order_by("attempted_at")[:RUNNING_LOOKED_AT])

    @cached_property
    def _names_with_tasks(self) -> list[str]:
        return queues_with_tasks(Task.objects.db)

    def _worker_rows(self) -> list[WorkerRow]:
        alive = set(Worker.objects.alive().values_list("pk", flat=True))
        workers = Worker.objects.filter(stopped_at=None).order_by("host", "pid").defer("definitions")
        held = Task.objects.processing().order_by().values_list("worker_id").annotate(Count("pk"))
        running, named = dict(held), self._named_by_worker()
        return [
            WorkerRow(
                worker,
                "alive" if worker.pk in alive else "silent",
                min(worker.slots, running.get(worker.pk, 0)),
                running.get(worker.pk, 0),
                named[worker.pk][:TASKS_SHOWN],
                self.age(worker.heartbeat_at),
                self.age(worker.started_at),
            )
            for worker in workers
        ]

    def _named_by_worker(self) -> dict[UUID | None, list[Snapshot]]:
        """Those of the running tasks that this person may see."""
        running = Task.objects.filter(pk__in=[one.task.pk for one in self._running])
        seen = set(progress.visible(self.user, running).values_list("pk", flat=True)) if self._running else set()
        found: dict[UUID | None, list[Snapshot]] = defaultdict(list)
        for one in self._running:
            if one.task.pk in seen:
                found[one.task.worker_id].append(one)
        return found

    def _queue_rows(self) -> list[QueueRow]:
        names = sorted({*redis_queues(), *self._names_with_tasks})
        kept = Queue.objects.in_bulk(names)
        served = {name for row in self.workers if row.state == "alive" for name in row.worker.queues}
        return [self._queue_row(line, kept.get(line.queue), line.queue in served) for line in lines(names)]

    def _queue_row(self, line: lines_room.Line, kept: Queue | None, served: bool) -> QueueRow:
        paused = kept.paused_at if kept else None
        name = line.queue
        return QueueRow(
            name,
            line,
            "Paused" if paused else "Open" if served else "No worker",
            paused,
            kept.paused_reason if kept else "",
            unserved=not served and not paused,
            is_known=name in redis_queues(),
            oldest=self.age(line.waits_since) if line.waits_since else "",
            done=rate(self.history.per_hour(State.COMPLETED, name)),
            failed=rate(self.history.per_hour(State.FAILED, name)),
            spark=render(self.history.spark(name), table=False),
            urls={state: self.tasks(state=state, queue=name) for state in LINKED},
        )

    def _look_at_failures(self) -> None:
        recent = failed_since(self.now - timedelta(hours=24))
        alike = dict(recent.order_by().values_list("fingerprint").annotate(Count("pk")))
        self.failed = sum(alike.values())
        most = max(alike, key=lambda one: alike[one], default="")
        self.group = FailureGroup.objects.filter(pk=most).first() if most else None
        self.group_tasks = alike.get(most, 0)
        seen = progress.visible(self.user, recent).order_by("-finished_at").defer(*BLOBS)
        self.failures = [(task, task.error_type.rpartition(".")[2]) for task in seen[:FAILURES_SHOWN]]

    def age(self, since: datetime) -> str:
        return for_so_long((self.now - since).total_seconds())


def redis_away_since() -> datetime | None:
    """Since when this process knows that Redis does not answer; None while it does."""
    wire.try_redis(lambda redis: redis.ping())
    return wire.away_since()
