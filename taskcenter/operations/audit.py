"""The admin's own log, where operators look for who did what. A site without the admin has none."""

from __future__ import annotations

from typing import Any

from django.apps import apps

from taskcenter.models import Task

__all__ = ["log_many", "log_one"]

NAME_LIMIT = 200


def log_one(operator: Any, task: Task, text: str, *, is_gone: bool = False) -> None:
    """What was done to one task, as it was before."""
    _log(operator, text, object_id=str(task.pk), name=str(task), is_gone=is_gone)


def log_many(operator: Any, name: str, text: str, *, task: Task | None = None) -> None:
    """What was done to many: one line with the counts. `task` is the one that did it."""
    _log(operator, text, object_id=str(task.pk) if task else None, name=name)


def _log(operator: Any, text: str, *, object_id: str | None, name: str, is_gone: bool = False) -> None:
    if not apps.is_installed("django.contrib.admin"):
        return
    from django.contrib.admin.models import CHANGE, DELETION, LogEntry  # noqa: PLC0415 only where the admin is installed
    from django.contrib.contenttypes.models import ContentType  # noqa: PLC0415 as above

    LogEntry.objects.create(
        user_id=operator.pk,
        content_type_id=ContentType.objects.get_for_model(Task).pk,
        object_id=object_id,
        object_repr=name[:NAME_LIMIT],
        action_flag=DELETION if is_gone else CHANGE,
        change_message=text,
    )
