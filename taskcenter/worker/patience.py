"""The parent's connections to the database: none of them waits for long.

A server that hangs, or a row that somebody has locked, must not keep the parent from killing a task past
its deadline. Slots are forked from the parent and take up the settings as they are written: their statements
may take as long as they like, but a host that is gone is not waited for.
"""

from __future__ import annotations

import logging
from typing import Any

from django.db import OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

__all__ = ["PATIENCE", "be_impatient", "be_patient_again", "heed_silence", "impatient"]

logger = logging.getLogger("taskcenter")

PATIENCE = 5
"""Seconds that one statement, or one try to connect, may take."""
LOCK_PATIENCE = 2
"""Seconds to wait for a row that somebody else has locked (PostgreSQL)."""

HEED: dict[str, Any] = {
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
"""Of libpq: after a minute without a sign of life from the other host, the connection is lost (PostgreSQL)."""


def be_impatient() -> None:
    """From here on this process gives up soon. Raises nothing: an outage shows at the first statement."""
    for alias in connections:
        connection = connections[alias]
        _close(connection)
        connections[alias] = type(connection)(impatient(connection.settings_dict), alias)
        if connection.vendor == "postgresql" and _refuses_options(connections[alias]):
            logger.warning("A pooler refuses statement_timeout for the worker's parent; only its connection is timed")
            connections[alias] = type(connection)(impatient(connection.settings_dict, options=False), alias)


def be_patient_again() -> None:
    """Undo it: in a slot, or when the worker has ended. What is open must have been closed before."""
    for connection in connections.all(initialized_only=True):
        del connections[connection.alias]


def heed_silence() -> None:
    """In a slot: a server whose host lost its power or its network says nothing, and by default a statement
    waits for it for two hours, its task processing on a worker that lives. What the site has set is kept.
    """
    for alias in connections:
        settings = connections.settings[alias]
        if settings["ENGINE"].endswith("postgresql"):
            settings["OPTIONS"] = {**HEED, **settings.get("OPTIONS", {})}


def impatient(settings: dict[str, Any], *, options: bool = True) -> dict[str, Any]:
    """A copy of one entry of DATABASES, with limits to every wait.

    Without `options` nothing is set in the session: poolers refuse what would outlive their clients.
    """
    given = settings.get("OPTIONS", {})
    ours: dict[str, Any] = {}
    if settings["ENGINE"].endswith("sqlite3"):
        ours = {"timeout": min(given.get("timeout", PATIENCE), PATIENCE)}
    elif settings["ENGINE"].endswith("postgresql"):
        given = {key: value for key, value in given.items() if key != "pool"}  # its threads would not survive a fork
        ours = {
            "connect_timeout": PATIENCE,
            "tcp_user_timeout": PATIENCE * 1000,
            "keepalives": 1,
            "keepalives_idle": PATIENCE,
            "keepalives_interval": 1,
            "keepalives_count": 3,
        }
        if options:
            limits = f"-c statement_timeout={PATIENCE * 1000} -c lock_timeout={LOCK_PATIENCE * 1000}"
            ours["options"] = f"{given.get('options', '')} {limits}".strip()
    return {**settings, "OPTIONS": {**given, **ours}}


def _close(connection: BaseDatabaseWrapper) -> None:
    connection.close()
    close_pool = getattr(connection, "close_pool", None)
    if close_pool is not None:
        close_pool()


def _refuses_options(connection: BaseDatabaseWrapper) -> bool:
    try:
        with connection.wrap_database_errors:
            connection.connect()
    except OperationalError as error:
        return "startup parameter" in str(error)
    return False
