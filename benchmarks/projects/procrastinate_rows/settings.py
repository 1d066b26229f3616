"""Procrastinate with its defaults."""

from __future__ import annotations

from benchmarks.projects.base import *  # noqa: F403 a settings module is its names
from benchmarks.projects.base import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "procrastinate.contrib.django", "benchmarks.projects.procrastinate_rows"]
