"""What every command of ours asks before it starts: settings, database, migrations, Redis."""

from __future__ import annotations

from collections.abc import Iterable

from django.core.management.base import CommandError
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from taskcenter.conf import redis_queues
from taskcenter.exceptions import ConfigurationError
from taskcenter.wire import UNREACHABLE, blocking_client

__all__ = ["require_database", "require_queues", "require_redis"]


def require_queues(names: Iterable[str]) -> list[str]:
    """The queues named, or all; raises CommandError on one that no setting has."""
    known = redis_queues()
    if not known:
        raise CommandError("No queue is configured. Set RQ_QUEUES, or REDIS_URL for one queue named default.")
    chosen = list(dict.fromkeys(names)) or list(known)
    unknown = [name for name in chosen if name not in known]
    if unknown:
        raise CommandError(f"There is no queue {unknown[0]!r}. RQ_QUEUES names: {', '.join(sorted(known))}.")
    return chosen


def require_database() -> None:
    """Raises CommandError when the database does not answer or lacks a migration of ours."""
    try:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan([key for key in executor.loader.graph.leaf_nodes() if key[0] == "taskcenter"])
    except DatabaseError as error:
        raise CommandError(f"The database does not answer: {str(error).strip()}") from error
    if missing:
        raise CommandError(f"The database lacks {len(missing)} migration(s). Run: manage.py migrate")


def require_redis(queue: str) -> None:
    """Raises CommandError when the Redis of that queue does not answer."""
    try:
        client = blocking_client(queue)
        client.ping()
        client.close()
    except (*UNREACHABLE, ConfigurationError) as error:
        raise CommandError(
            f"Redis does not answer for queue {queue!r}: {error}. Start it, or set REDIS_URL."
        ) from error
