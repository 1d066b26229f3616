"""What a slot does many times a second: write the ends of what returned, claim what is best, tell it.

A turn is one commit (see `models.engine`). What people see of it is told afterwards, in one go for as
many turns as the slot likes: `tell()`.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import DatabaseError, DataError, IntegrityError, connections

from taskcenter import notifications, pointers, progress
from taskcenter.compat import after_commit
from taskcenter.models import Task
from taskcenter.models.engine import Claimed, Ended, Engine, Handed, Turned, Want, engine_of, task_alias
from taskcenter.states import State

from .moves import Failure, Outcome, log_move, logger, superseded
from .running import fail

__all__ = ["Turn", "claim", "complete", "finish", "hand_back_unbegun", "log", "tell", "turn"]

TRIES = 3
"""How often a turn is made again after a deadlock: it is fenced, so repeating it is harmless."""


@dataclass(slots=True)
class Turn:
    """What came of a turn, and what is to be told of it."""

    claimed: list[Claimed] = field(default_factory=list)
    landed: list[Ended] = field(default_factory=list)
    """What has ended and was written; the rest came too late, which has been noted."""
    hints: dict[uuid.UUID, int] = field(default_factory=dict)
    """Rows that changed, with their newest rev."""
    notes: list[notifications.Key] = field(default_factory=list)

    def add(self, other: Turn) -> None:
        """Take over what is to be told of another turn."""
        self.hints.update(other.hints)
        self.notes.extend(other.notes)


def turn(engine: Engine, ended: Sequence[Ended], want: Want | None) -> Turn:
    """Write these ends, claim what is wanted. Raises Django's database errors; repeating it is harmless."""
    if not ended and want is None:
        return Turn()
    turned = _insist(engine, ended, want)
    landed = [item for item in ended if item.claimed.id in turned.landed]
    made = Turn(turned.claimed, landed, turned.landed)
    if len(landed) < len(ended):
        known = turned.landed.keys() | turned.refused
        _note_late(made, [item for item in ended if item.claimed.id not in known])
    made.hints.update([(row.id, row.rev) for row in turned.claimed])
    made.notes = [(e.claimed.id, e.claimed.attempt, e.claimed.owner_id) for e in landed if e.claimed.owner_id]
    return made


def log(made: Turn) -> None:
    """One line per move, once they are committed."""
    if not logger.isEnabledFor(logging.INFO):
        return
    for item in made.landed:
        log_move(item.claimed, State.PROCESSING, State.COMPLETED)
    for row in made.claimed:
        log_move(row, State.PENDING, State.PROCESSING)


def tell(made: Turn) -> None:
    """Tell watchers and owners; one round trip for all hints, none when there are none."""
    progress.announce_many(made.hints.items())
    if made.notes:
        notifications.announce_new(made.notes)


def claim(queues: Sequence[str], definitions: Sequence[str], worker_id: uuid.UUID, *, limit: int = 1) -> list[Task]:
    """Take up to `limit` of the best tasks that may run now; highest priority first, then oldest.

    Rows locked by a rival are left to it. Each claim raises `attempt`: the fence of everything after.
    """
    want = Want(tuple(queues), tuple(definitions), worker_id, limit)
    made = turn(engine_of(connections[task_alias()]), (), want)
    after_commit(log, made)
    after_commit(tell, made)
    return [row.task() for row in made.claimed]


def complete(task: Task, result: Any) -> Outcome:
    """The attempt's function returned: keep the result, the report and the notification in one commit."""
    outcome = finish(Ended(Claimed.of(task), json.dumps(result)))
    if outcome.moved:
        task.refresh_from_db(fields=["state", "rev", "result", "progress", "finished_at"])
    return outcome


def finish(ended: Ended) -> Outcome:
    """As `complete()`, of a claimed row."""
    made = turn(engine_of(connections[task_alias()]), [with_note(ended)], None)
    after_commit(log, made)
    after_commit(tell, made)
    if made.landed:
        return Outcome(moved=True, state=State.COMPLETED, text="Completed.")
    text = f"Attempt {ended.claimed.attempt} completed too late: the task had moved on. Its outcome was set aside."
    return Outcome(moved=False, state=None, text=text)


def with_note(ended: Ended) -> Ended:
    """With the sentence for its owner, if it has one."""
    if ended.claimed.owner_id is not None:
        ended.note = notifications.completed_text(ended.claimed.label)
    return ended


def hand_back_unbegun(engine: Engine, held: Sequence[Claimed]) -> Turn:
    """Let others run what this slot claimed and never began; wakes them."""
    handed = engine.hand_back(held)
    pointers.push([(row.id, row.queue) for row in handed])
    if logger.isEnabledFor(logging.INFO):
        _log_handed(held, handed)
    return Turn(hints={row.id: row.rev for row in handed})


def _insist(engine: Engine, ended: Sequence[Ended], want: Want | None) -> Turned:
    for tries_left in reversed(range(TRIES)):
        try:
            return engine.turn(ended, want)
        except DatabaseError as error:
            if _is_refused(error):
                return _one_by_one(engine, ended, want)
            if not (tries_left and _is_deadlock(error)):
                raise
    raise AssertionError  # pragma: no cover  the last try returns or raises


def _is_deadlock(error: DatabaseError) -> bool:
    """Deadlock or serialisation failure: SQLSTATE class 40."""
    return _sqlstate(error).startswith("40")


def _is_refused(error: DatabaseError) -> bool:
    """Whether the same values would be refused each time. SQLSTATE class 54: JSON nested too deep, for one."""
    return isinstance(error, DataError | IntegrityError) or _sqlstate(error).startswith("54")


def _sqlstate(error: DatabaseError) -> str:
    return getattr(error.__cause__, "sqlstate", None) or ""


def _one_by_one(engine: Engine, ended: Sequence[Ended], want: Want | None) -> Turned:
    """One of these results is not what the database can keep: the others must not suffer for it."""
    turned = Turned()
    for item in ended:
        try:
            turned.landed.update(engine.turn([item], None).landed)
        except DatabaseError as error:
            if not _is_refused(error):
                raise
            text = f"The database cannot keep the result: {error}"
            fail(item.claimed.task(), Failure("taskcenter.exceptions.NotJSON", text), delay=None)
            turned.refused.add(item.claimed.id)
    turned.claimed = engine.turn((), want).claimed if want is not None else []
    return turned


def _note_late(made: Turn, late: Sequence[Ended]) -> None:
    """An end that found no row: written before when only the answer was lost, else superseded."""
    for item in late:
        claimed = item.claimed
        row = Task.objects.filter(id=claimed.id, attempt=claimed.attempt, state=State.COMPLETED)
        rev = row.values_list("rev", flat=True).first()
        if rev is None:
            superseded(claimed.task(), "completed")
        else:
            made.landed.append(item)
            made.hints[claimed.id] = rev


def _log_handed(held: Sequence[Claimed], handed: Sequence[Handed]) -> None:
    back = {row.id for row in handed}
    for row in held:
        if row.id in back:
            log_move(row, State.PROCESSING, State.PENDING)
