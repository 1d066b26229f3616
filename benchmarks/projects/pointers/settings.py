"""Our rows and pointers, but django-rq's worker: its app stands first, against which our check E004 warns."""

from __future__ import annotations

from benchmarks.projects.ours.settings import *  # noqa: F403 a settings module is its names

INSTALLED_APPS = [
    "django_rq",
    "taskcenter",
    "channels",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "benchmarks.projects.ours",
]
SILENCED_SYSTEM_CHECKS = ["taskcenter.E004"]
