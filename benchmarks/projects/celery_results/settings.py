"""Celery with results in Django's database, otherwise with its defaults."""

from __future__ import annotations

import os

from benchmarks.projects.base import *  # noqa: F403 a settings module is its names
from benchmarks.projects.base import INSTALLED_APPS, REDIS_URL

INSTALLED_APPS = [*INSTALLED_APPS, "django_celery_results", "benchmarks.projects.celery_results"]
CELERY_BROKER_URL = REDIS_URL
CELERY_RESULT_BACKEND = "django-db"
if os.environ.get("BENCH_REUSE"):
    CELERY_DB_REUSE_MAX = int(os.environ["BENCH_REUSE"])
