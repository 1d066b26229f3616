"""Which tasks were enqueued, and an error that lists them when it was not the right ones."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from taskcenter.compat import uuid7
from taskcenter.definitions import TaskDefinition
from taskcenter.models import Task, TaskQuerySet

__all__ = ["Captured", "assert_enqueued", "captured"]

LISTED = 20
"""At most so many tasks are listed in an error."""


def assert_enqueued(
    definition: TaskDefinition | str,
    *,
    args: Sequence[Any] | None = None,
    kwargs: dict[str, Any] | None = None,
    count: int | None = None,
    queue: str | None = None,
    **fields: Any,
) -> list[Task]:
    """Assert that such a task is in the database, in whatever state; returns those that are, oldest first.

    What is None is not looked at. `args` and `kwargs` are compared as wholes and as JSON: a tuple equals
    a list. `count` says how many there must be, 0 for none; without it one is enough. `fields` are more
    of the row's own: `priority=5`, `owner=user`, `state="scheduled"`.

    Raises AssertionError with a list of what was enqueued instead, TypeError for a field that no task has.
    """
    return _Wanted(definition, args=args, kwargs=kwargs, count=count, queue=queue, fields=fields).check(
        Task.objects.all()
    )


class Captured:
    """The tasks that were made inside a `captured()` block and are still there, oldest first.

    The database is asked each time: a rollback takes its tasks out of here as well.
    """

    def __init__(self) -> None:
        # Ids rise strictly within a process, so two of them enclose what is made between them.
        self._since = uuid7()
        self._until: UUID | None = None

    @property
    def tasks(self) -> list[Task]:
        return list(self._rows())

    def assert_enqueued(self, definition: TaskDefinition | str, **expected: Any) -> list[Task]:
        """As the function of that name, among these tasks only."""
        options = {name: expected.pop(name, None) for name in ("args", "kwargs", "count", "queue")}
        return _Wanted(definition, **options, fields=expected).check(self._rows())

    def __iter__(self) -> Iterator[Task]:
        return iter(self.tasks)

    def __len__(self) -> int:
        return self._rows().count()

    def _close(self) -> None:
        self._until = uuid7()

    def _rows(self) -> TaskQuerySet:
        rows = Task.objects.filter(id__gt=self._since)
        return rows if self._until is None else rows.filter(id__lt=self._until)


@contextmanager
def captured() -> Iterator[Captured]:
    """Collect the tasks that this process makes inside the block.

    A task that existed before is not among them, also when enqueuing gave it back for its `unique_key`.
    """
    caught = Captured()
    try:
        yield caught
    finally:
        caught._close()  # noqa: SLF001 its other half


class _Wanted:
    """What somebody expects to have been enqueued."""

    def __init__(
        self,
        definition: TaskDefinition | str,
        *,
        args: Sequence[Any] | None,
        kwargs: dict[str, Any] | None,
        count: int | None,
        queue: str | None,
        fields: dict[str, Any],
    ) -> None:
        self.name = definition if isinstance(definition, str) else definition.module_path
        self.count = count
        self.expected = {**fields}
        if args is not None:
            self.expected["args"] = json.loads(json.dumps(list(args)))
        if kwargs is not None:
            self.expected["kwargs"] = json.loads(json.dumps(kwargs))
        if queue is not None:
            self.expected["queue"] = queue
        unknown = sorted(name for name in fields if not hasattr(Task, name))
        if unknown:
            raise TypeError(f"A task has no field {', '.join(unknown)}.")

    def check(self, rows: TaskQuerySet) -> list[Task]:
        tasks = list(rows.order_by("id"))
        found = [task for task in tasks if self._fits(task)]
        enough = bool(found) if self.count is None else len(found) == self.count
        if not enough:
            raise AssertionError("\n".join([self._complaint(len(found)), *self._list(tasks)]))
        return found

    def _fits(self, task: Task) -> bool:
        return task.definition == self.name and all(
            getattr(task, name) == value for name, value in self.expected.items()
        )

    def _complaint(self, found: int) -> str:
        wish = "at least 1" if self.count is None else str(self.count)
        details = "".join(f" {name}={value!r}" for name, value in self.expected.items())
        return f"Expected {wish} of {self.name}{details}, found {found}."

    def _list(self, tasks: list[Task]) -> list[str]:
        if not tasks:
            return ["Nothing was enqueued."]
        names = list(dict.fromkeys(["args", "kwargs", "queue", "priority", "state", *self.expected]))
        lines = [
            f"  {task.definition} " + " ".join(f"{name}={getattr(task, name)!r}" for name in names)
            for task in tasks[:LISTED]
        ]
        more = [f"  and {len(tasks) - LISTED} more"] if len(tasks) > LISTED else []
        return ["Enqueued were:", *lines, *more]
