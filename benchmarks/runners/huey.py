"""Huey on Redis with process workers. It keeps a pickled value and nothing else: no row, no history."""

from __future__ import annotations

from benchmarks import pins

from .runner import Runner

__all__ = ["RUNNERS"]

RUNNERS = (
    Runner(
        name="huey",
        about="Huey on Redis, two process workers; no row",
        project="huey_redis",
        pins=pins.HUEY,
        workers=(("-m", "django", "run_huey", "--workers", "2", "--worker-type", "process", "--quiet"),),
        done="HLEN huey.results.bench",
        tasks=8000,
    ),
)
