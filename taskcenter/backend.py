"""The Django Tasks backend: `TASKS = {"default": {"BACKEND": "taskcenter.backend.TaskCenterBackend"}}`.

The rows are imported when they are first needed, so that a `models.py` may import its app's tasks.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

import django

from .compat import (
    BaseTaskBackend,
    InvalidTask,
    TaskError,
    TaskResult,
    TaskResultDoesNotExist,
    TaskResultStatus,
    is_heard,
    task_enqueued,
)
from .conf import redis_queues
from .definitions import TaskDefinition, find
from .exceptions import NotJSON, UnknownDefinition
from .states import State

if TYPE_CHECKING or django.VERSION < (6, 0):
    from django_tasks.utils import normalize_json
else:
    from django.utils.json import normalize_json

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
        from .enqueue import place  # noqa: PLC0415 see the top of this file

        self.validate_task(task)
        try:
            placed = place(task, args, kwargs)
        except NotJSON:
            placed = place(task, _as_django_takes_it(args), _as_django_takes_it(kwargs))
        if placed.holder is not None:
            return self.result_of(placed.holder, task)
        result = self._result_of_new(placed.draft, task)
        if is_heard(task_enqueued):
            task_enqueued.send(type(self), task_result=result)
        return result

    def enqueue_many(self, task: TaskDefinition, arguments: Sequence[dict[str, Any]]) -> Sequence[TaskResult]:
        """See TaskDefinition.enqueue_many()."""
        from .enqueue import Built, enqueue_many  # noqa: PLC0415 as above

        self.validate_task(task)
        try:
            rows = enqueue_many(task, arguments)
        except NotJSON:
            rows = enqueue_many(task, _as_django_takes_it(arguments))
        results = Built(len(rows), lambda index: self.result_of(rows[index], task))
        if is_heard(task_enqueued):
            for result in results:
                task_enqueued.send(type(self), task_result=result)
        return results

    def get_result(self, result_id: str) -> TaskResult:
        """The task's result as it is now; raises TaskResultDoesNotExist."""
        from .models import Task  # noqa: PLC0415 as above

        try:
            row = Task.objects.get(id=UUID(str(result_id)))
            definition = self._as_enqueued(row)
        except (ValueError, Task.DoesNotExist, UnknownDefinition) as error:
            raise TaskResultDoesNotExist(result_id) from error
        return self.result_of(row, definition)

    def _as_enqueued(self, row: Task) -> TaskDefinition:
        definition = find(row.definition)
        changes = {"priority": row.priority, "queue_name": row.queue, "run_after": row.run_after, "backend": self.alias}
        try:
            return definition.using(**changes)  # type: ignore[arg-type]
        except InvalidTask:
            return definition  # the settings have lost its queue since

    def result_of(self, row: Task, definition: TaskDefinition) -> TaskResult:
        """The row in Django's words; without a query, unless the task has had trouble."""
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
            errors=_errors(row) if row.failures or row.crashes else [],
            worker_ids=[str(row.worker_id or "")] * row.attempt,
        )
        # How Django's own backends fill this field of a frozen class.
        object.__setattr__(result, "_return_value", row.result)
        return result

    def _result_of_new(self, draft: dict[str, Any], definition: TaskDefinition) -> TaskResult:
        """The same of a task that was just written, without making a row of it."""
        return TaskResult(
            task=definition,
            id=str(draft["id"]),
            status=TaskResultStatus.READY,
            enqueued_at=draft["created_at"],
            started_at=None,
            finished_at=None,
            last_attempted_at=None,
            args=json.loads(draft["args"]),
            kwargs=json.loads(draft["kwargs"]),
            backend=self.alias,
            errors=[],
            worker_ids=[],
        )


def _errors(row: Task) -> list[TaskError]:
    """What ended attempts badly, oldest first."""
    from .models import TaskEvent  # noqa: PLC0415 see the top of this file

    kinds = (TaskEvent.Kind.FAILED, TaskEvent.Kind.TIMED_OUT, TaskEvent.Kind.CRASHED)
    return [
        TaskError(
            exception_class_path=event.data.get("type") or "builtins.RuntimeError",
            traceback=event.data.get("traceback", ""),
        )
        for event in row.events.told().filter(kind__in=kinds)
    ]


def _as_django_takes_it(value: Any) -> Any:
    """Bytes, and every sequence and mapping, as Django's own backends make JSON of them.

    Asked only after ours has refused: most arguments are JSON already. Raises NotJSON in Django's words.
    """
    try:
        return normalize_json(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise NotJSON(f"The arguments cannot be kept as JSON: {error}.") from error
