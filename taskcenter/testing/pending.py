"""Pending tasks run in the process of the test, by the same claim, story and finish as everywhere."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from taskcenter import lifecycle
from taskcenter.compat import TaskResult, task_backends
from taskcenter.definitions import TaskDefinition, find, known_names
from taskcenter.models import Task, Worker
from taskcenter.worker import story

__all__ = ["Ran", "run_pending"]


@dataclass(frozen=True, slots=True)
class Ran:
    """One attempt that was run: the task as it was afterwards, and what came of the attempt."""

    task: Task
    outcome: lifecycle.Outcome

    @property
    def result(self) -> TaskResult:
        """The task as it is now, in the words of `django.tasks`."""
        return task_backends[find(self.task.definition).backend].get_result(str(self.task.id))


def run_pending(
    queues: Sequence[str] | None = None,
    *,
    definitions: Iterable[TaskDefinition | str] | None = None,
    limit: int = 1000,
) -> list[Ran]:
    """Run what may run now, best first: highest priority, then oldest. Returns the attempts in that order.

    Tasks that these tasks enqueue run too, and so do scheduled ones whose time has come: move it with
    `clock()`. `queues` (all) and `definitions` (all that are known) choose among them. It ends after
    `limit` attempts, for tasks that enqueue themselves. What a task raises ends in its row, not here.
    """
    names = _names(definitions)
    ran: list[Ran] = []
    with _standing_in(queues, names) as worker_id:
        while len(ran) < limit and (task := _claimed(queues, names, worker_id)):
            outcome = story.run(task, _Listener(task))
            ran.append(Ran(Task.objects.filter(id=task.id).first() or task, outcome))
    return ran


class _Listener:
    """Hears of a cancel by looking at the row; nobody shuts this worker down."""

    def __init__(self, task: Task) -> None:
        self._attempt = Task.objects.of_attempt(task.id, task.attempt)

    def cancelled(self) -> bool:
        return self._attempt.filter(cancel_requested_at__isnull=False).exists()

    def stopping(self) -> bool:
        return False


def _names(definitions: Iterable[TaskDefinition | str] | None) -> list[str]:
    if definitions is None:
        return known_names()
    return [item if isinstance(item, str) else item.module_path for item in definitions]


def _claimed(queues: Sequence[str] | None, names: Sequence[str], worker_id: uuid.UUID) -> Task | None:
    lifecycle.promote()
    Worker.objects.beat(worker_id)  # a task may have moved the clock
    line = _queues_with_work() if queues is None else list(queues)
    tasks = lifecycle.claim(line, names, worker_id, limit=1) if line and names else []
    return tasks[0] if tasks else None


def _queues_with_work() -> list[str]:
    return sorted(Task.objects.pending().order_by().values_list("queue", flat=True).distinct())


@contextmanager
def _standing_in(queues: Sequence[str] | None, names: list[str]) -> Iterator[uuid.UUID]:
    """A worker row, so that nobody takes the tasks for lost."""
    worker = Worker.objects.create(
        name="run_pending", host=socket.gethostname(), pid=os.getpid(), queues=list(queues or ()), definitions=names
    )
    try:
        yield worker.id
    finally:
        Worker.objects.retire(worker.id)
