"""Raw statements on PostgreSQL, prepared by the server: Django's own cursors bind on the client and prepare nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

__all__ = ["can_execute", "execute"]


def can_execute(connection: BaseDatabaseWrapper) -> bool:
    """Whether the connection is one to PostgreSQL by psycopg 3."""
    return connection.vendor == "postgresql" and _cursor_class() is not None


def execute(connection: BaseDatabaseWrapper, sql: str, values: Sequence[Any] | Mapping[str, Any]) -> Any:
    """Execute on Django's connection and in its transaction; psycopg's cursor. Raises Django's errors.

    Prepared, unless the settings say that the next statement may meet another server process.
    """
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    connection.validate_thread_sharing()
    connection.validate_no_broken_transaction()
    server: Any = connection.connection
    threshold = server.prepare_threshold
    with connection.wrap_database_errors:
        if not _behind_a_pooler(connection):
            server.prepare_threshold = 0  # prepare at the first use; None, Django's default, would mean never
        try:
            return _cursor_class()(server).execute(sql, values)
        finally:
            server.prepare_threshold = threshold


def _behind_a_pooler(connection: BaseDatabaseWrapper) -> bool:
    settings = connection.settings_dict
    options = settings.get("OPTIONS") or {}
    never = "prepare_threshold" in options and options["prepare_threshold"] is None
    return never or bool(settings.get("DISABLE_SERVER_SIDE_CURSORS"))


@cache
def _cursor_class() -> Any:
    """The cursor of psycopg 3 that binds on the server; None where Django uses psycopg 2."""
    try:
        from psycopg import Cursor  # noqa: PLC0415 only PostgreSQL needs it installed
    except ImportError:
        return None
    return Cursor
