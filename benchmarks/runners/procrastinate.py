"""Procrastinate as a Django app: two worker processes, sync tasks. A row from the beginning, as ours."""

from __future__ import annotations

from benchmarks import pins

from .runner import Runner

__all__ = ["RUNNERS"]

WORKER = ("-m", "django", "procrastinate", "worker", "--concurrency", "1")

RUNNERS = (
    Runner(
        name="procrastinate",
        about="Procrastinate in Django, two workers",
        project="procrastinate_rows",
        pins=pins.PROCRASTINATE,
        workers=(WORKER, WORKER),
        done="SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded'",
        tasks=2000,
        bulk=True,
    ),
)
