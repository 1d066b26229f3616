"""One move: the guarded UPDATE, its log line, and what is told after the commit."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import F
from django.utils import timezone

from taskcenter import notifications, pointers, progress, reports
from taskcenter.compat import after_commit
from taskcenter.fingerprint import fingerprint
from taskcenter.models import FailureGroup, Task, TaskEvent, TaskQuerySet
from taskcenter.models.clock import Ago, moment
from taskcenter.models.engine import Claimed
from taskcenter.models.failure import sample_of
from taskcenter.states import FINAL, State, may_move

logger = logging.getLogger("taskcenter")

MESSAGE_LIMIT = 2000
"""Characters of an error's message kept on the row; the whole traceback is in its event."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of asking for a move: whether it was made, the state now, a sentence for people."""

    moved: bool
    state: State | None
    text: str

    def __bool__(self) -> bool:
        return self.moved


@dataclass(frozen=True, slots=True)
class Failure:
    """How an attempt ended badly: the error as text, and the kind of event it makes."""

    type: str
    message: str
    traceback: str = ""
    kind: str = TaskEvent.Kind.FAILED
    place: str = ""
    """Where it was raised (see `fingerprint.place_of`); empty when nobody knows."""

    def fingerprint(self, definition: str) -> str:
        """What failures of that definition that are the same have in common."""
        return fingerprint(definition, self.type, self.place, self.message)

    @property
    def name(self) -> str:
        """The error's class without its module, for people."""
        return self.type.rpartition(".")[2]


def move(rows: TaskQuerySet, task: Task, new: State, **changes: Any) -> bool:
    """UPDATE `rows` (one row or none: the caller's guard) from the state of `task` to `new`.

    On success `task` holds the new values. Raises ValueError on a move that `states.MOVES` does not
    have: that is a bug in this package, not an outcome.
    """
    old = State(task.state)
    if not may_move(old, new):
        raise ValueError(f"No task moves from {old} to {new}.")
    if new in FINAL:
        changes["finished_at"] = timezone.now()
    written = {**changes, "finished_at": Ago()} if new in FINAL else changes
    if not rows.filter(id=task.id, state=old).update(state=new, rev=F("rev") + 1, **written):
        return False
    for name, value in changes.items():
        setattr(task, name, value)
    task.state, task.rev = new, task.rev + 1
    after_commit(write_log, log_line(task, old, new))
    tell_watchers(task)
    return True


def settle(task: Task) -> None:
    """What belongs to a final state, in its transaction: report and notification."""
    reports.finalise(task)
    notifications.record(task)


def count_failure(task: Task, failure: Failure, *, times: int = 1) -> None:
    """Add it to its group. The last statement of a transaction: everybody who fails alike waits for that row."""
    sample = sample_of(task.id, task.definition, failure.type, failure.place, failure.message)
    FailureGroup.objects.saw(failure.fingerprint(task.definition), times=times, **sample)


def count_failures(failed: Iterable[tuple[Task, Failure]]) -> None:
    """Each group once, in the order of the fingerprints, in which nobody can wait for a rival that waits for them."""
    groups: dict[str, list[tuple[Task, Failure]]] = {}
    for task, failure in failed:
        groups.setdefault(failure.fingerprint(task.definition), []).append((task, failure))
    for _, members in sorted(groups.items()):
        count_failure(*members[-1], times=len(members))


def wake(task: Task) -> None:
    """Push a pointer once the move is committed."""
    after_commit(pointers.push, [(task.id, task.queue)])


def tell_watchers(task: Task) -> None:
    after_commit(progress.announce, task.id, task.rev)


def log_line(row: Task | Claimed, old: State, new: State) -> dict[str, str | int]:
    """The move as fields, taken now: the row may have moved on by the time they are written."""
    return {
        "task_id": str(row.id),
        "old_state": str(old),
        "state": str(new),
        "attempt": row.attempt,
        "queue": row.queue,
        "definition": row.definition,
    }


def log_move(row: Task | Claimed, old: State, new: State) -> None:
    write_log(log_line(row, old, new))


def write_log(fields: dict[str, str | int]) -> None:
    text = "Task %(task_id)s %(old_state)s -> %(state)s attempt=%(attempt)d queue=%(queue)s definition=%(definition)s"
    logger.info(text, fields, extra=fields)


def superseded(task: Task, what: str) -> Outcome:
    """Another attempt owns the row, or it has ended: keep a line of it, write nothing over it."""
    text = f"Attempt {task.attempt} {what} too late: the task had moved on. Its outcome was set aside."
    if Task.objects.filter(id=task.id).exists():
        TaskEvent.objects.tell(
            task.id, TaskEvent.Kind.SUPERSEDED, text, attempt=task.attempt, level="warning", worker_id=task.worker_id
        )
    logger.warning("Task %s attempt=%d superseded: %s", task.id, task.attempt, what)
    return Outcome(moved=False, state=None, text=text)


def owned(task: Task) -> Task | None:
    """The row as it is now, locked, if this attempt still owns it."""
    return Task.objects.select_for_update().of_attempt(task.id, task.attempt).first()


def later(seconds: float) -> datetime:
    """In so many seconds, by the clock that decides when it is due."""
    return moment(Task.objects.db, -seconds)
