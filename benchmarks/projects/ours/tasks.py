"""The bodies as tasks of TaskCenter."""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks.projects import bodies
from benchmarks.projects.ours import live
from taskcenter import task

TASKS = {kind: task(getattr(bodies, kind)) for kind in bodies.__all__}
TASKS |= {"busy": live.busy, "ticks": live.ticks}
session = live.session


def enqueue(kind: str, number: int) -> None:
    TASKS[kind].enqueue(number)


def enqueue_many(kind: str, numbers: Iterable[int]) -> None:
    TASKS[kind].enqueue_many([{"number": number} for number in numbers])
