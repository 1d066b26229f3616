"""Who sees what: by right (`TASKCENTER["VISIBLE"]`), or by a pass that opens one task to look at."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from taskcenter.models import Task
from taskcenter.passes import task_of

from .frames import NOBODY, Snapshot, Viewer, snapshots, visible

__all__ = ["Seen", "see", "still_seen"]


@dataclass(frozen=True, slots=True)
class Seen:
    """A task as one person may see it."""

    snapshot: Snapshot
    viewer: Viewer

    @property
    def is_by_pass(self) -> bool:
        return self.viewer is NOBODY


def see(user: Any, keys: Collection[str], passes: Iterable[str] = (), viewer: Viewer | None = None) -> list[Seen]:
    """Those of the tasks that this person may see, in no order. With `viewer` rights are not asked for again.

    Who sees a task by right needs no pass, and keeps what they may do.
    """
    if not keys:
        return []
    viewer = viewer or Viewer.of(user)
    seen = [Seen(snapshot, viewer) for snapshot in snapshots(visible(user).filter(id__in=keys))]
    opened = _opened(passes) & set(keys) - {str(one.snapshot.task.id) for one in seen}
    if opened:
        seen += [Seen(snapshot, NOBODY) for snapshot in snapshots(Task.objects.filter(id__in=opened))]
    return seen


def still_seen(user: Any, keys: Collection[str], passes: Iterable[str] = ()) -> set[str]:
    """Ids of those tasks that are there and that this person may still see: the light form of `see()`."""
    found = _ids(visible(user).filter(id__in=keys))
    opened = _opened(passes) & set(keys) - found
    return found | _ids(Task.objects.filter(id__in=opened)) if opened else found


def _ids(rows: Any) -> set[str]:
    return {str(task_id) for task_id in rows.order_by().values_list("id", flat=True)}


def _opened(passes: Iterable[str]) -> set[str]:
    found: Iterable[UUID | None] = map(task_of, passes)
    return {str(task_id) for task_id in found if task_id}
