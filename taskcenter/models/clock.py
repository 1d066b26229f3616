"""The clock that everybody shares is the database's; that of a host may be minutes off, or jump.

Who lives, what is due and what is lost is therefore asked and written in the database's own time. SQLite
serves one host, whose clock is the same for all: there the time is Python's, as it is under a clock that
a test holds in its hand.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

from django.db import connections
from django.db.models import DateTimeField, Expression, Value
from django.db.models.sql.compiler import SQLCompiler
from django.utils import timezone

__all__ = ["Ago", "Steps", "moment"]

by_database = True
"""False while `taskcenter.testing.clock()` holds the time."""


class Ago(Expression):
    """So many seconds ago, for a filter or an update; negative for a time to come."""

    def __init__(self, seconds: float = 0.0) -> None:
        super().__init__(output_field=DateTimeField())
        self.seconds = float(seconds)

    def as_sql(self, compiler: SQLCompiler, connection: Any) -> Any:  # noqa: ARG002 Django gives both
        at = timezone.now() - timedelta(seconds=self.seconds)
        return compiler.compile(Value(at, output_field=self.output_field))

    def as_postgresql(self, compiler: SQLCompiler, connection: Any) -> Any:
        if not by_database:
            return self.as_sql(compiler, connection)
        return "(STATEMENT_TIMESTAMP() - %s * INTERVAL '1 second')", [self.seconds]


def moment(alias: str, ago: float = 0.0) -> datetime:
    """That time as a value. It costs a question: where SQL alone needs it, `Ago` is free."""
    connection = connections[alias]
    if not by_database or connection.vendor != "postgresql":
        return timezone.now() - timedelta(seconds=ago)
    with connection.cursor() as cursor:
        cursor.execute("SELECT STATEMENT_TIMESTAMP() - %s * INTERVAL '1 second'", [float(ago)])
        at: datetime = cursor.fetchone()[0]
    return at


class Steps:
    """Whether the shared clock has been set since the last look: forward, and all heartbeats look old at once."""

    def __init__(self, tolerance: float) -> None:
        self._tolerance = tolerance
        self._offset: float | None = None

    def look(self, alias: str) -> bool:
        """Whether it went further, or less far, than time did."""
        before, self._offset = self._offset, moment(alias).timestamp() - time.monotonic()
        return before is not None and abs(self._offset - before) > self._tolerance
