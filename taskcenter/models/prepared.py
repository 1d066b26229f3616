"""Raw statements on PostgreSQL, prepared by the server: Django's own cursors bind on the client and prepare nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import count
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

__all__ = ["can_execute", "execute", "execute_alone", "fetch_alone", "loader_of"]


def can_execute(connection: BaseDatabaseWrapper) -> bool:
    """Whether the connection is one to PostgreSQL by psycopg 3."""
    return connection.vendor == "postgresql" and _cursor_class() is not None


def execute(connection: BaseDatabaseWrapper, sql: str, values: Sequence[Any] | Mapping[str, Any]) -> Any:
    """Execute on Django's connection and in its transaction; psycopg's cursor. Raises Django's errors.

    Prepared, unless the settings say that the next statement may meet another server process.
    """
    server = _usable(connection)
    threshold = server.prepare_threshold
    with connection.wrap_database_errors:
        if not _behind_a_pooler(connection):
            server.prepare_threshold = 0  # prepare at the first use; None, Django's default, would mean never
        try:
            return _cursor_class()(server).execute(sql, values)
        finally:
            server.prepare_threshold = threshold


def execute_alone(connection: BaseDatabaseWrapper, sql: str, values: Sequence[str | None]) -> int | None:
    """Execute a statement that returns no rows, in a transaction of its own; how many rows it wrote.

    None, and nothing was written, when that cannot be done here or the server refused it: execute() says why. None
    too when the answer was lost with the connection: then execute() raises, and writes nothing a second time.
    Straight through libpq with texts as parameters ($1, …), whose types are those of the columns they
    are for: adapting seventeen values costs psycopg as much time as the server needs for the row.
    """
    answer = _execute_alone(_usable(connection), connection, sql, values)
    return int(answer.command_tuples or 0) if answer is not None and answer.status == _COMMAND_OK else None


def fetch_alone(
    connection: BaseDatabaseWrapper, loader: Any, sql: str, values: Mapping[str, Any]
) -> list[tuple[Any, ...]] | None:
    """The same for a statement with named parameters, each cast to its type, that returns rows: those rows.

    `loader` is what `loader_of()` made for this very session.
    """
    text, names = _numbered(sql)
    texts = [None if (value := values[name]) is None else str(value) for name in names]
    server = _usable(connection)
    answer = _execute_alone(server, connection, text, texts)
    if answer is None or answer.status != _TUPLES_OK:
        return None
    loader.set_pgresult(answer)
    return list(loader.load_rows(0, answer.ntuples, tuple))


def loader_of(server: Any) -> Any:
    """What turns the server's answers into Python's types: psycopg's own, for one session."""
    from psycopg.adapt import Transformer  # noqa: PLC0415 only PostgreSQL needs it installed

    return Transformer(server)


_COMMAND_OK, _TUPLES_OK = 1, 2
"""PGRES_COMMAND_OK and PGRES_TUPLES_OK of libpq."""
_ANSWERED = {_COMMAND_OK, _TUPLES_OK}
_numbers = count(1)


def _execute_alone(server: Any, connection: BaseDatabaseWrapper, sql: str, values: Sequence[str | None]) -> Any:
    """The answer as libpq gives it; None when it cannot be done this way, or was refused."""
    registry = getattr(getattr(server, "_prepared", None), "_names", None)
    if registry is None or not server.autocommit or server.pgconn.transaction_status or _behind_a_pooler(connection):
        return None
    parameters = [None if value is None else value.encode() for value in values]
    if any(value is not None and b"\x00" in value for value in parameters):
        return None  # libpq would cut it off there
    with connection.wrap_database_errors:  # there may be no connection at all any more
        answer = server.pgconn.exec_prepared(_name_of(sql, server, registry), parameters)
    if answer.status in _ANSWERED:
        return answer
    registry.pop(_key(sql), None)  # somebody may have said DISCARD ALL
    return None


def _name_of(sql: str, server: Any, registry: dict[Any, bytes]) -> bytes:
    """The statement's name on the server, kept among those of psycopg, which deallocates all of them at a rollback."""
    name = registry.get(_key(sql))
    if name is None:
        name = registry[_key(sql)] = b"taskcenter_%d" % next(_numbers)
        server.pgconn.prepare(name, sql.encode())
    return name


@cache
def _key(sql: str) -> tuple[bytes, tuple[int, ...]]:
    return sql.encode(), ()


@cache
def _numbered(sql: str) -> tuple[str, tuple[str, ...]]:
    """A statement with parameters by number, as libpq wants it, and the names of these in their order."""
    names = tuple(dict.fromkeys(_NAME.findall(sql)))
    return _NAME.sub(lambda mark: f"${names.index(mark[1]) + 1}", sql), names


_NAME = re.compile(r"%\((\w+)\)s")


def _usable(connection: BaseDatabaseWrapper) -> Any:
    """psycopg's connection, open and this thread's own. Raises Django's errors."""
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    connection.validate_thread_sharing()
    connection.validate_no_broken_transaction()
    return connection.connection


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
