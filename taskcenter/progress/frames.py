"""Frames: the whole small state of a task, as one person may see it. Lists, pages, polling and the socket
all show these.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from django.urls import NoReverseMatch, reverse
from django.utils.module_loading import import_string

from taskcenter.conf import get_settings
from taskcenter.models import Report, Task, TaskQuerySet
from taskcenter.models.worker import stale_before
from taskcenter.states import FINAL, State

from . import standstill
from .store import TEXT_LIMIT, Stored, read_many

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

__all__ = [
    "NOBODY",
    "Snapshot",
    "Viewer",
    "allowed_actions",
    "frame",
    "frames",
    "snapshots",
    "stalled_among",
    "visible",
]

USUAL_RULE = "taskcenter.models.visible_to"
_HEAVY = ("args", "kwargs", "result", "metadata")
_BEGUN = frozenset({State.PROCESSING, State.FAILED, State.CANCELLED})


def visible(user: Any, queryset: TaskQuerySet | None = None) -> TaskQuerySet:
    """The tasks of `queryset` (all by default) that `TASKCENTER["VISIBLE"]` lets this person see."""
    rule: Any = get_settings().VISIBLE
    apply = import_string(rule) if isinstance(rule, str) else rule
    tasks: TaskQuerySet = apply(user, Task.objects.all() if queryset is None else queryset)
    return tasks


@dataclass(frozen=True, slots=True)
class Viewer:
    """What one person may do, asked once so that many frames can be made without asking again."""

    pk: Any = None
    cancels_any: bool = False
    retries_any: bool = False
    reads_any_report: bool = False
    sees_any: bool = False

    @classmethod
    def of(cls, user: Any) -> Viewer:
        """May ask the database for permissions."""
        if user is None or not user.is_authenticated or not user.is_active:
            return cls()
        return cls(
            pk=user.pk,
            cancels_any=user.has_perm("taskcenter.cancel_task"),
            retries_any=user.has_perm("taskcenter.retry_task"),
            reads_any_report=user.has_perm("taskcenter.view_report"),
            sees_any=user.has_perm("taskcenter.view_task"),
        )

    def actions(self, task: Task) -> tuple[str, ...]:
        """What this person may do with the task and what its state allows, of cancel and retry."""
        is_owner = self.pk is not None and task.owner_id == self.pk
        found = []
        if (is_owner or self.cancels_any) and not task.is_final and not task.cancel_requested_at:
            found.append("cancel")
        if (is_owner or self.retries_any) and task.state in {State.FAILED, State.CANCELLED}:
            found.append("retry")
        return tuple(found)

    def sees(self, task: Task) -> bool | None:
        """What `visible()` would say of a row that was read just now. None: a site's own rule must be asked."""
        if get_settings().VISIBLE != USUAL_RULE:
            return None
        return self.sees_any or (self.pk is not None and task.owner_id == self.pk)

    def reads(self, report_owner: Any) -> bool:
        """Whether this person may open a report of that owner."""
        return self.reads_any_report or (self.pk is not None and report_owner == self.pk)


NOBODY = Viewer()
"""Who may look and do nothing, as somebody who holds a pass."""


def allowed_actions(user: Any, task: Task) -> tuple[str, ...]:
    """Which of cancel and retry this person may do with this task now: the rule of every button."""
    return Viewer.of(user).actions(task)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that a frame is made of, whoever looks at it."""

    task: Task
    stored: Stored | None = None
    worker_alive: bool = True
    stalled: bool = False
    """Its worker lives, and its progress has stood still for longer than is usual."""
    report: tuple[int, Any] | None = None
    """Primary key and owner of the newest final report."""
    _made: dict[Any, dict[str, Any]] = field(default_factory=dict, init=False, compare=False, repr=False)
    _texts: dict[Any, str] = field(default_factory=dict, init=False, compare=False, repr=False)

    @property
    def order(self) -> tuple[int, int, int]:
        """rev, attempt, seq: of two snapshots in one process, which is newer."""
        seq = self.stored.seq if self.stored and self.stored.attempt == self.task.attempt else 0
        return self.task.rev, self.task.attempt, seq

    def progressed(self, stored: Stored) -> Snapshot:
        """The same with newer progress; it stands still as before unless that has moved."""
        known = _newest(self.task, self.stored)
        stalled = self.stalled and known is not None and stored.moved_at == known.moved_at
        return replace(self, stored=stored, stalled=stalled)

    def frame(self, viewer: Viewer) -> dict[str, Any]:
        """The frame for that person; made once for all who may do the same."""
        rights = self._rights(viewer)
        made = self._made.get(rights)
        if made is None:
            can, reads, is_known = rights
            url = _url("report-detail", self.report[0]) if self.report and reads else None
            alive, stalled = self.worker_alive, self.stalled
            made = frame(self.task, self.stored, worker_alive=alive, stalled=stalled, can=can, report_url=url)
            if not is_known:
                # A link that leads to a sign-in helps nobody who was only shown this.
                made["url"] = None
            self._made[rights] = made
        return made

    def text(self, viewer: Viewer) -> str:
        """The frame as JSON; encoded once for all who may do the same."""
        rights = self._rights(viewer)
        if rights not in self._texts:
            self._texts[rights] = json.dumps(self.frame(viewer))
        return self._texts[rights]

    def _rights(self, viewer: Viewer) -> tuple[tuple[str, ...], bool, bool]:
        """All by which the frames of two people can differ."""
        reads = self.report is not None and viewer.reads(self.report[1])
        return viewer.actions(self.task), reads, viewer.pk is not None


def snapshots(rows: TaskQuerySet | Sequence[Task]) -> list[Snapshot]:
    """Snapshots of these tasks, in their order: three queries and one round trip to Redis, however many.

    And one query a minute per definition of which a task has been silent for a while (see standstill.py).
    Rows that were read just now are not read again.
    """
    tasks = list(rows.defer(*_HEAVY)) if isinstance(rows, TaskQuerySet) else rows
    running = [task.id for task in tasks if task.state == State.PROCESSING]
    lost = (
        set(Task.objects.filter(id__in=running).lost(stale_before()).values_list("id", flat=True)) if running else set()
    )
    # What has not begun has no report; Django asks nothing of an empty list.
    begun = [task.id for task in tasks if task.attempt]
    reports = Report.objects.final().filter(task_id__in=begun).order_by("attempt")
    newest = {task_id: (pk, owner) for task_id, pk, owner in reports.values_list("task_id", "pk", "owner_id")}
    told = read_many(task.id for task in tasks if task.state in _BEGUN)
    return [_snapshot(task, told.get(str(task.id)), task.id not in lost, newest.get(task.id)) for task in tasks]


def stalled_among(limit: int) -> list[UUID]:
    """Of the newest that run, those on a living worker that stand still: a query, and those of standstill.py."""
    held = Task.objects.processing().exclude(pk__in=Task.objects.lost(stale_before()).values("pk"))
    tasks = list(held.order_by("-id").defer(*_HEAVY)[:limit])
    told = read_many(task.id for task in tasks)
    return [task.id for task in tasks if standstill.is_stalled(task, _newest(task, told.get(str(task.id))))]


def _snapshot(task: Task, stored: Stored | None, worker_alive: bool, report: tuple[int, Any] | None) -> Snapshot:
    stalled = worker_alive and standstill.is_stalled(task, _newest(task, stored))
    return Snapshot(task, stored, worker_alive, stalled, report)


def frames(user: Any, queryset: TaskQuerySet) -> list[dict[str, Any]]:
    """Frames of these tasks for this person, in their order. Who may see them is the caller's question."""
    viewer = Viewer.of(user)
    return [snapshot.frame(viewer) for snapshot in snapshots(queryset)]


def frame(
    task: Task,
    stored: Stored | None = None,
    *,
    worker_alive: bool = True,
    stalled: bool = False,
    can: Sequence[str] = (),
    report_url: str | None = None,
) -> dict[str, Any]:
    """One task's whole small state; reads nothing.

    `stored` is what Redis told; the row's copy counts where it is newer. Progress is that of the present
    attempt only, and waiting tasks have none.
    """
    progress = _newest(task, stored)
    details = (progress or Stored(attempt=0, seq=0)).details()
    fraction = progress.progress if progress else None
    if task.state != State.PROCESSING:
        details.update(eta_s=None, rate=None)
    return {
        "id": str(task.id),
        "rev": task.rev,
        "attempt": task.attempt,
        "seq": progress.seq if progress else 0,
        "state": str(task.state),
        "shown": str(task.shown(worker_alive=worker_alive, stalled=stalled)),
        "progress": 1.0 if task.state == State.COMPLETED else fraction,
        **details,
        "max_attempts": task.max_attempts,
        "due_at": task.run_after.isoformat() if task.run_after and task.state == State.SCHEDULED else None,
        "updated_at": _updated_at(task, progress),
        "final": task.is_final,
        "can": list(can),
        "url": _url("task-detail", task.id),
        "title": task.label,
        "error": _error(task),
        "report_url": report_url,
        "worker_alive": worker_alive,
    }


def _newest(task: Task, stored: Stored | None) -> Stored | None:
    """The newest progress of the present attempt, if it has begun."""
    if task.state not in FINAL and task.state != State.PROCESSING:
        return None
    kept = Stored.from_row(task.progress, task.progress_state)
    own = [one for one in (kept, stored) if one and one.attempt == task.attempt]
    return max(own, key=lambda one: one.seq, default=None)


def _updated_at(task: Task, progress: Stored | None) -> str:
    moments = (task.created_at, task.attempted_at, task.cancel_requested_at, task.finished_at)
    latest = max(moment for moment in moments if moment).isoformat()
    return max(latest, progress.updated_at) if progress else latest


def _error(task: Task) -> dict[str, str] | None:
    if task.state == State.COMPLETED or not (task.error_type or task.error_message):
        return None
    return {"type": task.error_type.rpartition(".")[2], "message": task.error_message[:TEXT_LIMIT]}


def _url(name: str, key: Any) -> str | None:
    try:
        return reverse(f"taskcenter:{name}", args=[key])
    except NoReverseMatch:
        # A site that only runs workers need not include our URLs.
        return None
