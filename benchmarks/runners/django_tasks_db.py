"""The database backend of django.tasks: two workers that poll every second when idle, its default."""

from __future__ import annotations

from benchmarks import pins

from .runner import Runner

__all__ = ["RUNNERS"]

WORKER = ("-m", "django", "db_worker", "--no-startup-delay", "--verbosity", "0")

RUNNERS = (
    Runner(
        name="django-tasks-db",
        about="django-tasks-db, two workers, polling every second",
        project="tasks_db",
        pins=pins.TASKS_DB,
        workers=(WORKER, WORKER),
        done="SELECT count(*) FROM django_tasks_database_dbtaskresult WHERE status = 'SUCCESSFUL'",
        tasks=2000,
    ),
)
