"""The context given to a task that asks for it: progress, report, checkpoints, and word from outside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar, cast

from django.db import transaction

from . import reports
from .compat import DjangoTaskContext, after_commit
from .conf import get_settings
from .exceptions import Cancelled, HandedBack, Snoozed
from .models import Checkpoint, Task, TaskEvent
from .payload import checked
from .progress import TaskProgress, announce_line

__all__ = ["Listener", "TaskContext"]

T = TypeVar("T")


class Listener(Protocol):
    """How a running task hears from outside."""

    def cancelled(self) -> bool:
        """Whether somebody asked this attempt to stop."""

    def stopping(self) -> bool:
        """Whether the worker is shutting down."""


@dataclass(frozen=True, kw_only=True)
class TaskContext(DjangoTaskContext):
    """What `takes_context=True` puts before a task's own arguments."""

    row: Task
    listener: Listener
    progress: TaskProgress = field(init=False)

    def __post_init__(self) -> None:
        progress = TaskProgress(self.row.id, self.row.attempt, check=self.raise_if_cancelled)
        object.__setattr__(self, "progress", progress)

    @property
    def attempt(self) -> int:
        """How often this task was begun, this time included."""
        return self.row.attempt

    @property
    def metadata(self) -> dict[str, Any]:
        """What travels with the task; `save_metadata()` keeps changes."""
        metadata: dict[str, Any] = self.row.metadata
        return metadata

    def save_metadata(self) -> bool:
        """Keep `metadata` on the row; raises InvalidPayload when it is not JSON.

        False: another attempt owns the task by now, and nothing was written.
        """
        value = checked(self.row.metadata, limit=get_settings().ARGS_LIMIT, what="metadata")
        return bool(Task.objects.of_attempt(self.row.id, self.row.attempt).update(metadata=value))

    @property
    def stopping(self) -> bool:
        """Whether the worker is shutting down: finish soon, or call `hand_back()`."""
        return self.listener.stopping()

    def raise_if_cancelled(self) -> None:
        """Raise Cancelled when somebody asked this task to stop. Progress calls do so by themselves."""
        if self.listener.cancelled():
            raise Cancelled

    def snooze(self, delay: float) -> None:
        """End this attempt here and run the task again in `delay` seconds; nothing is counted against it."""
        raise Snoozed(delay)

    def hand_back(self) -> None:
        """End this attempt here and let another worker begin the task anew."""
        raise HandedBack

    def log(self, text: str, *, level: str = "info", **data: Any) -> None:
        """A line in the task's history."""
        data = checked(data, limit=get_settings().ARGS_LIMIT, what="data of a log line")
        with transaction.atomic():
            TaskEvent.objects.tell(
                self.row.id,
                TaskEvent.Kind.LOG,
                text,
                attempt=self.attempt,
                level=level,
                data=data,
                worker_id=self.row.worker_id,
            )
            after_commit(announce_line, self.row.id)

    def checkpoint(self, key: str, function: Callable[[], T]) -> T:
        """The JSON value of `function()`, computed once for all attempts of this task."""
        kept = Checkpoint.objects.filter(task_id=self.row.id, key=key).first()
        if kept is not None:
            return cast(T, kept.value)
        computed = checked(function(), limit=get_settings().RESULT_LIMIT, what=f"checkpoint {key!r}")
        row, _ = Checkpoint.objects.get_or_create(
            task_id=self.row.id, key=key, defaults={"value": computed, "attempt": self.attempt}
        )
        return cast(T, row.value)

    def report(self, *, title: str, data: dict[str, Any]) -> None:
        """Keep what this attempt produced for people; shown once the attempt has completed."""
        reports.keep(self.row.id, self.attempt, title=title, data=data, owner=self.row.owner)
