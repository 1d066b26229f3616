"""The bodies as Huey tasks."""

from __future__ import annotations

from huey.contrib.djhuey import task

from benchmarks.projects import bodies

TASKS = {kind: task()(getattr(bodies, kind)) for kind in ("noop", "nap", "stamp")}


def enqueue(kind: str, number: int) -> None:
    TASKS[kind](number)
