"""The lines before the workers: how many tasks of each queue wait and run, counted to a limit by index alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connections

from taskcenter.states import LIVE

from .task import Task

__all__ = ["LIMIT", "Line", "lines", "queues_with_tasks", "written"]

LIMIT = 10_000
"""Counting stops one above it: longer lines are long."""

# A skip scan: one look into the index per queue, however many tasks each has.
_QUEUES = """
WITH RECURSIVE found(queue) AS (
  SELECT MIN(queue) FROM taskcenter_task
  UNION ALL
  SELECT (SELECT MIN(t.queue) FROM taskcenter_task t WHERE t.queue > found.queue) FROM found WHERE queue IS NOT NULL
) SELECT queue FROM found WHERE queue IS NOT NULL"""
_COUNT = "(SELECT COUNT(*) FROM (SELECT 1 FROM taskcenter_task WHERE queue = %s AND state = %s LIMIT %s) AS few)"
_FIRST = "(SELECT id FROM taskcenter_task WHERE queue = %s AND state = 'pending' ORDER BY id LIMIT 1)"
_STATES = sorted(map(str, LIVE))


@dataclass(frozen=True, slots=True)
class Line:
    """A queue's live tasks by state; each number at most one above the limit."""

    queue: str
    blocked: int = 0
    pending: int = 0
    processing: int = 0
    scheduled: int = 0
    waits_since: datetime | None = None
    """Since when its first pending task waits, as far as that row can tell."""


def written(number: int, limit: int = LIMIT) -> str:
    """1,204; 10,000+ where counting stopped."""
    return f"{limit:,}+" if number > limit else f"{number:,}"


def queues_with_tasks(alias: str = "default") -> list[str]:
    """The queues that any task names, those that settings know no more included."""
    with connections[alias].cursor() as cursor:
        cursor.execute(_QUEUES)
        return [name for (name,) in cursor.fetchall()]


def lines(queues: Iterable[str], *, limit: int = LIMIT) -> list[Line]:
    """Two queries, however many queues; in the given order."""
    names = list(queues)
    if not names:
        return []
    one = f"SELECT %s, {', '.join([_COUNT] * len(_STATES))}, {_FIRST}"
    given = [value for name in names for value in _values(name, limit)]
    with connections[Task.objects.db].cursor() as cursor:
        cursor.execute(" UNION ALL ".join([one] * len(names)), given)
        found: dict[str, tuple[Any, ...]] = {row[0]: row[1:] for row in cursor.fetchall()}
    since = _waits_since([row[-1] for row in found.values() if row[-1]])
    return [
        Line(name, waits_since=since.get(_uuid(found[name][-1])), **dict(zip(_STATES, found[name], strict=False)))
        for name in names
    ]


def _values(name: str, limit: int) -> list[str | int]:
    counted = [value for state in _STATES for value in (name, state, limit + 1)]
    return [name, *counted, name]


def _waits_since(ids: list[str | UUID]) -> dict[UUID | None, datetime]:
    """A task that comes back waits since it came back."""
    times = ("created_at", "run_after", "attempted_at")
    rows = Task.objects.filter(pk__in=[_uuid(pk) for pk in ids]).values_list("pk", *times)
    return {pk: max(filter(None, moments)) for pk, *moments in rows}


def _uuid(value: str | UUID | None) -> UUID | None:
    """SQLite keeps ids as text."""
    return UUID(value) if isinstance(value, str) else value
