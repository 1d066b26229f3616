"""What a PostgreSQL can be made to do to those who use it, and what they may say of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from django.db import connection

needs_postgres = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="SQLite is a file: no server, no connections to lose, no such errors"
)

AWAY = "The database does not answer, trying again"
BACK = "The database answers again"
PARENT_AWAY = "The database does not answer the worker's parent"
END_AWAY = "The ending of a task could not be written"
PARENT_BACK = "The database answers the worker's parent again"


def ask(sql: str) -> int:
    """Run one statement on the test's own connection; the number it answers."""
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return int(cursor.fetchone()[0])


def reap() -> int:
    """End every connection to the test database but our own; how many there were."""
    return ask(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )


@contextmanager
def refusing(event: str, when: str, sqlstate: str, *, times: int) -> Iterator[Callable[[], int]]:
    """The first `times` rows of this event are refused with that SQLSTATE; how many rows there were.

    A sequence counts, because it is the one thing that a rollback leaves as it is.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"""
            CREATE SEQUENCE plug;
            CREATE FUNCTION plug() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF nextval('plug') <= {times} THEN
                    RAISE EXCEPTION 'the plug is pulled' USING ERRCODE = '{sqlstate}';
                END IF;
                RETURN NEW;
            END $$;
            CREATE TRIGGER plug BEFORE {event} FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION plug();
        """)
    try:
        yield lambda: ask("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM plug")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION plug CASCADE; DROP SEQUENCE plug")


def assert_one_line_per_change(output: str, away: str = AWAY, back: str = BACK) -> None:
    """Away, back, away, back: nothing is said twice in a row."""
    told = re.findall(f"{re.escape(away)}|{re.escape(back)}", output)
    assert told == ([away, back] * len(told))[: len(told)], output
