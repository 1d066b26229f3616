"""Huey with its defaults."""

from __future__ import annotations

from benchmarks.projects.base import *  # noqa: F403 a settings module is its names
from benchmarks.projects.base import INSTALLED_APPS, REDIS_URL

INSTALLED_APPS = [*INSTALLED_APPS, "huey.contrib.djhuey", "benchmarks.projects.huey_redis"]
HUEY = {"name": "bench", "huey_class": "huey.RedisHuey", "connection": {"url": REDIS_URL}, "immediate": False}
