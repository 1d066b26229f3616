"""The bodies as Celery tasks."""

from __future__ import annotations

from benchmarks.projects import bodies

from .app import app

TASKS = {kind: app.task(getattr(bodies, kind)) for kind in ("noop", "nap", "stamp")}


def enqueue(kind: str, number: int) -> None:
    TASKS[kind].delay(number)
