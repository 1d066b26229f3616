"""django-q2 with two workers; all its rows are kept, of which by default only 250 are."""

from __future__ import annotations

import os
from typing import Any

from benchmarks.projects.base import *  # noqa: F403 a settings module is its names
from benchmarks.projects.base import INSTALLED_APPS, REDIS_URL

INSTALLED_APPS = [*INSTALLED_APPS, "django_q"]
BROKERS: dict[str, dict[str, Any]] = {"redis": {"redis": REDIS_URL}, "orm": {"orm": "default"}}
Q_CLUSTER = {
    "name": "bench",
    "workers": 2,
    "timeout": 30,
    "retry": 60,
    "save_limit": 0,
    "log_level": "WARNING",
    **BROKERS[os.environ.get("BENCH_BROKER", "redis")],
}
