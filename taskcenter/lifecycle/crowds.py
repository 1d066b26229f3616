"""What people ask for of many tasks at once: retry, cancel. The same rules and moves, a few statements per call.

All rows are locked, judged as they are now, and moved in one transaction; so a caller that keeps its place
in that transaction does none twice. Where the statements for many do not go through (a unique key that
another live task holds, a line of history told at the same moment), each task is moved on its own.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from taskcenter import notifications, pointers, progress, reports
from taskcenter.compat import after_commit
from taskcenter.models import Task, TaskEvent
from taskcenter.rules import Case, Rule, Ruling, Tally, cancel_rule, retry_rule
from taskcenter.states import State

from .moves import Outcome, log_line, write_log
from .people import ONCE, anew, heard_before, request_cancel, retry

__all__ = ["cancel_many", "retry_many"]

Kind = TaskEvent.Kind

WAKES = 100
"""Pointers pushed for the retried tasks of one queue per call: they are woken, not mirrored."""
HEARD = "the same confirmation has done it before"
BLOBS = ("args", "kwargs", "result", "metadata", "progress_state")


class Asking(NamedTuple):
    """Who asks, why, and what the asking is called."""

    actor: Any
    reason: str
    once: str

    @property
    def data(self) -> dict[str, Any]:
        return {ONCE: self.once} if self.once else {}


def retry_many(ids: Sequence[uuid.UUID], *, actor: Any = None, reason: str = "", once: str = "") -> Tally:
    """See retry(); what came of all of them."""
    return _many(ids, Asking(actor, reason, once), retry_rule, _retry_all, retry)


def cancel_many(ids: Sequence[uuid.UUID], *, actor: Any = None, reason: str = "", once: str = "") -> Tally:
    """See request_cancel(); what came of all of them."""
    return _many(ids, Asking(actor, reason, once), cancel_rule, _cancel_all, request_cancel)


def _many(
    ids: Sequence[uuid.UUID],
    asking: Asking,
    rule: Rule,
    all_at_once: Callable[[list[Task], Asking], None],
    one: Callable[..., Outcome],
) -> Tally:
    tally = Tally()
    with transaction.atomic():
        # In one order, so that two of these never wait for each other.
        rows = list(Task.objects.select_for_update().filter(id__in=ids).defer(*BLOBS).order_by("id"))
        if gone := len(set(ids)) - len(rows):
            tally.note(Ruling(why="it does not exist any more"), gone)
        heard = heard_before([row.id for row in rows], asking.once)
        rulings = {row.id: Ruling(why=HEARD) if row.id in heard else rule(Case.of(row)) for row in rows}
        fitting = [row for row in rows if rulings[row.id].fits]
        if not _went_through(fitting, asking, all_at_once):
            rulings.update(_one_by_one(fitting, asking, rulings, one))
    for ruling in rulings.values():
        tally.note(ruling)
    return tally


def _went_through(fitting: list[Task], asking: Asking, all_at_once: Callable[[list[Task], Asking], None]) -> bool:
    if not fitting:
        return True
    try:
        with transaction.atomic():
            all_at_once(fitting, asking)
    except IntegrityError:
        return False
    return True


def _one_by_one(
    fitting: list[Task], asking: Asking, rulings: dict[uuid.UUID, Ruling], one: Callable[..., Outcome]
) -> dict[uuid.UUID, Ruling]:
    made = {}
    for row in fitting:
        outcome = one(row.id, actor=asking.actor, reason=asking.reason, once=asking.once)
        made[row.id] = rulings[row.id] if outcome.moved else Ruling(why=_as_why(outcome.text))
    return made


def _as_why(text: str) -> str:
    return text[:1].lower() + text[1:].rstrip(".")


def _retry_all(rows: list[Task], asking: Asking) -> None:
    _tell_all(rows, Kind.RETRIED, asking)
    _move_all(rows, State.PENDING, **anew())
    after_commit(pointers.push, _a_few([(row.id, row.queue) for row in rows]))


def _cancel_all(rows: list[Task], asking: Asking) -> None:
    running = [row for row in rows if row.state == State.PROCESSING]
    waiting = [row for row in rows if row.state != State.PROCESSING]
    now = timezone.now()
    for some, kind in ((running, Kind.CANCEL_ASKED), (waiting, Kind.CANCELLED)):
        _tell_all(some, kind, asking)
    if running:
        _update(running, State.PROCESSING, cancel_requested_at=now)
    if waiting:
        _move_all(waiting, State.CANCELLED, cancel_requested_at=now, finished_at=now)
        reports.finalise_many([row.id for row in waiting])
        notifications.record_many(waiting)


def _tell_all(rows: list[Task], kind: str, asking: Asking) -> None:
    """The same line for each. Raises IntegrityError when somebody told one of them at the same moment."""
    line = {"nth": 1, "kind": kind, "level": "info", "text": asking.reason, "data": asking.data, "signed": True}
    lines = [{**line, "task_id": row.id, "attempt": row.attempt, "worker_id": None} for row in rows]
    if lines:
        TaskEvent.objects.tell_many(lines, actor=asking.actor)


def _move_all(rows: list[Task], new: State, **changes: Any) -> None:
    """The move of each, by the states they are in; then they hold the new one."""
    for old in State:
        some = [row for row in rows if row.state == old]
        if some:
            _update(some, old, state=new, **changes)
            after_commit(_log_all, [log_line(row, old, new) for row in some])
    for row in rows:
        row.state = new


def _update(rows: list[Task], old: State, **changes: Any) -> None:
    """Raises IntegrityError when one of them is not in that state any more: a database that locks no rows."""
    held = Task.objects.filter(id__in=[row.id for row in rows], state=old)
    if held.update(rev=F("rev") + 1, **changes) != len(rows):
        raise IntegrityError("A task has moved on meanwhile.")
    after_commit(progress.announce_many, [(row.id, row.rev + 1) for row in rows])


def _log_all(lines: list[dict[str, str | int]]) -> None:
    for line in lines:
        write_log(line)


def _a_few(wanted: list[pointers.Pointer]) -> list[pointers.Pointer]:
    """Of each queue as many as wake its workers."""
    seen: Counter[str] = Counter()
    few = []
    for task_id, queue in wanted:
        seen[queue] += 1
        if seen[queue] <= WAKES:
            few.append((task_id, queue))
    return few
