"""Many rows in one statement: they travel as one JSON text, which both databases can read as a table.

The ORM would write SQLite's by the hundred, and give each row of an UPDATE a CASE of its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast
from uuid import UUID

from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper

__all__ = ["Given", "execute", "given"]

Given = tuple[models.Field, Any]
"""A value, and the field it is meant for."""


def execute(
    alias: str, sql: str, columns: Mapping[str, str], rows: Sequence[Mapping[str, Any]], **values: Given
) -> list[tuple[Any, ...]]:
    """Execute a statement that reads `rows` as the table d in place of `{rows}`; what it returns.

    `columns` are their names and PostgreSQL types. In place of each other name in braces, which must stand
    before `{rows}` and in this order, comes a value that is given with the field it is meant for.
    """
    connection = connections[alias]
    if connection.vendor == "postgresql":
        typed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        table = f"jsonb_to_recordset(%s::jsonb) AS d({typed})"
    else:
        picked = ", ".join(f"json_extract(value, '$.{name}') AS {name}" for name in columns)
        table = f"(SELECT {picked} FROM json_each(%s)) AS d"  # noqa: S608 names of our own columns
    text = json.dumps([_plain(row) for row in rows])
    marks = {name: _mark(connection, field) for name, (field, _) in values.items()}
    prepared = [field.get_db_prep_value(value, connection) for field, value in values.values()]
    with connection.cursor() as cursor:
        cursor.execute(sql.format(rows=table, **marks), [*prepared, text])
        return list(cursor.fetchall()) if cursor.description else []


def given(model: type[models.Model], name: str, value: Any) -> Given:
    """A value for that field of the model."""
    return cast("models.Field", model._meta.get_field(name)), value  # noqa: SLF001 Django documents it


def _mark(connection: BaseDatabaseWrapper, field: models.Field) -> str:
    """A mark for a value. PostgreSQL wants to know its type; SQLite would take CAST for an order to convert."""
    return f"CAST(%s AS {field.db_type(connection)})" if connection.vendor == "postgresql" else "%s"


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.hex if isinstance(value, UUID) else value for name, value in row.items()}
