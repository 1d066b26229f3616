"""Lost tasks, by the thousand: found page by page, and ended in one statement.

They are read in the order of worker and claim, because what was lost together is put right together. Each
page begins behind the last one, so that a row which cannot be put right is not met again.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from . import bulk
from .task import Task, TaskQuerySet
from .worker import WorkerQuerySet

__all__ = ["FACTS", "Claim", "claims_of", "idle", "move_many", "pages"]

FACTS = (
    "id",
    "attempt",
    "state",
    "rev",
    "queue",
    "definition",
    "title",
    "owner",
    "crashes",
    "max_crashes",
    "cancel_requested_at",
    "worker_id",
    "attempted_at",
)
"""What is read of a lost task: never its arguments, which may be large."""

# Without an alias: RETURNING in SQLite would not know it. State is compared as an expression, or SQLite would go
# through all that are processing, and through all of `rows` for each.
_MOVE = """
UPDATE taskcenter_task SET state = d.state, rev = rev + 1,
    crashes = taskcenter_task.crashes + d.crashes, interrupted = taskcenter_task.interrupted + d.interrupted,
    worker_id = CASE WHEN d.state = 'pending' THEN NULL ELSE worker_id END,
    finished_at = CASE WHEN d.state = 'pending' THEN NULL ELSE {now} END,
    error_type = CASE WHEN d.state = 'failed' THEN '' ELSE error_type END,
    error_message = CASE WHEN d.state = 'failed' THEN d.error ELSE error_message END,
    fingerprint = CASE WHEN d.state = 'failed' THEN d.fingerprint ELSE taskcenter_task.fingerprint END
FROM {rows}
WHERE taskcenter_task.id = d.id AND taskcenter_task.attempt = d.attempt
    AND taskcenter_task.state || '' = 'processing'
RETURNING taskcenter_task.id, rev"""
_MOVED_COLUMNS = {
    "id": "uuid",
    "attempt": "integer",
    "state": "text",
    "crashes": "integer",
    "interrupted": "integer",
    "error": "text",
    "fingerprint": "text",
}


@dataclass(slots=True)
class Claim:
    """Tasks that one claim took and nobody has ended, by id."""

    tasks: list[Task]
    more: bool = False
    """There are others, on another page."""

    @property
    def together(self) -> bool:
        """Whether nobody knows which one of several was running."""
        return self.more or len(self.tasks) > 1


def claims_of(tasks: Sequence[Task]) -> list[Claim]:
    """Tasks in the order of `pages()`, claim by claim. What no worker holds was lost alone."""
    return [Claim(list(group)) for _, group in groupby(tasks, key=_key)]


def pages(lost: TaskQuerySet, size: int) -> Iterator[list[Claim]]:
    """All of `lost`, about `size` tasks at a time; no claim is torn apart but one that is larger than a page."""
    last: Task | None = None
    while True:
        rows = _behind(lost, last).order_by(F("worker_id").asc(nulls_last=True), "attempted_at", "id")
        found = list(rows.only(*FACTS)[: size + 1])
        claims = _cut(claims_of(found), size, last)
        if not claims:
            return
        last = claims[-1].tasks[-1]
        yield claims
        if len(found) <= size:
            return


def move_many(rows: TaskQuerySet, moves: Sequence[Mapping[str, Any]]) -> dict[uuid.UUID, int]:
    """Make these moves of attempts that still own their rows: the tasks that moved, with their new rev.

    A move is a dict of `_MOVED_COLUMNS`. For `lifecycle` alone: the fence is here, the decision is not.
    """
    now = bulk.given(Task, "finished_at", timezone.now())
    found = bulk.execute(rows.db, _MOVE, _MOVED_COLUMNS, moves, now=now)
    return {_uuid(task_id): rev for task_id, rev in found}


def idle(workers: WorkerQuerySet) -> WorkerQuerySet:
    """Those of these workers that hold no task."""
    return workers.exclude(Exists(Task.objects.processing().filter(worker_id=OuterRef("id"))))


def _key(task: Task) -> Any:
    return (task.worker_id, task.attempted_at) if task.worker_id else task.id


def _behind(rows: TaskQuerySet, last: Task | None) -> TaskQuerySet:
    if last is None:
        return rows
    later = Q(attempted_at__gt=last.attempted_at) | Q(attempted_at=last.attempted_at, id__gt=last.id)
    if last.worker_id is None:
        return rows.filter(later, worker_id=None)
    return rows.filter(Q(worker_id__gt=last.worker_id) | Q(worker_id=None) | Q(later, worker_id=last.worker_id))


def _cut(claims: list[Claim], size: int, last: Task | None) -> list[Claim]:
    """Leave a last claim that may go on behind the page to the next one; mark one that began before this one."""
    if last is not None and claims and _key(claims[0].tasks[0]) == _key(last):
        claims[0].more = True
    if sum(len(claim.tasks) for claim in claims) <= size:
        return claims
    if len(claims) > 1:
        return claims[:-1]
    return [Claim(claims[0].tasks[:size], more=True)]


def _uuid(found: Any) -> uuid.UUID:
    return found if isinstance(found, uuid.UUID) else uuid.UUID(hex=str(found))
