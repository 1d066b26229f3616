"""TaskCenter as its README sets it up."""

from __future__ import annotations

import os

from benchmarks.projects.base import *  # noqa: F403 a settings module is its names
from benchmarks.projects.base import INSTALLED_APPS, REDIS_URL

INSTALLED_APPS = [
    "taskcenter",
    "django_rq",
    "channels",
    "django.contrib.sessions",
    *INSTALLED_APPS,
    "benchmarks.projects.ours",
]
ROOT_URLCONF = "benchmarks.projects.ours.urls"
TASKS = {"default": {"BACKEND": "taskcenter.backend.TaskCenterBackend"}}
RQ_QUEUES = {"default": {"URL": REDIS_URL}}
TASKCENTER = {"BATCH": int(os.environ.get("BENCH_BATCH", "64"))}
