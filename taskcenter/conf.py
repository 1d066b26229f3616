"""Every setting of TaskCenter: `settings.TASKCENTER`, read lazily into one frozen dataclass."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from datetime import timedelta
from functools import cache
from typing import Any, Literal

from django.conf import settings as django_settings
from django.core.signals import setting_changed
from django.dispatch import receiver

from .exceptions import ConfigurationError

__all__ = ["Settings", "get_settings", "redis_queues", "unknown_keys"]

_NUMBERS = (
    "HEARTBEAT",
    "STALE_AFTER",
    "GRACE",
    "CONCURRENCY",
    "BATCH",
    "MAX_ATTEMPTS",
    "MAX_CRASHES",
    "ARGS_LIMIT",
    "RESULT_LIMIT",
    "PROGRESS_PER_SECOND",
)
MOST_IN_A_BATCH = 64
SHORTEST_HEARTBEAT = 0.1
"""Seconds between two looks of a worker's parent: it cannot beat more often."""
_OURS = ("TASKCENTER", "REDIS_URL", "RQ_QUEUES")


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The values of `settings.TASKCENTER`; seconds unless the name or type says otherwise."""

    VISIBLE: str = "taskcenter.models.visible_to"
    """Dotted path of `(user, queryset) -> queryset`: which tasks a person may see."""
    HEARTBEAT: float = 10
    """How often a worker touches its row."""
    STALE_AFTER: float = 30
    """Silence after which a worker counts as dead and its tasks as lost."""
    GRACE: float = 25
    """How long a running task may go on after SIGTERM, or after a cancel that it does not hear."""
    CONCURRENCY: int = 1
    """Slots per worker."""
    BATCH: int = 64
    """Most short tasks a slot claims at once; 1: each task's end is committed before the next begins."""
    MAX_ATTEMPTS: int = 1
    """How many attempts of a task may fail before it is failed."""
    MAX_CRASHES: int = 3
    """How many attempts may die with their process; 0: a task is begun at most once."""
    TASK_RETENTION: timedelta | None = timedelta(days=7)
    """How long finished tasks are kept; None: for ever."""
    REPORT_RETENTION: timedelta | None = None
    """How long reports are kept; None: for ever."""
    ARGS_LIMIT: int = 64 * 1024
    """Bytes of JSON that args and kwargs may take together."""
    RESULT_LIMIT: int = 1024 * 1024
    """Bytes of JSON that a result may take."""
    PROGRESS_PER_SECOND: float = 4
    """At most so many progress writes leave one task in a second."""
    TASK_MODULES: tuple[str, ...] = ()
    """Modules with tasks beside each app's `tasks`."""
    UNKNOWN_FAILS_AFTER: timedelta = timedelta(hours=1)
    """A waiting task whose definition no worker knows is failed after so long."""
    FOREIGN_JOBS: Literal["refuse", "run"] = "refuse"
    """What to do with RQ jobs that are not our pointers."""
    MASK: tuple[str, ...] = (
        "passw",
        "pwd",
        "secret",
        "token",
        "api_key",
        "private_key",
        "authorization",
        "credential",
        "cookie",
    )
    """A value whose key has one of these words in it is never shown; case, "_" and "-" do not count."""
    extra: dict[str, Any] = field(default_factory=dict, repr=False)
    """Unknown keys, kept for the system check that names them."""


@cache
def get_settings() -> Settings:
    """The settings in force; cheap to call.

    Raises ConfigurationError when `TASKCENTER` is not a dict or a number in it is not positive.
    """
    given = getattr(django_settings, "TASKCENTER", {})
    if not isinstance(given, dict):
        raise ConfigurationError("TASKCENTER must be a dict of settings.")
    names = {item.name for item in fields(Settings)} - {"extra"}
    known = {key: value for key, value in given.items() if key in names}
    for name in {"TASK_MODULES", "MASK"} & known.keys():
        known[name] = tuple(known[name])
    return _validated(Settings(**known, extra={key: given[key] for key in given.keys() - names}))


def unknown_keys() -> list[str]:
    """Keys of `TASKCENTER` that no setting has: a typing error most often."""
    return sorted(get_settings().extra)


def redis_queues() -> dict[str, dict[str, Any]]:
    """`RQ_QUEUES`, or one queue named default on `REDIS_URL`; empty when neither is set."""
    queues = getattr(django_settings, "RQ_QUEUES", None)
    if queues is not None:
        return dict(queues)
    url = getattr(django_settings, "REDIS_URL", "")
    return {"default": {"URL": url}} if url else {}


def _validated(values: Settings) -> Settings:
    for name in _NUMBERS:
        if isinstance(getattr(values, name), bool) or not isinstance(getattr(values, name), int | float):
            raise ConfigurationError(f"TASKCENTER[{name!r}] must be a number.")
        if not math.isfinite(getattr(values, name)):
            raise ConfigurationError(f"TASKCENTER[{name!r}] must be a finite number.")
    for name in ("HEARTBEAT", "STALE_AFTER", "PROGRESS_PER_SECOND", "CONCURRENCY", "BATCH", "MAX_ATTEMPTS"):
        if getattr(values, name) <= 0:
            raise ConfigurationError(f"TASKCENTER[{name!r}] must be greater than 0.")
    if values.GRACE < 0 or values.MAX_CRASHES < 0:
        raise ConfigurationError("TASKCENTER['GRACE'] and TASKCENTER['MAX_CRASHES'] cannot be negative.")
    if values.BATCH > MOST_IN_A_BATCH:
        raise ConfigurationError(f"TASKCENTER['BATCH'] can be {MOST_IN_A_BATCH} at most.")
    if values.HEARTBEAT < SHORTEST_HEARTBEAT:
        raise ConfigurationError(f"TASKCENTER['HEARTBEAT'] must be at least {SHORTEST_HEARTBEAT} seconds.")
    if values.STALE_AFTER < 2 * values.HEARTBEAT:
        raise ConfigurationError(
            "TASKCENTER['STALE_AFTER'] must be at least twice TASKCENTER['HEARTBEAT'], "
            "or living workers are taken for dead."
        )
    if not all(isinstance(word, str) and len(word) > 1 for word in values.MASK):
        raise ConfigurationError("TASKCENTER['MASK'] must be a list of words.")
    if values.FOREIGN_JOBS not in {"refuse", "run"}:
        raise ConfigurationError("TASKCENTER['FOREIGN_JOBS'] must be 'refuse' or 'run'.")
    return values


@receiver(setting_changed)
def _forget(*, setting: str, **_: Any) -> None:
    if setting in _OURS:
        get_settings.cache_clear()
