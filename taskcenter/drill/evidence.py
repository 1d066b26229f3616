"""Gathers what a drill left behind: rows, reports, notifications, the ledger, and what should be gone."""

from __future__ import annotations

from collections import defaultdict
from uuid import UUID

from django.db import connection

from taskcenter.models import Notification, Report, Task, TaskEvent, Worker
from taskcenter.pointers import count_all, hashes
from taskcenter.recovery import TaskRecovery

from .plugs import Scene
from .verdict import Evidence, Row

__all__ = ["drain", "gather", "put_away"]

QUEUES = ("default",)
QUIET = 60.0
"""Seconds without any task's end after which those that are left count as stuck."""


def drain(scene: Scene) -> list[str]:
    """Let everything end that was enqueued; what is stuck, in words."""
    left = -1
    while (live := Task.objects.live().count()) and live != left:
        left = live
        scene.until(lambda: Task.objects.live().count() != left, QUIET)  # noqa: B023 at once
    return [
        f"{task.id} is stuck: {task.state}, attempt {task.attempt}, {task.definition}"
        for task in Task.objects.live().order_by("id")[:20]
    ]


def put_away(scene: Scene) -> tuple[list[str], list[str]]:
    """The pointers that have gone astray, and what else is left when all have been told to stop."""
    scene.until(lambda: not sum((count_all(QUEUES) or {"": 1}).values()), QUIET / 2)
    astray = [f"{count} pointers stand in queue {queue}" for queue, count in (count_all(QUEUES) or {}).items() if count]
    # The supervisor's last look: workers that died a moment ago are retired by those that live.
    scene.until(lambda: Worker.objects.filter(stopped_at=None).count() == len(scene.crew.workers()), QUIET / 2)
    scene.until(scene.is_complete)  # SIGTERM to one that is still starting would just end it
    leftovers = scene.crew.stop()
    TaskRecovery().delete_orphans()
    astray += [f"the hash of the pointer of {task_id} outlived its task" for task_id in hashes(QUEUES[0])]
    leftovers += [f"worker row {worker} was not retired" for worker in Worker.objects.filter(stopped_at=None)]
    if not scene.until(lambda: not _connections_open(), QUIET / 6):
        leftovers.append(f"{_connections_open()} connections to the database are open")
    return astray, leftovers


def gather(scene: Scene, stuck: list[str], astray: list[str], leftovers: list[str]) -> Evidence:
    """Everything that is judged, in a few queries."""
    fields = ("state", "attempt", "failures", "crashes", "result", "error_message")
    rows = {id_: Row(*values) for id_, *values in Task.objects.values_list("id", *fields)}
    reports: dict[UUID, list[int]] = defaultdict(list)
    for task_id, attempt in Report.objects.final().order_by("id").values_list("task_id", "attempt"):
        reports[task_id].append(attempt)
    told: dict[UUID, list[tuple[int, str]]] = defaultdict(list)
    for task_id, attempt, kind in Notification.objects.order_by("id").values_list("task_id", "attempt", "kind"):
        told[task_id].append((attempt, kind))
    late = TaskEvent.objects.filter(kind=TaskEvent.Kind.SUPERSEDED).count()
    marks = scene.stage.ledger.read()
    return Evidence(
        scene.load.promises, marks, rows, reports, told, scene.pulls, stuck, astray, leftovers, superseded=late
    )


def _connections_open() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        row = cursor.fetchone()
    return int(row[0]) if row else 0
