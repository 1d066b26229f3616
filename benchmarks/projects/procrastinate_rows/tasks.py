"""The bodies as Procrastinate tasks."""

from __future__ import annotations

from collections.abc import Iterable

from procrastinate.contrib.django import app

from benchmarks.projects import bodies

TASKS = {kind: app.task(name=kind)(getattr(bodies, kind)) for kind in ("noop", "nap", "stamp")}


def enqueue(kind: str, number: int) -> None:
    TASKS[kind].defer(number=number)


def enqueue_many(kind: str, numbers: Iterable[int]) -> None:
    TASKS[kind].batch_defer(*({"number": number} for number in numbers))
