"""Start-up: import every module that defines tasks, register the system checks."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class TaskCenterConfig(AppConfig):
    name = "taskcenter"
    verbose_name = "Task center"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import checks  # noqa: F401, PLC0415 registers itself; models must be loaded first
        from .conf import get_settings  # noqa: PLC0415 as above

        autodiscover_modules("tasks")
        for name in get_settings().TASK_MODULES:
            import_module(name)
