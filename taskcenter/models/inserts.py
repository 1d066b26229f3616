"""How new tasks are written: raw INSERT statements, and one way through the ORM as their reference.

Enqueueing is what a request waits for. On PostgreSQL the ORM takes twice as long for one row as a
prepared statement does, and eight times as long for many as INSERT .. SELECT; so the statements
are raw, on Django's own connection, in the caller's transaction. They are made from the model's
fields, so that a new column starts at its default here too.

    PostgreSQL      a prepared INSERT, outside of transactions straight through libpq; behind a
                    transaction pooler the same, not prepared
    SQLite          the same INSERT through Django's cursor
    anything else   the ORM

No way sends `pre_save` or `post_save`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cache
from itertools import count
from typing import Any
from uuid import UUID

from django.db import connections, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from taskcenter.states import LIVE

from . import prepared
from .task import Task

__all__ = ["CHUNK", "Draft", "insert", "insert_many", "row_of"]

CHUNK = 1000
"""Rows of one statement: more bring nothing, and each statement's texts are held in memory twice."""

Draft = dict[str, Any]
"""What an enqueue decides: a value for each column of `GIVEN`, and JSON as text."""

GIVEN = (
    "id",
    "definition",
    "queue",
    "priority",
    "state",
    "max_attempts",
    "max_crashes",
    "timeout",
    "run_after",
    "created_at",
    "args",
    "kwargs",
    "metadata",
    "title",
    "tags",
    "owner_id",
    "unique_key",
)
"""The columns that an enqueue decides; the others are constants of the statement: the model's defaults."""

_LIVE = ", ".join(f"'{state}'" for state in sorted(LIVE))
_ONE_LIVE = f" ON CONFLICT (unique_key) WHERE state IN ({_LIVE}) AND unique_key IS NOT NULL DO NOTHING"
"""The partial unique index `taskcenter_task_one_live_key`, as PostgreSQL and SQLite want to be told which it is."""


def insert(alias: str, draft: Draft) -> bool:
    """Write one task; False when a live one holds its unique key, and nothing was written."""
    connection = connections[alias]
    if _is_plain(connection):
        return _insert_by_orm(alias, draft)
    unique = draft["unique_key"] is not None
    if not unique and _insert_alone(connection, draft):
        return True
    return bool(_execute(connection, _insert_sql(unique=unique), _values(connection, draft)))


def insert_many(alias: str, draft: Draft, ids: Sequence[UUID], kwargs: Sequence[str]) -> None:
    """Write a task for each id and its `kwargs` (JSON texts), otherwise all alike; in the caller's transaction."""
    connection = connections[alias]
    if _is_plain(connection):
        rows = ({**draft, "id": task_id, "kwargs": text} for task_id, text in zip(ids, kwargs, strict=True))
        Task.objects.using(alias).bulk_create((row_of(alias, row) for row in rows), batch_size=CHUNK)
        return
    write = _insert_chunk if connection.vendor == "postgresql" else _insert_each
    for start in range(0, len(ids), CHUNK):
        write(connection, draft, ids[start : start + CHUNK], kwargs[start : start + CHUNK])


def row_of(alias: str, draft: Draft) -> Task:
    """The task as it would be read back, without reading it."""
    values = {**_defaults(), **draft}
    for name in _json_columns():
        if values[name] is not None:
            values[name] = _parsed(values[name])
    return Task.from_db(alias, list(values), list(values.values()))


def _parsed(text: str) -> Any:
    """Most of a task's JSON is empty, and reading that costs as much as reading the rest."""
    return _EMPTY[text]() if text in _EMPTY else json.loads(text)


def _is_plain(connection: BaseDatabaseWrapper) -> bool:
    """Whether the ORM must do it: a database or a driver that we have no statements for."""
    return connection.vendor != "sqlite" and not prepared.can_execute(connection)


def _insert_by_orm(alias: str, draft: Draft) -> bool:
    """The reference. Django cannot say how many rows it wrote where conflicts are ignored, so look."""
    rows = Task.objects.using(alias)
    unique = draft["unique_key"] is not None
    with transaction.mark_for_rollback_on_error(alias):  # which Django 6.1 leaves out for a single row
        rows.bulk_create([row_of(alias, draft)], ignore_conflicts=unique)
    return not unique or rows.filter(id=draft["id"]).exists()


def _insert_alone(connection: BaseDatabaseWrapper, draft: Draft) -> bool:
    """The quickest way, for what most enqueues are; False when it is closed, and nothing was written.

    Not for unique keys: one may have to wait for another transaction, and libpq does not let itself be interrupted.
    """
    if connection.vendor != "postgresql" or connection.in_atomic_block or _is_watched(connection):
        return False
    texts = [value if value is None or isinstance(value, str) else str(value) for value in map(draft.get, GIVEN)]
    return prepared.execute_alone(connection, _insert_alone_sql(), texts) == 1


def _is_watched(connection: BaseDatabaseWrapper) -> bool:
    """Whether somebody listens to what Django's cursors execute."""
    return bool(connection.execute_wrappers) or connection.queries_logged


def _insert_chunk(connection: BaseDatabaseWrapper, draft: Draft, ids: Sequence[UUID], kwargs: Sequence[str]) -> None:
    """PostgreSQL: the ids as one array and the arguments as one JSON text, which it takes apart itself."""
    shared = [draft[name] for name in GIVEN if name not in _OF_EACH]
    array = "{" + ",".join([task_id.hex for task_id in ids]) + "}"
    _execute(connection, _insert_many_sql(), [*shared, array, "[" + ",".join(kwargs) + "]"])


def _insert_each(connection: BaseDatabaseWrapper, draft: Draft, ids: Sequence[UUID], kwargs: Sequence[str]) -> None:
    """SQLite: one statement, executed for each row; nothing travels."""
    values = _values(connection, {**draft, "id": ids[0], "kwargs": kwargs[0]})
    at_id, at_kwargs = GIVEN.index("id"), GIVEN.index("kwargs")
    rows = []
    for task_id, text in zip(ids, kwargs, strict=True):
        values[at_id], values[at_kwargs] = task_id.hex, _as_stored(text)
        rows.append(tuple(values))
    with transaction.mark_for_rollback_on_error(connection.alias), connection.cursor() as cursor:
        cursor.executemany(_insert_sql(unique=False), rows)


def _values(connection: BaseDatabaseWrapper, draft: Draft) -> list[Any]:
    """The draft as parameters, in the order of GIVEN; psycopg adapts Python's types by itself."""
    if connection.vendor == "postgresql":
        return [draft[name] for name in GIVEN]
    return [_adapted(connection, name, draft[name]) for name in GIVEN]


def _adapted(connection: BaseDatabaseWrapper, name: str, value: Any) -> Any:
    return _as_stored(value) if name in _json_columns() else _fields()[name].get_db_prep_save(value, connection)


def _as_stored(text: str) -> str:
    """JSON as Django writes it where it is kept as text, and where exact lookups compare text."""
    return text if text.isascii() else json.dumps(json.loads(text))


def _execute(connection: BaseDatabaseWrapper, sql: str, values: Sequence[Any]) -> int:
    """Run a statement on Django's connection, prepared where that is possible; how many rows it wrote.

    Django's own cursor binds on the client, and so prepares nothing. It is used all the same where
    somebody listens to what it executes.
    """
    with transaction.mark_for_rollback_on_error(connection.alias):
        if connection.vendor == "sqlite" or _is_watched(connection):
            with connection.cursor() as cursor:
                cursor.execute(sql, values)
                return int(cursor.rowcount)
        return int(prepared.execute(connection, sql, values).rowcount)


# The statements, made once from the model's fields.

_META = Task._meta  # noqa: SLF001 Django documents it
_EMPTY: dict[str, type] = {"{}": dict, "[]": list}
_OF_EACH = ("id", "kwargs")
"""What differs among many tasks enqueued at once."""


@cache
def _fields() -> dict[str, models.Field]:
    return {field.attname: field for field in _META.concrete_fields}


@cache
def _json_columns() -> frozenset[str]:
    return frozenset(name for name, field in _fields().items() if isinstance(field, models.JSONField))


@cache
def _defaults() -> Draft:
    """How a task starts out in each column, JSON as text; in the order of the model's fields."""
    start = {name: None if name in GIVEN else field.get_default() for name, field in _fields().items()}
    return {
        name: json.dumps(value) if name in _json_columns() and value is not None else value
        for name, value in start.items()
    }


@cache
def _insert_sql(*, unique: bool) -> str:
    """One row. Constants are literals: each parameter costs its adaptation at every call."""
    values = ", ".join("%s" if name in GIVEN else _literal(_defaults()[name]) for name in _in_order())
    return f"{_into()} VALUES ({values}){_ONE_LIVE if unique else ''}"


@cache
def _insert_alone_sql() -> str:
    """The same as libpq wants it: parameters by number, and nothing escaped."""
    numbers = count(1)
    sql = _insert_sql(unique=False)
    return re.sub("%[s%]", lambda mark: f"${next(numbers)}" if mark[0] == "%s" else "%", sql)


@cache
def _insert_many_sql() -> str:
    """PostgreSQL: one statement for a thousand rows, so that its plan and its checks are made ready once."""
    columns = ", ".join(_in_each_row(name) for name in _in_order())
    each = "ROWS FROM (unnest(%s::uuid[]), jsonb_array_elements(%s::jsonb)) AS each(id, kwargs)"
    return f"{_into()} SELECT {columns} FROM {each}"  # noqa: S608 the model's own names


def _in_each_row(name: str) -> str:
    """A column of the SELECT; a parameter needs its type there, since no column lends it one."""
    if name in _OF_EACH:
        return f"each.{name}"
    if name not in GIVEN:
        return _literal(_defaults()[name])
    # Without a length: a cast would cut a text that is too long, where the column refuses it.
    kind = str(_fields()[name].db_type(connections[Task.objects.db])).partition("(")[0]
    return f"%s::{kind}"


def _into() -> str:
    quoted = ", ".join(f'"{_fields()[name].column}"' for name in _in_order())
    return f'INSERT INTO "{_META.db_table}" ({quoted})'


def _in_order() -> list[str]:
    """The columns: those of GIVEN first and in its order, so that parameters follow it."""
    return [*GIVEN, *(name for name in _fields() if name not in GIVEN)]


def _literal(value: str | float | None) -> str:
    """A default as SQL; ours are plain words, numbers and empty JSON."""
    if value is None:
        return "NULL"
    return "'" + value.replace("'", "''").replace("%", "%%") + "'" if isinstance(value, str) else str(value)
