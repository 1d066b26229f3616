"""Two connections that want the same row at the same moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from django.db import connection, connections, transaction

PATIENCE = 30.0


def in_a_thread(pool: ThreadPoolExecutor, function: Callable[[], Any]) -> Future[Any]:
    """Run a function on a connection of its own, which is closed after it."""

    def run() -> Any:
        try:
            return function()
        finally:
            connections.close_all()

    return pool.submit(run)


def overtaken(first: Callable[[], Any], second: Callable[[], Any]) -> tuple[Any, Any]:
    """What both return when `second` runs into `first` between its write and its commit."""
    written, go_on, begun = threading.Event(), threading.Event(), threading.Event()

    def hold_open() -> Any:
        with transaction.atomic():
            outcome = first()
            written.set()
            assert go_on.wait(PATIENCE)
        return outcome

    def run_into() -> Any:
        assert written.wait(PATIENCE)
        begun.set()
        return second()

    with ThreadPoolExecutor(2) as pool:
        one, two = in_a_thread(pool, hold_open), in_a_thread(pool, run_into)
        try:
            assert begun.wait(PATIENCE), one.exception(0)
            _wait_until_it_waits(two)
        finally:
            go_on.set()
        return one.result(PATIENCE), two.result(PATIENCE)


def at_once(count: int, function: Callable[[int], Any]) -> list[Any]:
    """What `count` threads return that start the same function at the same moment."""
    barrier = threading.Barrier(count)

    def run(number: int) -> Any:
        barrier.wait(PATIENCE)
        return function(number)

    with ThreadPoolExecutor(count) as pool:
        futures = [in_a_thread(pool, lambda n=number: run(n)) for number in range(count)]  # type: ignore[misc]
        return [future.result(PATIENCE) for future in futures]


def _wait_until_it_waits(rival: Future[Any]) -> None:
    """Until the rival is done, or PostgreSQL says that it waits for a lock.

    SQLite says nothing: there a rival that has begun finds the whole database locked.
    """
    deadline = time.monotonic() + PATIENCE
    while connection.vendor == "postgresql" and not rival.done() and not _somebody_waits():
        assert time.monotonic() < deadline, "the rival neither ended nor waited"
        time.sleep(0.01)


def _somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock' AND pid <> pg_backend_pid()"
        )
        return bool(cursor.fetchone()[0])
