"""django-rq with its defaults."""

from __future__ import annotations

from benchmarks.projects.base import *  # noqa: F403 a settings module is its names
from benchmarks.projects.base import INSTALLED_APPS, REDIS_URL

INSTALLED_APPS = ["django_rq", *INSTALLED_APPS]
RQ_QUEUES = {"default": {"URL": REDIS_URL}}
