"""Start-up: import every module that defines tasks, register the system checks."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class TaskCenterConfig(AppConfig):
    name = "taskcenter"
    verbose_name = "Task center"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import checks, redrive  # noqa: F401, PLC0415 checks registers itself; models must be loaded first
        from .compat import InvalidTask  # noqa: PLC0415 as above
        from .conf import get_settings  # noqa: PLC0415 as above
        from .exceptions import ConfigurationError  # noqa: PLC0415 as above

        with suppress(ConfigurationError, ImportError, InvalidTask):  # which the system checks name
            redrive.definition()
        autodiscover_modules("tasks")
        for name in get_settings().TASK_MODULES:
            import_module(name)
