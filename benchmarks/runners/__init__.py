"""All runners, in the order of the report. One file each; the peers' files say what was tuned and why."""

from __future__ import annotations

from . import celery, django_tasks_db, dramatiq, huey, ours, procrastinate, q2, stock_rq
from .runner import Runner

__all__ = ["BASELINE", "RUNNERS", "Runner"]

RUNNERS = (
    *ours.RUNNERS,
    *stock_rq.RUNNERS,
    *celery.RUNNERS,
    *huey.RUNNERS,
    *dramatiq.RUNNERS,
    *q2.RUNNERS,
    *procrastinate.RUNNERS,
    *django_tasks_db.RUNNERS,
)

BASELINE = "celery-db"
"""What most people would use: every other number is also given as a ratio to it."""
