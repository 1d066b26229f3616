"""`ProgressTracker`: progress by task id, from anywhere."""

from __future__ import annotations

import json
import logging
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async

from taskcenter.models import Task
from taskcenter.states import FINAL, State

from . import store
from .live import fraction_of

__all__ = ["ProgressTracker"]

logger = logging.getLogger("taskcenter")


class ProgressTracker:
    """Write and read the progress of any task. A task itself has it easier with `context.progress`,
    which is made for loops; this one writes at every call.
    """

    def update_progress(
        self,
        task_id: UUID | str,
        progress: float | None,
        status: str = State.PROCESSING.value,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Tell how far a task is: `progress` from 0 to 1, `status` a word, `metadata` JSON.

        `message`, `stage`, `done`, `total` and `unit` in the metadata are shown to people. The status is
        told, not obeyed: the state of a task moves by its life alone. Never raises; trouble is logged.
        """
        try:
            self._update(task_id, progress, status, metadata or {})
        except Exception:
            logger.exception("Progress of task %s could not be told", task_id)

    def get_progress(self, task_id: UUID | str) -> dict[str, Any] | None:
        """How far a task is; None when the task is unknown, or when it cannot be found out.

        A dict of task_id, progress (0 to 1 or None), status, metadata, updated_at (ISO), attempt, seq.
        """
        try:
            return self._get(task_id)
        except Exception:
            logger.exception("Progress of task %s could not be read", task_id)
            return None

    async def aupdate_progress(
        self,
        task_id: UUID | str,
        progress: float | None,
        status: str = State.PROCESSING.value,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """See update_progress()."""
        await sync_to_async(self.update_progress)(task_id, progress, status, metadata)

    async def aget_progress(self, task_id: UUID | str) -> dict[str, Any] | None:
        """See get_progress()."""
        return await sync_to_async(self.get_progress)(task_id)

    def _update(self, task_id: UUID | str, progress: Any, status: str, metadata: dict[str, Any]) -> None:
        fraction = fraction_of(progress)
        if progress is not None and fraction is None:
            logger.warning("Progress of task %s ignored: %.80r is not a number from 0 to 1", task_id, progress)
            return
        # Refuses what is not JSON before anything is written.
        metadata = json.loads(json.dumps(metadata, allow_nan=False))
        row = _row(task_id)
        kept = store.Stored.from_row(row.progress, row.progress_state) if row else None
        attempt = row.attempt if row else 0
        seq = kept.seq + 1 if kept and kept.attempt == attempt else 1
        told = store.Stored(
            attempt=attempt,
            seq=seq,
            progress=fraction,
            status=str(status),
            metadata=metadata,
            updated_at=store.now_text(),
        )
        seq = store.publish(task_id, told) or seq
        if row:
            Task.objects.save_progress(row.id, attempt, fraction, {**told.for_row(), "seq": seq})

    def _get(self, task_id: UUID | str) -> dict[str, Any] | None:
        row = _row(task_id)
        kept = store.Stored.from_row(row.progress, row.progress_state) if row else None
        found = [stored for stored in (kept, store.read(task_id)) if stored]
        newest = max(found, key=lambda stored: stored.order, default=None)
        if newest is None and row is None:
            return None
        newest = newest or store.Stored(attempt=row.attempt if row else 0, seq=0)
        progress, status = newest.progress, newest.status
        if row and (row.state in FINAL or not status):
            status = row.state
        if status == State.COMPLETED:
            progress = 1.0
        return {
            "task_id": str(task_id),
            "progress": progress,
            "status": str(status),
            "metadata": newest.metadata,
            "updated_at": newest.updated_at or (row.created_at.isoformat() if row else ""),
            "attempt": newest.attempt,
            "seq": newest.seq,
        }


def _row(task_id: UUID | str) -> Task | None:
    """The row, when the id is one of a task."""
    try:
        key = task_id if isinstance(task_id, UUID) else UUID(task_id)
    except ValueError:
        return None
    fields = ("id", "attempt", "state", "progress", "progress_state", "created_at")
    return Task.objects.only(*fields).filter(id=key).first()
