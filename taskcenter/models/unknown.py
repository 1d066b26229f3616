"""Waiting tasks whose definition no worker may know: what the sweep asks."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db import connections
from django.db.models import Exists, OuterRef, Q

from .event import TaskEvent
from .task import Task, TaskQuerySet

__all__ = ["unheard_since", "waiting_definitions"]

# Raw, because the ORM cannot jump from name to name: one look into the index (definition, state, id)
# per definition that has any task, however many tasks there are. DISTINCT would read every entry.
_WAITING = """
    WITH RECURSIVE names(name) AS (
        SELECT min(definition) FROM {table}
        UNION ALL
        SELECT (SELECT min(definition) FROM {table} WHERE definition > names.name) FROM names WHERE name IS NOT NULL
    )
    SELECT name FROM names
    WHERE EXISTS (SELECT 1 FROM {table} WHERE definition = names.name AND state = 'pending')
"""


def waiting_definitions() -> list[str]:
    """The dotted names of all definitions that have pending tasks."""
    with connections[Task.objects.db].cursor() as cursor:
        cursor.execute(_WAITING.format(table=Task._meta.db_table))  # noqa: SLF001 Django documents it
        return [name for (name,) in cursor.fetchall()]


def unheard_since(moment: datetime, definition: str, queues: Iterable[str]) -> TaskQuerySet:
    """Pending tasks of that definition on these queues to which nothing has happened since then, oldest first."""
    news = TaskEvent.objects.filter(task=OuterRef("pk"), at__gt=moment)
    return (
        Task.objects.pending()
        .filter(definition=definition, queue__in=list(queues), created_at__lte=moment)
        .filter(Q(run_after=None) | Q(run_after__lte=moment), Q(attempted_at=None) | Q(attempted_at__lte=moment))
        .exclude(Exists(news))
        .order_by("id")
    )
