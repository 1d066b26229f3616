"""Dramatiq with django-dramatiq's AdminMiddleware: two processes of one thread.

Its "enqueued" row is written after the push, so that a fast worker's "done" may be overwritten: such tasks are lost
to whoever looks at the rows, and are counted as lost in the latency measure.
"""

from __future__ import annotations

from benchmarks import pins

from .runner import Runner

__all__ = ["RUNNERS"]

RUNNERS = (
    Runner(
        name="dramatiq",
        about="Dramatiq, Redis broker, django-dramatiq rows",
        project="dramatiq_rows",
        pins=pins.DRAMATIQ,
        workers=(("-m", "django", "rundramatiq", "--processes", "2", "--threads", "1"),),
        done="SELECT count(*) FROM django_dramatiq_task WHERE status = 'done'",
        tasks=1500,
    ),
)
