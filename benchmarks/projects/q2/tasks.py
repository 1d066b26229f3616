"""The bodies by name, as django-q2 wants them."""

from __future__ import annotations

from django_q.tasks import async_task


def enqueue(kind: str, number: int) -> None:
    async_task(f"benchmarks.projects.bodies.{kind}", number)
