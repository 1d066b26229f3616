"""The engine's statements: finish what has ended and claim what is best, in one go.

    postgres.py    one prepared statement, one round trip, one commit
    sqlite.py      one IMMEDIATE transaction
    reference.py   the same in the ORM: what the others are tested against, and for other drivers

The same questions, the same answers: one suite of tests runs over all three. Raw, because the ORM costs
four times as much here; only `lifecycle` calls them, and each write is fenced by the attempt.
"""

from __future__ import annotations

from django.db import connections, router
from django.db.backends.base.base import BaseDatabaseWrapper

from taskcenter.models import prepared
from taskcenter.models.task import Task

from .postgres import PostgresEngine
from .reference import ReferenceEngine
from .rows import Claimed, Ended, Engine, Handed, Turned, Want, as_datetime
from .sqlite import SQLiteEngine

__all__ = [
    "Claimed",
    "Ended",
    "Engine",
    "Handed",
    "Turned",
    "Want",
    "as_datetime",
    "engine_of",
    "own_connection",
    "task_alias",
]


def task_alias() -> str:
    """The database that tasks live in."""
    return router.db_for_write(Task)


def own_connection() -> BaseDatabaseWrapper:
    """A new connection to the tasks' database that no task's code can reach or leave in disorder.

    Two threads may use it, if they take turns.
    """
    connection = connections.create_connection(task_alias())
    connection.inc_thread_sharing()
    return connection


def engine_of(connection: BaseDatabaseWrapper, *, is_own: bool = False) -> Engine:
    """The engine that fits the connection's database and driver.

    `is_own`: nobody else uses the connection, so that the engine may set its session as it likes.
    """
    if connection.vendor == "sqlite":
        return SQLiteEngine(connection)
    if prepared.can_execute(connection):
        return PostgresEngine(connection, is_own=is_own)
    return ReferenceEngine(connection)
