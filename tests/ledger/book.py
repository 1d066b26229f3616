"""The ledger: which attempts really began and really came to their end.

A SQLite file of its own, named by LEDGER_PATH: neither the database nor the Redis that a test breaks.
A UNIQUE constraint does the counting: an attempt that begins twice is refused, and its task then fails.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

__all__ = ["Book", "book"]

VARIABLE = "LEDGER_PATH"


class Book:
    def __init__(self, path: Path) -> None:
        self.path = path
        with self._open() as connection:
            for table in ("begun", "ended"):
                connection.execute(f"CREATE TABLE IF NOT EXISTS {table} (task, attempt, pid, UNIQUE (task, attempt))")

    def begin(self, task: object, attempt: int) -> None:
        """Note that an attempt's body began; raises IntegrityError on the second time."""
        self._note("begun", task, attempt)

    def end(self, task: object, attempt: int) -> None:
        """Note that an attempt's body came to its last line."""
        self._note("ended", task, attempt)

    def begun(self, task: object) -> list[int]:
        """The attempts of a task that began, in order."""
        return self._attempts("begun", task)

    def ended(self, task: object) -> list[int]:
        """The attempts of a task that came to their last line, in order."""
        return self._attempts("ended", task)

    # Gates: a held task waits until the test opens the gate of its attempt.

    def open_gate(self, attempt: int) -> None:
        self._gate(attempt).touch()

    def gate_is_open(self, attempt: int) -> bool:
        return self._gate(attempt).exists()

    def _gate(self, attempt: int) -> Path:
        return self.path.with_name(f"gate-{attempt}")

    def _note(self, table: str, task: object, attempt: int) -> None:
        with self._open() as connection:
            connection.execute(f"INSERT INTO {table} VALUES (?, ?, ?)", (str(task), attempt, os.getpid()))  # noqa: S608 ours

    def _attempts(self, table: str, task: object) -> list[int]:
        query = f"SELECT attempt FROM {table} WHERE task = ? ORDER BY attempt"  # noqa: S608 ours
        with self._open() as connection:
            return [row[0] for row in connection.execute(query, (str(task),))]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        # isolation_level None: the kernel has each insert before the next line of the task runs. It need not be on
        # the disk: only processes are killed here, and short tasks shall be short on slow disks too.
        with closing(sqlite3.connect(self.path, timeout=30, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = OFF")
            yield connection


def book() -> Book:
    """The ledger of this run."""
    return Book(Path(os.environ[VARIABLE]))
