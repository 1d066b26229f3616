"""The Django Tasks backend: `TASKS = {"default": {"BACKEND": "taskcenter.backend.TaskCenterBackend"}}`.

The rows are imported when they are first needed, so that a `models.py` may import its app's tasks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from .compat import BaseTaskBackend, TaskError, TaskResult, TaskResultDoesNotExist, TaskResultStatus, task_enqueued
from .conf import redis_queues
from .definitions import TaskDefinition, find
from .exceptions import UnknownDefinition
from .states import State

if TYPE_CHECKING:
    from .models import Task

__all__ = ["TaskCenterBackend"]

STATUS = {
    State.BLOCKED: TaskResultStatus.READY,
    State.SCHEDULED: TaskResultStatus.READY,
    State.PENDING: TaskResultStatus.READY,
    State.PROCESSING: TaskResultStatus.RUNNING,
    State.COMPLETED: TaskResultStatus.SUCCESSFUL,
    State.FAILED: TaskResultStatus.FAILED,
    State.CANCELLED: TaskResultStatus.FAILED,
}


class TaskCenterBackend(BaseTaskBackend):
    task_class = TaskDefinition
    supports_defer = True
    supports_async_task = True
    supports_get_result = True
    supports_priority = True

    def __init__(self, alias: str, params: dict[str, Any]) -> None:
        super().__init__(alias, params)
        if "QUEUES" not in params:
            self.queues = set(redis_queues()) or self.queues

    def enqueue(self, task: Any, args: Any, kwargs: Any) -> TaskResult:
        """A row in the caller's transaction, a pointer when it commits."""
        from .enqueue import enqueue  # noqa: PLC0415 see the top of this file

        self.validate_task(task)
        row, is_new = enqueue(task, args, kwargs)
        result = self.result_of(row, task)
        if is_new:
            task_enqueued.send(type(self), task_result=result)
        return result

    def enqueue_many(self, task: TaskDefinition, arguments: Sequence[dict[str, Any]]) -> list[TaskResult]:
        """See TaskDefinition.enqueue_many()."""
        from .enqueue import enqueue_many  # noqa: PLC0415 as above

        self.validate_task(task)
        results = [self.result_of(row, task) for row in enqueue_many(task, arguments)]
        for result in results:
            task_enqueued.send(type(self), task_result=result)
        return results

    def get_result(self, result_id: str) -> TaskResult:
        """The task's result as it is now; raises TaskResultDoesNotExist."""
        from .models import Task  # noqa: PLC0415 as above

        try:
            row = Task.objects.get(id=UUID(str(result_id)))
            definition = find(row.definition)
        except (ValueError, Task.DoesNotExist, UnknownDefinition) as error:
            raise TaskResultDoesNotExist(result_id) from error
        changes = {"priority": row.priority, "queue_name": row.queue, "run_after": row.run_after, "backend": self.alias}
        return self.result_of(row, definition.using(**changes))  # type: ignore[arg-type]

    def result_of(self, row: Task, definition: TaskDefinition) -> TaskResult:
        """The row in Django's words."""
        result: TaskResult = TaskResult(
            task=definition,
            id=str(row.id),
            status=STATUS[State(row.state)],
            enqueued_at=row.created_at,
            started_at=row.started_at,
            finished_at=row.finished_at,
            last_attempted_at=row.attempted_at,
            args=row.args,
            kwargs=row.kwargs,
            backend=self.alias,
            errors=_errors(row) if row.attempt else [],
            worker_ids=[str(row.worker_id or "")] * row.attempt,
        )
        # How Django's own backends fill this field of a frozen class.
        object.__setattr__(result, "_return_value", row.result)
        return result


def _errors(row: Task) -> list[TaskError]:
    events = row.events.told().filter(level="error")
    return [
        TaskError(
            exception_class_path=event.data.get("type") or "builtins.RuntimeError", traceback=event.data["traceback"]
        )
        for event in events
        if "traceback" in event.data
    ]
