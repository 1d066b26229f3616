"""Whether work moves: looked at twice a second, with queries that cost next to nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator

from django.db.models import Max

from taskcenter.models import Task, Worker
from taskcenter.pointers import listed
from taskcenter.states import FINAL

from .plan import QUEUES

__all__ = ["Watch", "live", "stuck"]

GAP = 0.5


class Watch:
    def __init__(self) -> None:
        self._newest: object = None
        self._due = 0.0
        self._idle_since = self._quiet_since = time.monotonic()
        self.longest_idle = 0.0
        """Seconds in which tasks were due and none ended."""

    def look(self) -> None:
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + GAP
        newest = Task.objects.aggregate(newest=Max("finished_at"))["newest"]
        if newest != self._newest:
            self._newest, self._quiet_since = newest, now
        if self._quiet_since == now or not Task.objects.pending().exists():
            self._idle_since = now
        self.longest_idle = max(self.longest_idle, now - self._idle_since)

    @property
    def quiet(self) -> float:
        """Seconds since a task ended."""
        return time.monotonic() - self._quiet_since


def live() -> int:
    return Task.objects.live().count()


def stuck(most: int = 30) -> Iterator[str]:
    """The tasks that have not ended, as one who looks for the reason wants them."""
    pointed_at = {task_id for queue in QUEUES for task_id in listed(queue) or ()}
    alive = set(Worker.objects.alive().values_list("id", flat=True))
    for task in Task.objects.exclude(state__in=FINAL).order_by("id")[:most]:
        worker = ("alive" if task.worker_id in alive else "dead") if task.worker_id else "none"
        yield (
            f"{task.id} {task.title}: {task.state}, attempt {task.attempt}, queue {task.queue}, "
            f"priority {task.priority}, run after {task.run_after}, attempted {task.attempted_at}, "
            f"failures {task.failures}, crashes {task.crashes}, interrupted {task.interrupted}, "
            f"worker {worker}, pointer {'yes' if task.id in pointed_at else 'no'}"
        )
