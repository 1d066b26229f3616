"""Stops a long query: a thread asks the caller ten times a second and interrupts the connection.

`cancelled` is called on that thread, so it must be quick and safe there: an `Event.is_set`, an attribute.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

import duckdb

POLL_SECONDS = 0.1


@contextmanager
def interruptible(con: duckdb.DuckDBPyConnection, cancelled: Callable[[], bool]) -> Iterator[None]:
    """Inside this block, queries on `con` end with InterruptException once `cancelled()` is true."""
    done = Event()
    watcher = Thread(target=_watch, args=(con, cancelled, done), name="analysis-interrupt", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _watch(con: duckdb.DuckDBPyConnection, cancelled: Callable[[], bool], done: Event) -> None:
    while not done.wait(POLL_SECONDS):
        if cancelled():
            con.interrupt()
