"""System checks: what a deploy gets wrong, said before the first task is lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections
from django.utils.module_loading import import_string

from .conf import get_settings, redis_queues, unknown_keys
from .definitions import backend_alias, find, known_names
from .exceptions import ConfigurationError
from .rq_pages import unguarded

__all__ = ["check_rq_pages", "check_taskcenter"]

SHOWN = 3
"""Addresses that a warning names."""


@register(Tags.compatibility)
def check_taskcenter(**_: Any) -> list[CheckMessage]:
    """All checks of this app."""
    try:
        get_settings()
    except ConfigurationError as error:
        return [Error(str(error), id="taskcenter.E001")]
    return [*_check_settings(), *_check_apps(), *_check_queues(), *_check_backend(), *_check_databases()]


def _check_settings() -> Iterator[CheckMessage]:
    for key in unknown_keys():
        text = f"TASKCENTER has no setting named {key!r}."
        yield checks.Warning(text, hint="See docs/reference.md.", id="taskcenter.W001")
    visible = get_settings().VISIBLE
    if isinstance(visible, str):
        try:
            import_string(visible)
        except ImportError as error:
            yield Error(f"TASKCENTER['VISIBLE'] cannot be imported: {error}", id="taskcenter.E002")


def _check_apps() -> Iterator[CheckMessage]:
    order = [config.name for config in apps.get_app_configs()]
    if "django_rq" not in order:
        yield Error("Add 'django_rq' to INSTALLED_APPS, after 'taskcenter'.", id="taskcenter.E003")
    elif order.index("taskcenter") > order.index("django_rq"):
        yield Error(
            "'taskcenter' must stand before 'django_rq' in INSTALLED_APPS.",
            hint="Otherwise `manage.py rqworker` is django-rq's, which cannot recover tasks.",
            id="taskcenter.E004",
        )


def _check_queues() -> Iterator[CheckMessage]:
    if not redis_queues():
        yield Error("Set RQ_QUEUES, or REDIS_URL for one queue named default.", id="taskcenter.E005")
        return
    if getattr(settings, "RQ_QUEUES", None) is None:
        yield checks.Warning(
            "RQ_QUEUES is not set; TaskCenter uses REDIS_URL, but django-rq's own pages and commands need it.",
            hint='RQ_QUEUES = {"default": {"URL": REDIS_URL}}',
            id="taskcenter.W002",
        )
    for name in known_names():
        queue = find(name).queue_name
        if queue not in redis_queues():
            yield Error(f"Task {name} names queue {queue!r}, which RQ_QUEUES does not have.", id="taskcenter.E006")


def _check_backend() -> Iterator[CheckMessage]:
    try:
        backend_alias()
    except (ConfigurationError, ImportError) as error:
        yield Error(str(error), id="taskcenter.E007")


def _check_databases() -> Iterator[CheckMessage]:
    connection = connections["default"]
    if connection.vendor not in {"sqlite", "postgresql"}:
        yield Error(
            f"TaskCenter runs on PostgreSQL and SQLite, not on {connection.vendor}.",
            hint="Its claims rely on SKIP LOCKED or on IMMEDIATE transactions, tested on these two.",
            id="taskcenter.E008",
        )
    if connection.vendor == "sqlite":
        options = connection.settings_dict.get("OPTIONS", {})
        if str(options.get("transaction_mode", "")).upper() != "IMMEDIATE":
            yield checks.Warning(
                "SQLite without IMMEDIATE transactions lets two workers look at one task at once.",
                hint='DATABASES["default"]["OPTIONS"] = {"transaction_mode": "IMMEDIATE", "timeout": 20}',
                id="taskcenter.W003",
            )


@register(Tags.urls)
def check_rq_pages(**_: Any) -> list[CheckMessage]:
    """Only with the addresses of a site that has any; a worker needs none."""
    if not getattr(settings, "ROOT_URLCONF", None) or not apps.is_installed("django_rq"):
        return []
    bare = unguarded()
    if not bare:
        return []
    shown = ", ".join(f"/{address}" for address in bare[:SHOWN]) + (
        f" and {len(bare) - SHOWN} more" if bare[SHOWN:] else ""
    )
    return [
        checks.Warning(
            f"Any staff user may empty queues and delete jobs on django-rq's pages: {shown}.",
            hint='Use include("taskcenter.urls_rq") in the place of include("django_rq.urls"); see docs/operations.md.',
            id="taskcenter.W004",
        )
    ]
