"""The engine on PostgreSQL: one prepared statement, one round trip, one commit.

Three traps are kept in mind. `pick` is MATERIALIZED, or LIMIT with SKIP LOCKED may be evaluated again.
Django's cursors never prepare, so statements go through `models.prepared`. Lists travel as one text each,
cast by the server: dumping Python lists costs more than the whole statement.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from taskcenter.models import clock, prepared

from .rows import EXTRA, Claimed, Ended, Handed, Turned, Want, in_running_order, now

__all__ = ["PostgresEngine"]

_COLUMNS = """
    t.id, t.attempt, t.rev, t.definition, t.queue, t.priority, t.failures, t.crashes, t.interrupted,
    t.max_attempts, t.max_crashes, t.timeout, extract(epoch FROM t.created_at)::float8,
    extract(epoch FROM t.started_at)::float8, extract(epoch FROM t.attempted_at)::float8,
    t.args::text, t.kwargs::text, t.metadata::text, t.tags::text, t.title, t.owner_id, t.worker_id"""
_WIDTH = len(Claimed._fields)
_CLAIMED, _LANDED, _LIMITED = 0, 1, 2
_NOW = "coalesce(%(now)s::timestamptz, statement_timestamp())"
"""The server's own time, which all workers share; one is given only while a test holds the clock."""

# A row is claimed a little before it begins, in a batch or ahead: the end says when that was.
_BEGUN = """
        attempted_at = greatest(t.attempted_at, {now} - make_interval(secs => {age})),
        started_at = CASE WHEN t.started_at < t.attempted_at THEN t.started_at
            ELSE greatest(t.attempted_at, {now} - make_interval(secs => {age})) END,"""
_FINISH_ONE = """
fin AS (
    UPDATE taskcenter_task t SET state = 'completed', rev = t.rev + 1, finished_at = {now},
        progress = 1, result = %(result)s::jsonb, {begun}
        error_type = '', error_message = '', fingerprint = ''
    WHERE t.id = %(id)s::uuid AND t.attempt = %(attempt)s::int4 AND t.state = 'processing'
    RETURNING t.id, t.attempt, t.rev, t.owner_id, %(note)s::text AS note)"""
_FINISH_MANY = """
sent AS MATERIALIZED (
    SELECT * FROM unnest(%(ids)s::uuid[], %(attempts)s::int4[], %(results)s::text[], %(notes)s::text[],
        %(ages)s::float8[]) AS d(id, attempt, result, note, age)),
fin AS (
    UPDATE taskcenter_task t SET state = 'completed', rev = t.rev + 1, finished_at = {now},
        progress = 1, result = sent.result::jsonb, {begun}
        error_type = '', error_message = '', fingerprint = ''
    FROM sent WHERE t.id = sent.id AND t.attempt = sent.attempt AND t.state = 'processing'
    RETURNING t.id, t.attempt, t.rev, t.owner_id, sent.note)"""
_FILE_REPORTS = """,
filed AS (
    UPDATE taskcenter_report r SET is_final = true FROM fin WHERE r.task_id = fin.id AND r.attempt = fin.attempt)"""
_TELL_OWNERS = """,
told AS (
    INSERT INTO taskcenter_notification (task_id, attempt, kind, recipient_id, channel, text, created_at)
    SELECT fin.id, fin.attempt, 'completed', fin.owner_id, 'app', fin.note, {now}
    FROM fin WHERE fin.owner_id IS NOT NULL ON CONFLICT DO NOTHING)"""

# A careful row (see Claimed.is_careful) is taken at most once per claim: locked, but not chosen, costs nothing.
_CAREFUL = "(t.interrupted > 0 OR t.crashes > 0 OR t.max_crashes = 0) AS careful"
_PICK_ONE_QUEUE = """
pick AS MATERIALIZED (
    SELECT t.id, t.priority, {careful} FROM taskcenter_task t
    WHERE t.queue = %(queue)s AND t.state = 'pending' AND t.definition = ANY(%(definitions)s::text[])
        AND NOT EXISTS (SELECT 1 FROM taskcenter_queue q
            WHERE q.name = %(queue)s AND (q.paused_at IS NOT NULL OR q.max_running IS NOT NULL))
    ORDER BY t.priority DESC, t.id LIMIT {limit} FOR UPDATE SKIP LOCKED)"""
# Several queues: look without locks, then lock only what is taken, so that no rival's only task is locked in vain.
_PICK_QUEUES = """
cand AS MATERIALIZED (
    SELECT c.id, c.priority FROM unnest(%(queues)s::text[], %(rooms)s::int4[]) AS line(name, room)
    CROSS JOIN LATERAL (
        SELECT t.id, t.priority FROM taskcenter_task t
        WHERE t.queue = line.name AND t.state = 'pending' AND t.definition = ANY(%(definitions)s::text[])
        ORDER BY t.priority DESC, t.id LIMIT line.room) c
    WHERE NOT EXISTS (SELECT 1 FROM taskcenter_queue q WHERE q.name = line.name
        AND (q.paused_at IS NOT NULL OR (q.max_running IS NOT NULL AND NOT %(limits)s::bool)))
    ORDER BY c.priority DESC, c.id LIMIT {look}),
pick AS MATERIALIZED (
    SELECT t.id, t.priority, {careful} FROM cand JOIN taskcenter_task t ON t.id = cand.id
    WHERE t.state = 'pending' ORDER BY cand.priority DESC, cand.id LIMIT {limit} FOR UPDATE OF t SKIP LOCKED)"""
# Claimed ahead, a row is said to have been attempted a while ago: it must have been there then, and due.
_NEWER = ", (t.created_at > %(at)s::timestamptz OR coalesce(t.run_after > %(at)s::timestamptz, false)) AS newer"
_NONE_NEWER = " AND NOT EXISTS (SELECT 1 FROM pick WHERE newer)"
_CHOOSE = """,
chosen AS (
    SELECT id FROM pick WHERE NOT careful
    UNION ALL (SELECT id FROM pick WHERE careful ORDER BY priority DESC, id LIMIT 1))"""
_TAKE = """,
got AS (
    UPDATE taskcenter_task t SET state = 'processing', rev = t.rev + 1, attempt = t.attempt + 1,
        worker_id = %(worker)s::uuid, attempted_at = coalesce(%(at)s::timestamptz, statement_timestamp()),
        started_at = coalesce(t.started_at, %(at)s::timestamptz, statement_timestamp()), run_after = NULL
    FROM {chosen} chosen WHERE t.id = chosen.id{unless} RETURNING {columns})"""
_LIMITS = f"""
UNION ALL SELECT {", ".join(["NULL"] * _WIDTH)}, {_LIMITED} WHERE EXISTS (
    SELECT 1 FROM taskcenter_queue q WHERE q.name = ANY(%(queues)s::text[]) AND q.max_running IS NOT NULL)"""  # noqa: S608 constants

_HAND_BACK = """
WITH held AS MATERIALIZED (
    SELECT t.id FROM unnest(%(ids)s::uuid[], %(attempts)s::int4[]) AS d(id, attempt)
    JOIN taskcenter_task t ON t.id = d.id AND t.attempt = d.attempt
    WHERE t.state = 'processing' AND t.cancel_requested_at IS NULL FOR UPDATE OF t SKIP LOCKED)
UPDATE taskcenter_task t SET state = 'pending', rev = t.rev + 1, interrupted = t.interrupted + 1, worker_id = NULL,
    started_at = CASE WHEN t.failures + t.crashes + t.interrupted = 0 THEN NULL ELSE t.started_at END
FROM held WHERE t.id = held.id RETURNING t.id, t.attempt, t.rev, t.queue"""
_LOCK_LIMITED = """
SELECT name, max_running FROM taskcenter_queue
WHERE name = ANY(%(queues)s::text[]) AND max_running IS NOT NULL AND paused_at IS NULL ORDER BY name FOR UPDATE"""
_IS_LIMITED = """
SELECT 1 FROM taskcenter_queue WHERE name = %(queue)s AND max_running IS NOT NULL AND paused_at IS NULL"""
_COUNT_RUNNING = """
SELECT queue, count(*) FROM taskcenter_task
WHERE queue = ANY(%(queues)s::text[]) AND state = 'processing' GROUP BY queue"""


class Shape(NamedTuple):
    """Which parts a statement has; few combinations occur, and each is prepared once.

    The limit is part of the text: with a parameter PostgreSQL plans for a tenth of the table.
    """

    ends: str = ""
    """"", "one" or "many"."""
    files: bool = False
    tells: bool = False
    claims: str = ""
    """"", "queue" or "queues"."""
    limit: int = 0
    ahead: bool = False
    """Whether the time of the attempts is given, and so only rows will do that are older."""


@cache
def statement(shape: Shape) -> str:
    parts, answers = [], []
    if shape.claims:
        parts.append(_claiming(shape))
        answers.append(f"SELECT got.*, {_CLAIMED} FROM got")  # noqa: S608 a constant
    if shape.ends:
        parts.append(_finish(shape))
        nulls = ", ".join(["NULL"] * (_WIDTH - 3)) + ", " if shape.claims else ""
        answers.append(f"SELECT fin.id, fin.attempt, fin.rev, {nulls}{_LANDED} FROM fin")  # noqa: S608 constants
    limits = _LIMITS if shape.claims == "queues" else ""
    return "WITH" + ",".join(parts) + "\n" + "\nUNION ALL ".join(answers) + limits


def _finish(shape: Shape) -> str:
    finish, age = (_FINISH_ONE, "%(age)s::float8") if shape.ends == "one" else (_FINISH_MANY, "sent.age")
    begun = _BEGUN.format(now=_NOW, age=age)
    told = _TELL_OWNERS.format(now=_NOW) if shape.tells else ""
    return finish.format(now=_NOW, begun=begun) + (_FILE_REPORTS if shape.files else "") + told


def _claiming(shape: Shape) -> str:
    pick = _PICK_QUEUES if shape.claims == "queues" else _PICK_ONE_QUEUE
    choose, chosen = (_CHOOSE, "chosen") if shape.limit > 1 else ("", "pick")
    careful, unless = (_CAREFUL + _NEWER, _NONE_NEWER) if shape.ahead else (_CAREFUL, "")
    picked = pick.format(careful=careful, limit=shape.limit, look=shape.limit + EXTRA)
    return picked + choose + _TAKE.format(chosen=chosen, unless=unless, columns=_COLUMNS)


def _held_now() -> str | None:
    """The time on the clock that a test holds in its hand."""
    return None if clock.by_database else now().isoformat()


class PostgresEngine:
    """See `Engine`. Outside of a transaction each statement commits by itself."""

    def __init__(self, connection: BaseDatabaseWrapper, *, is_own: bool = False) -> None:
        self.connection = connection
        self._is_own = is_own
        self._session: Any = None
        self._loader: Any = None
        self._limited = False

    def turn(self, ended: Sequence[Ended], want: Want | None) -> Turned:
        if want is not None and self._limited:
            return self._limited_turn(ended, want)
        shape, values = _finishing(ended)
        values["now"] = _held_now()
        if want is None:
            return self._answer(shape, values)
        values.update(_wish(want, values["now"]))
        turned = self._answer(_wishing(shape, want), values)
        if not turned.claimed and (self._limited or self._is_limited(want)):
            turned.claimed = self._limited_turn((), want).claimed
        return turned

    def hand_back(self, held: Sequence[Claimed]) -> list[Handed]:
        if not held:
            return []
        return [Handed(*row) for row in self._run(_HAND_BACK, _attempts(held))]

    def _answer(self, shape: Shape, values: dict[str, Any]) -> Turned:
        turned = Turned()
        if not (shape.ends or shape.claims):
            return turned
        for row in self._run(statement(shape), values):
            kind = row[-1]
            if kind == _CLAIMED:
                turned.claimed.append(Claimed._make(row[:-1]))
            elif kind == _LANDED:
                turned.landed[row[0]] = row[2]
            else:
                self._limited = True
        if len(turned.claimed) > 1:
            in_running_order(turned.claimed)
        return turned

    def _is_limited(self, want: Want) -> bool:
        """Whether the only queue wanted gave nothing because `max_running` must be looked at."""
        return len(want.queues) == 1 and bool(self._run(_IS_LIMITED, {"queue": want.queues[0]}))

    def _limited_turn(self, ended: Sequence[Ended], want: Want) -> Turned:
        """The same while a queue has `max_running`: whoever claims from it holds its row's lock."""
        self._limited = False  # the statement below says whether that is still so
        with _transaction(self.connection):
            shape, values = _finishing(ended)
            values["now"] = _held_now()
            turned = self._answer(shape, values)
            wish = _wish(want, values["now"])
            wish.update(limits=True, rooms=_array(self._rooms(want)))
            turned.claimed = self._answer(_wishing(Shape(), want)._replace(claims="queues"), wish).claimed
        return turned

    def _rooms(self, want: Want) -> list[str]:
        """How many tasks may be taken from each queue now."""
        names = {"queues": _array(map(_quoted, want.queues))}
        limits = dict(self._run(_LOCK_LIMITED, names))
        running = dict(self._run(_COUNT_RUNNING, names)) if limits else {}
        most = want.limit + EXTRA
        return [
            str(max(0, min(most, limits[name] - running.get(name, 0))) if name in limits else most)
            for name in want.queues
        ]

    def _run(self, sql: str, values: dict[str, Any]) -> list[Any]:
        rows = self._run_alone(sql, values) if self._is_own else None
        return prepared.execute(self.connection, sql, values).fetchall() if rows is None else rows

    def _run_alone(self, sql: str, values: dict[str, Any]) -> list[Any] | None:
        """The quickest way, on a connection that no task can have touched; None when it is closed."""
        connection = self.connection
        if self._session is None or self._session is not connection.connection:
            connection.ensure_connection()
            self._session = connection.connection
            with connection.wrap_database_errors:
                # The same few statements for ever: to plan them anew each time costs more than to run them.
                self._session.execute("SET plan_cache_mode = force_generic_plan")
            self._loader = prepared.loader_of(self._session)
        return prepared.fetch_alone(connection, self._loader, sql, values)


def _finishing(ended: Sequence[Ended]) -> tuple[Shape, dict[str, Any]]:
    if not ended:
        return Shape(), {}
    files = any(item.has_context for item in ended)
    tells = any(item.claimed.owner_id is not None for item in ended)
    if len(ended) == 1:
        only = ended[0]
        values: dict[str, Any] = {"id": str(only.claimed.id), "attempt": only.claimed.attempt}
        return Shape("one", files, tells), {**values, "result": only.result, "note": only.note, "age": only.age}
    values = _attempts([item.claimed for item in ended])
    values["results"] = _array(_quoted(item.result) for item in ended)
    values["notes"] = _array(_quoted(item.note) for item in ended)
    values["ages"] = _array("NULL" if item.begun is None else str(item.age) for item in ended)
    return Shape("many", files, tells), values


def _wishing(shape: Shape, want: Want) -> Shape:
    claims = "queue" if len(want.queues) == 1 else "queues"
    return shape._replace(claims=claims, limit=want.limit, ahead=want.at is not None)


def _attempts(claimed: Sequence[Claimed]) -> dict[str, Any]:
    return {"ids": _array(str(item.id) for item in claimed), "attempts": _array(str(item.attempt) for item in claimed)}


def _wish(want: Want, moment: str | None) -> dict[str, Any]:
    wish: dict[str, Any] = {"worker": str(want.worker_id), "definitions": _names(want.definitions)}
    wish["at"] = want.at.isoformat() if want.at else moment
    if len(want.queues) == 1:
        wish["queue"] = want.queues[0]
    wish["queues"] = _names(want.queues)
    wish["rooms"] = _array([str(want.limit + EXTRA)] * len(want.queues))
    wish["limits"] = False
    return wish


@cache
def _names(names: tuple[str, ...]) -> str:
    return _array(map(_quoted, names))


def _array(items: Any) -> str:
    """PostgreSQL's text form of an array; items are quoted already where they need it."""
    return "{" + ",".join(items) + "}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _transaction(connection: BaseDatabaseWrapper) -> Any:
    """A transaction on this very connection, which Django's handler may not know."""
    return _Begin(connection) if not connection.in_atomic_block else transaction.atomic(using=connection.alias)


class _Begin:
    """BEGIN and COMMIT by hand, for a connection that is not the thread's own."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.ensure_connection()
        self._connection.set_autocommit(False)

    def __exit__(self, failed: object, *_: object) -> None:
        try:
            if failed:
                self._connection.rollback()
            else:
                self._connection.commit()
        finally:
            self._connection.set_autocommit(True)
