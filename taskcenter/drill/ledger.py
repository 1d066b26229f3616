"""What the tasks of a drill say of themselves: an SQLite file that no plug touches.

UNIQUE counts: an attempt that begins or ends a second time is noted apart.
"""

from __future__ import annotations

import os
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

__all__ = ["VARIABLE", "Ledger", "Marks"]

VARIABLE = "TASKCENTER_DRILL_LEDGER"


@dataclass(slots=True)
class Marks:
    """All that the ledger holds."""

    begun: dict[UUID, set[int]] = field(default_factory=lambda: defaultdict(set))
    """Attempts by task."""
    ended: dict[UUID, set[int]] = field(default_factory=lambda: defaultdict(set))
    twice: list[tuple[UUID, int, str]] = field(default_factory=list)
    """Attempts that did something for the second time, and what."""
    effects: set[UUID] = field(default_factory=set)
    """Tasks whose lasting effect is there."""

    @property
    def again(self) -> int:
        """Tasks whose body came to its end more than once: at least once means that."""
        return sum(len(attempts) > 1 for attempts in self.ended.values())


class Ledger:
    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of_this_run(cls) -> Ledger:
        """The one named by the environment."""
        return cls(Path(os.environ[VARIABLE]))

    def open_anew(self) -> None:
        with self._open() as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            for table in ("begun", "ended"):
                connection.execute(f"CREATE TABLE {table} (task, attempt, pid, UNIQUE (task, attempt))")
            connection.execute("CREATE TABLE effects (task UNIQUE)")
            connection.execute("CREATE TABLE twice (task, attempt, what)")

    def begin(self, task: UUID, attempt: int) -> None:
        self._note("begun", task, attempt)

    def end(self, task: UUID, attempt: int) -> None:
        self._note("ended", task, attempt)

    def effect(self, task: UUID) -> None:
        """What the outside world would see: there once, however often it is done."""
        with self._open() as connection:
            connection.execute("INSERT OR IGNORE INTO effects VALUES (?)", (task.hex,))

    def under_way(self) -> list[tuple[UUID, int, int]]:
        """Attempts that began and have not come to their end, each with the process that runs it."""
        with self._open() as connection:
            rows = connection.execute(
                "SELECT task, attempt, pid FROM begun WHERE NOT EXISTS "
                "(SELECT 1 FROM ended WHERE ended.task = begun.task AND ended.attempt = begun.attempt)"
            )
            return [(UUID(task), attempt, pid) for task, attempt, pid in rows]

    def read(self) -> Marks:
        marks = Marks()
        with self._open() as connection:
            for task, attempt in connection.execute("SELECT task, attempt FROM begun"):
                marks.begun[UUID(task)].add(attempt)
            for task, attempt in connection.execute("SELECT task, attempt FROM ended"):
                marks.ended[UUID(task)].add(attempt)
            marks.twice = [(UUID(task), *rest) for task, *rest in connection.execute("SELECT * FROM twice")]
            marks.effects = {UUID(task) for (task,) in connection.execute("SELECT task FROM effects")}
        return marks

    def _note(self, table: str, task: UUID, attempt: int) -> None:
        with self._open() as connection:
            try:
                connection.execute(f"INSERT INTO {table} VALUES (?, ?, ?)", (task.hex, attempt, os.getpid()))  # noqa: S608 ours
            except sqlite3.IntegrityError:
                connection.execute("INSERT INTO twice VALUES (?, ?, ?)", (task.hex, attempt, table))

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        # isolation_level None: each line is in the file before the next line of the task runs.
        with closing(sqlite3.connect(self.path, timeout=30, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous=OFF")  # processes are killed here, not the machine
            yield connection
