"""Attempts whose worker is gone: by the one, and by the thousand. `taskcenter.verdicts` decides.

Rows are locked in one order, by id. What was claimed together is put right together or not at all: of
several that were lost nobody knows which one was running, so none of them is blamed. So `recover_many()`,
which leaves out what a rival has locked, also leaves out the rest of such a claim.
"""

from __future__ import annotations

import logging
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.db import IntegrityError, transaction

from taskcenter import notifications, pointers, progress, reports
from taskcenter.compat import after_commit
from taskcenter.models import Task, TaskEvent, TaskQuerySet, Worker
from taskcenter.models.lost import FACTS, Claim, claims_of, move_many
from taskcenter.models.worker import stale_before
from taskcenter.states import FINAL, State
from taskcenter.verdicts import Facts, Ran, Row, Verdict, chances, decide

from .moves import Failure, Outcome, count_failures, log_line, logger, write_log

__all__ = ["NEXT", "Recovered", "judge", "recover", "recover_many"]

Kind = TaskEvent.Kind

NEXT = {Verdict.AGAIN: State.PENDING, Verdict.FAILED: State.FAILED, Verdict.CANCELLED: State.CANCELLED}
TRIES = 5
"""How often a claim is put right again because somebody told a line of its tasks at the same moment."""


@dataclass(slots=True)
class Recovered:
    """What came of it, and of which claims a rival holds a part: those are for `recover()`, which waits."""

    outcomes: dict[uuid.UUID, Outcome] = field(default_factory=dict)
    torn: list[Task] = field(default_factory=list)


@dataclass
class _Fate:
    """One task, locked, and what becomes of it."""

    task: Task
    row: Row
    cause: str
    """Why nobody runs it: one of few sentences, so that failures can be counted by it."""
    about: str
    """Which worker it was, and since when it has been silent."""

    @cached_property
    def failure(self) -> Failure | None:
        """What counts against it, if anything does."""
        return Failure("", self.cause, kind=Kind.CRASHED) if self.row.counts == "crashes" else None

    @cached_property
    def fingerprint(self) -> str:
        """Of that failure."""
        return self.failure.fingerprint(self.task.definition) if self.failure else ""

    @property
    def text(self) -> str:
        return self.row.text.format(cause=self.cause)

    @property
    def state(self) -> State:
        return NEXT[self.row.verdict]


def recover(task_id: uuid.UUID, attempt: int, *, actor: Any = None, reason: str = "") -> dict[uuid.UUID, Outcome]:
    """Put right one lost attempt and what was claimed with it, if it is still lost now that it is locked.

    Waits for rivals. Empty when there was nothing to do.
    """
    for tries_left in reversed(range(TRIES)):
        try:
            with transaction.atomic():
                asked = Task.objects.of_attempt(task_id, attempt).first()
                rows = _lost().claimed_with(asked).select_for_update() if asked else ()
                return _put_right(claims_of(list(rows)), Counter(), actor, reason)
        except IntegrityError:
            if not tries_left:
                raise
    raise AssertionError  # pragma: no cover  the last try returns or raises


def recover_many(claims: Sequence[Claim], woken: Counter[str], *, reason: str = "") -> Recovered:
    """Put right what is still lost of these claims, in one transaction and a handful of statements.

    `woken` counts the pointers that each queue was given in this sweep: waiting tasks need waking, not a
    pointer each. Raises what the database refuses; then nothing is written.
    """
    wanted = [task.id for claim in claims for task in claim.tasks]
    done = Recovered()
    with transaction.atomic():
        rows = _lost().filter(id__in=wanted).order_by("id").taken(len(wanted))
        whole = _whole(claims, {row.id: row for row in rows}, done)
        done.outcomes = _put_right(whole, woken, reason=reason)
    return done


def judge(task: Task, ran: Ran, *, alive: bool = False) -> Row:
    """What the table says of this task."""
    cancel = task.cancel_requested_at is not None
    return decide(Facts(alive, cancel, ran, chances(task.crashes, task.max_crashes)))


def _lost() -> TaskQuerySet:
    return Task.objects.lost(stale_before()).only(*FACTS)


def _whole(claims: Sequence[Claim], rows: dict[uuid.UUID, Task], done: Recovered) -> list[Claim]:
    """The claims of which every task is ours now."""
    whole = []
    for claim in claims:
        mine = [rows[task.id] for task in claim.tasks if _is_same(rows.get(task.id), task)]
        if len(mine) == len(claim.tasks):
            whole.append(Claim(mine, claim.more))
        elif mine:
            done.torn.append(mine[0])
    return whole


def _is_same(row: Task | None, found: Task) -> bool:
    return row is not None and row.attempt == found.attempt


def _put_right(
    claims: Sequence[Claim], woken: Counter[str], actor: Any = None, reason: str = ""
) -> dict[uuid.UUID, Outcome]:
    fates = list(_fates(claims))
    if not fates:
        return {}
    revs = move_many(Task.objects.all(), [_move(fate) for fate in fates])
    fates = [fate for fate in fates if fate.task.id in revs]
    TaskEvent.objects.tell_many([line for fate in fates for line in _lines(fate, reason)], actor=actor)
    after_commit(_tell, [log_line(fate.task, State.PROCESSING, fate.state) for fate in fates], revs, fates, woken)
    _settle(fates)
    count_failures([(fate.task, fate.failure) for fate in fates if fate.failure])
    return {fate.task.id: Outcome(moved=True, state=fate.state, text=fate.text) for fate in fates}


def _fates(claims: Sequence[Claim]) -> Iterator[_Fate]:
    ids = {task.worker_id for claim in claims for task in claim.tasks if task.worker_id}
    workers = Worker.objects.defer("queues", "definitions").in_bulk(ids)
    for claim in claims:
        for task in claim.tasks:
            row = judge(task, Ran.PERHAPS if claim.together else Ran.YES)
            yield _Fate(task, row, *_why(task, workers.get(task.worker_id)))


def _why(task: Task, worker: Worker | None) -> tuple[str, str]:
    if worker is None:
        return ("Its worker is unknown by now." if task.worker_id else "No worker stands behind it."), ""
    about = f"Worker {worker}, last heard of at {worker.heartbeat_at:%Y-%m-%d %H:%M:%S} UTC."
    return ("Its worker is gone." if worker.stopped_at else "Its worker stopped answering."), about


def _move(fate: _Fate) -> dict[str, Any]:
    return {
        "id": fate.task.id,
        "attempt": fate.task.attempt,
        "state": fate.state,
        "crashes": int(fate.failure is not None),
        "interrupted": int(fate.row.counts == "interrupted"),
        "error": fate.cause,
        "fingerprint": fate.fingerprint,
    }


def _lines(fate: _Fate, reason: str) -> Iterator[dict[str, Any]]:
    """How the attempt ended, and that it was recovery that said so."""
    error = {"type": "", "message": fate.cause, "traceback": "", "place": "", "fingerprint": fate.fingerprint}
    verdict = {"verdict": fate.row.verdict, "ran": fate.failure is not None}
    told: list[tuple[str, str, str, dict[str, Any]]] = []
    if fate.failure is not None:
        told.append((Kind.CRASHED, "error", f"{fate.cause} {fate.about}".strip(), error))
    if fate.row.verdict == Verdict.CANCELLED:
        told.append((Kind.CANCELLED, "info", fate.text, {}))
    elif fate.row.counts == "interrupted":
        told.append((Kind.HANDED_BACK, "info", f"{fate.text} {fate.about}".strip(), {}))
    told.append((Kind.RECOVERED, "warning", reason or fate.text, verdict))
    for number, (kind, level, text, data) in enumerate(told, 1):
        yield {
            "task_id": fate.task.id,
            "nth": number,
            "attempt": fate.task.attempt,
            "kind": kind,
            "level": level,
            "text": text,
            "data": data,
            "worker_id": None if kind == Kind.RECOVERED else fate.task.worker_id,
            "signed": kind == Kind.RECOVERED,
        }


def _settle(fates: Sequence[_Fate]) -> None:
    """What belongs to a final state, in its transaction: report and notification."""
    ended = [fate for fate in fates if fate.state in FINAL]
    for fate in ended:
        fate.task.state = fate.state
        fate.task.error_message = fate.cause if fate.state == State.FAILED else ""
    if ended:
        reports.finalise_many([fate.task.id for fate in ended])
        notifications.record_many([fate.task for fate in ended])


def _tell(
    lines: Sequence[dict[str, str | int]], revs: dict[uuid.UUID, int], fates: Sequence[_Fate], woken: Counter[str]
) -> None:
    """Once it is committed: log lines, hints for those who watch, pointers as far as they are worth it."""
    if logger.isEnabledFor(logging.INFO):
        for line in lines:
            write_log(line)
    progress.announce_many(revs.items())
    pushed = []
    for fate in fates:
        queue = fate.task.queue
        if fate.state == State.PENDING and woken[queue] < pointers.ENOUGH:
            woken[queue] += 1
            pushed.append((fate.task.id, queue))
    pointers.push(pushed)
