"""Settings of a drill's processes: TaskCenter alone, on the drill's own servers. Times are compressed."""

from __future__ import annotations

import os
from typing import Any

SECRET_KEY = "of a drill"  # noqa: S105 nothing is signed with it
USE_TZ = True
TIME_ZONE = "UTC"
INSTALLED_APPS = ["taskcenter", "django_rq", "django.contrib.auth", "django.contrib.contenttypes"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

DATABASES: dict[str, dict[str, Any]] = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "drill",
        "USER": "postgres",
        "HOST": os.environ.get("TASKCENTER_DRILL_POSTGRES", ""),
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
    }
}
RQ_QUEUES = {"default": {"URL": os.environ.get("TASKCENTER_DRILL_REDIS", "")}}
TASKS = {"default": {"BACKEND": "taskcenter.backend.TaskCenterBackend"}}
TASKCENTER = {"HEARTBEAT": 1, "STALE_AFTER": 3, "GRACE": 3, "TASK_MODULES": ("taskcenter.drill.tasks",)}

TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name} {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
}
