"""The promises against the evidence. Nothing here reads a database: tests show that each rule bites.

The numbers of the rules: I1 every committed enqueue ends in exactly one final state, the right one, and
what was rolled back left nothing · I2 no attempt runs twice, and a row's outcome is its own attempt's ·
I3 no good task ends failed · I5 one report and one notification per finish.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from .generator import Promises
from .marks import Marks
from .plan import Kind

__all__ = ["Evidence", "Kept", "Row", "Told", "Violation", "judge"]

Violation = tuple[str, str]
"""The rule, and what broke it."""

FAILURES = 2
"""Of a task that fails for good: its `max_attempts`."""
CRASHES = 3
"""Of a poison task: its `max_crashes`."""


class Row(NamedTuple):
    """What is looked at of a task's row."""

    id: UUID
    state: str
    attempt: int
    failures: int
    crashes: int
    result: Any
    owner_id: Any
    attempted_at: datetime | None
    error_message: str


class Kept(NamedTuple):
    """A final report."""

    attempt: int
    data: Any


class Told(NamedTuple):
    """A notification."""

    attempt: int
    kind: str
    recipient_id: Any


@dataclass(slots=True)
class Evidence:
    """Everything a run left behind, after its last process has ended."""

    promises: Promises
    marks: Marks
    rows: dict[UUID, Row]
    reports: dict[UUID, list[Kept]] = field(default_factory=lambda: defaultdict(list))
    notifications: dict[UUID, list[Told]] = field(default_factory=lambda: defaultdict(list))


def judge(evidence: Evidence) -> Iterator[Violation]:
    """All that did not hold."""
    promises, rows = evidence.promises, evidence.rows
    yield from _ghosts(evidence)
    for task_id in promises.kinds.keys() - rows.keys():
        yield "I1", f"{task_id} {promises.kinds[task_id].name}: its row is gone"
    for task_id, attempt in evidence.marks.twice:
        yield "I2", f"{task_id} attempt {attempt} ran twice"
    for task_id, kind in promises.kinds.items():
        if row := rows.get(task_id):
            for rule, text in _of_one(evidence, kind, row):
                yield rule, f"{task_id} {kind.name} ({row.state}, attempt {row.attempt}): {text}"


def _ghosts(evidence: Evidence) -> Iterator[Violation]:
    for task_id in evidence.rows.keys() - evidence.promises.kinds.keys():
        why = "was rolled back" if task_id in evidence.promises.ghosts else "was never enqueued"
        yield "I1", f"{task_id} {why} and has a row"
    for task_id in evidence.marks.begun.keys() - evidence.promises.kinds.keys():
        yield "I1", f"{task_id} has run, and nobody committed it"


def _of_one(evidence: Evidence, kind: Kind, row: Row) -> Iterator[Violation]:
    yield from _state(evidence.promises, kind, row)
    yield from _counts(evidence.promises, kind, row)
    yield from _attempts(evidence.marks, kind, row)
    yield from _told(evidence, kind, row)


def _state(promises: Promises, kind: Kind, row: Row) -> Iterator[Violation]:
    if row.state == "failed" and "failed" not in kind.ends:
        yield "I3", f"a good task has failed after {row.crashes} crashes: {row.error_message[:200]}"
    elif row.state not in kind.ends:
        yield "I1", f"it may only end as {' or '.join(kind.ends)}"
    if row.id in promises.cancelled and row.state != "cancelled":
        yield "I1", "we were told that it is cancelled"
    starts = promises.not_before.get(row.id)
    if starts and row.attempted_at and row.attempted_at < starts:
        yield "I1", f"it began at {row.attempted_at}, before {starts}"


def _counts(promises: Promises, kind: Kind, row: Row) -> Iterator[Violation]:
    """A crash is no failure, and a failure no crash."""
    expected = FAILURES if kind.name == "failing" else promises.stumbles.get(row.id, 0)
    if row.failures != expected:
        yield "I1", f"it has {row.failures} failures instead of {expected}"
    if kind.name == "poison" and row.crashes != CRASHES:
        yield "I1", f"it was given up after {row.crashes} crashes instead of {CRASHES}"


def _attempts(marks: Marks, kind: Kind, row: Row) -> Iterator[Violation]:
    begun, ended = marks.begun.get(row.id, set()), marks.ended.get(row.id, set())
    if begun and max(begun) > row.attempt:
        yield "I2", f"attempt {max(begun)} began, and nobody claimed it"
    if ended - begun:
        yield "I2", f"attempts {ended - begun} ended without a beginning"
    if kind.name == "at most once" and len(begun) > 1:
        yield "I2", f"it began {len(begun)} times"
    if row.state == "completed":
        if row.attempt not in ended:
            yield "I2", f"its own attempt did not end; those that did: {sorted(ended)}"
        if row.result != {"attempt": row.attempt}:
            yield "I2", f"its result is another attempt's: {row.result}"
    elif kind.name in {"poison", "failing"} and ended:
        yield "I2", "its body came to an end, which it cannot"


def _told(evidence: Evidence, kind: Kind, row: Row) -> Iterator[Violation]:
    wanted = [Told(row.attempt, row.state, row.owner_id)] if kind.owned else []
    if (told := evidence.notifications.get(row.id, [])) != wanted:
        yield "I5", f"its notifications are {_texts(told)}"
    reports = [Kept(row.attempt, {"attempt": row.attempt})] if kind.name == "reported" else []
    if (kept := evidence.reports.get(row.id, [])) != (reports if row.state == "completed" else []):
        yield "I5", f"its final reports are {_texts(kept)}"


def _texts(found: Iterable[object]) -> str:
    return ", ".join(map(str, found)) or "none"
