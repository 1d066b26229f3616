"""The engine on SQLite: one IMMEDIATE transaction per turn; while it lasts nobody else writes."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper

from .rows import COLUMNS, Claimed, Ended, Handed, Turned, Want, in_running_order, now

__all__ = ["SQLiteEngine"]

PAUSES = 0.0002, 0.002
"""Seconds between two tries to get the lock, from and to."""

_FINISH = """
UPDATE taskcenter_task SET state = 'completed', rev = rev + 1, finished_at = ?, progress = 1.0, result = ?,
    attempted_at = max(attempted_at, ?),
    started_at = CASE WHEN started_at < attempted_at THEN started_at ELSE max(attempted_at, ?) END,
    error_type = '', error_message = '', fingerprint = ''
WHERE id = ? AND attempt = ? AND state = 'processing' RETURNING rev, owner_id"""
_FILE_REPORT = "UPDATE taskcenter_report SET is_final = 1 WHERE task_id = ? AND attempt = ?"
_TELL_OWNER = """
INSERT INTO taskcenter_notification (task_id, attempt, kind, recipient_id, channel, text, created_at)
VALUES (?, ?, 'completed', ?, 'app', ?, ?) ON CONFLICT DO NOTHING"""
_PICK = """
SELECT id, priority, interrupted > 0 OR crashes > 0 OR max_crashes = 0 FROM taskcenter_task
WHERE queue = ? AND state = 'pending' AND definition IN ({names}) ORDER BY priority DESC, id LIMIT ?"""
_TAKE = """
UPDATE taskcenter_task SET state = 'processing', rev = rev + 1, attempt = attempt + 1, worker_id = ?,
    attempted_at = ?, started_at = coalesce(started_at, ?), run_after = NULL
WHERE id IN ({ids}) RETURNING {columns}"""
_NEWER = "SELECT 1 FROM taskcenter_task WHERE id IN ({ids}) AND (created_at > ? OR run_after > ?) LIMIT 1"
"""Claimed ahead, a row is said to have been attempted a while ago: it must have been there then, and due."""
_HAND_BACK = """
UPDATE taskcenter_task SET state = 'pending', rev = rev + 1, interrupted = interrupted + 1, worker_id = NULL,
    started_at = CASE WHEN failures + crashes + interrupted = 0 THEN NULL ELSE started_at END
WHERE id = ? AND attempt = ? AND state = 'processing' AND cancel_requested_at IS NULL RETURNING rev, queue"""
_QUEUES = """
SELECT name, paused_at IS NOT NULL, max_running FROM taskcenter_queue
WHERE (paused_at IS NOT NULL OR max_running IS NOT NULL) AND name IN ({names})"""
_RUNNING = "SELECT count(*) FROM taskcenter_task WHERE queue = ? AND state = 'processing'"


class SQLiteEngine:
    """See `Engine`."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection

    def turn(self, ended: Sequence[Ended], want: Want | None) -> Turned:
        turned = Turned()
        if not ended and want is not None and not self._anything_for(want):
            return turned  # the usual answer to an idle slot, without a lock
        with self._writing() as database:
            at = now()
            moment = _text(at)
            for item in ended:
                self._finish(database, item, at, turned)
            if want is not None:
                turned.claimed = self._claim(database, want, _text(want.at) if want.at else moment)
        return turned

    def hand_back(self, held: Sequence[Claimed]) -> list[Handed]:
        handed: list[Handed] = []
        with self._writing() as database:
            for item in held:
                found = database.execute(_HAND_BACK, (item.id.hex, item.attempt)).fetchall()
                handed.extend(Handed(item.id, item.attempt, rev, queue) for rev, queue in found)
        return handed

    def _finish(self, database: Any, item: Ended, at: datetime, turned: Turned) -> None:
        key, moment = (item.claimed.id.hex, item.claimed.attempt), _text(at)
        begun = "" if item.age is None else _text(at - timedelta(seconds=item.age))
        found = database.execute(_FINISH, (moment, item.result, begun, begun, *key)).fetchall()
        for rev, owner in found:
            turned.landed[item.claimed.id] = rev
            if item.has_context:
                database.execute(_FILE_REPORT, key)
            if owner is not None:
                database.execute(_TELL_OWNER, (*key, owner, item.note, moment))

    def _anything_for(self, want: Want) -> bool:
        with self._reading() as database:
            pick = _PICK.format(names=_marks(want.definitions))
            return any(database.execute(pick, (queue, *want.definitions, 1)).fetchone() for queue in want.queues)

    def _claim(self, database: Any, want: Want, moment: str) -> list[Claimed]:
        ids = _chosen(self._candidates(database, want), want.limit)
        if not ids or (want.at and database.execute(_NEWER.format(ids=_marks(ids)), (*ids, moment, moment)).fetchone()):
            return []
        take = _TAKE.format(ids=_marks(ids), columns=", ".join(COLUMNS))
        rows = database.execute(take, (want.worker_id.hex, moment, moment, *ids)).fetchall()
        return in_running_order([_claimed(row) for row in rows])

    def _candidates(self, database: Any, want: Want) -> list[tuple[str, int, int]]:
        found: list[tuple[str, int, int]] = []
        pick = _PICK.format(names=_marks(want.definitions))
        for queue, room in self._rooms(database, want).items():
            if room > 0:
                found.extend(database.execute(pick, (queue, *want.definitions, room)).fetchall())
        found.sort(key=lambda row: (-row[1], row[0]))
        return found

    def _rooms(self, database: Any, want: Want) -> dict[str, int]:
        """How many tasks may be taken from each queue now; paused ones give none."""
        rooms = dict.fromkeys(want.queues, want.limit)
        for name, paused, limit in database.execute(_QUEUES.format(names=_marks(want.queues)), want.queues).fetchall():
            running = 0 if paused else database.execute(_RUNNING, (name,)).fetchone()[0]
            rooms[name] = 0 if paused else min(want.limit, limit - running)
        return rooms

    @contextmanager
    def _reading(self) -> Iterator[Any]:
        self.connection.ensure_connection()
        with self.connection.wrap_database_errors:
            yield cast("Any", self.connection.connection)

    @contextmanager
    def _writing(self) -> Iterator[Any]:
        """The raw connection within a transaction: the caller's, or one of its own."""
        with self._reading() as database:
            if self.connection.in_atomic_block:
                self.connection.validate_no_broken_transaction()
                yield database
                return
            self._begin(database)
            try:
                yield database
                database.execute("COMMIT")
            except BaseException:
                if database.in_transaction:
                    database.execute("ROLLBACK")
                raise

    def _begin(self, database: Any) -> None:
        """Take the lock as soon as it is free.

        SQLite's own waiting sleeps longer each time, up to 0.1 s, and so leaves one of two busy slots starving.
        """
        [patience] = database.execute("PRAGMA busy_timeout").fetchone()
        deadline = time.monotonic() + patience / 1000
        database.execute("PRAGMA busy_timeout = 0")
        try:
            while not _locked(database, is_last=time.monotonic() > deadline):
                time.sleep(random.uniform(*PAUSES))
        finally:
            database.execute(f"PRAGMA busy_timeout = {patience}")


def _locked(database: Any, *, is_last: bool) -> bool:
    try:
        database.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if is_last or error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        return False
    return True


def _chosen(candidates: list[tuple[str, int, int]], limit: int) -> list[str]:
    """The best of them, but at most one that must run alone."""
    best = candidates[:limit]
    careful = [task_id for task_id, _, alone in best if alone]
    return [task_id for task_id, _, alone in best if not alone] + careful[:1]


def _claimed(row: tuple[Any, ...]) -> Claimed:
    claimed = Claimed._make(row)
    worker = UUID(hex=cast("str", row[-1])) if row[-1] else None
    return claimed._replace(id=UUID(hex=cast("str", row[0])), worker_id=worker)


def _marks(items: Sequence[Any]) -> str:
    return ", ".join("?" * len(items))


def _text(moment: datetime) -> str:
    """A time as Django keeps it in SQLite: without a zone, in UTC, or in local time without USE_TZ."""
    return str(moment.astimezone(UTC if settings.USE_TZ else None).replace(tzinfo=None))
