"""The promises against the evidence. Nothing here reads a database: tests show that each rule bites."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

from .ledger import Marks
from .load import Promises
from .plugs import Pull

__all__ = ["BROKEN", "HELD", "NOT_SHOWN", "Evidence", "Finding", "Row", "Verdict", "judge"]

HELD, BROKEN, NOT_SHOWN = "held", "broken", "not shown"


NAPS_FAIL = 3
"""How often a nap may meet one and the same outage of the database."""


class Row(NamedTuple):
    """What is looked at of a task's row."""

    state: str
    attempt: int
    failures: int
    crashes: int
    result: Any
    error_message: str


@dataclass(slots=True)
class Evidence:
    """Everything a drill left behind, after its last process has ended."""

    promises: Promises
    marks: Marks
    rows: dict[UUID, Row]
    reports: dict[UUID, list[int]] = field(default_factory=dict)
    """Attempts of final reports."""
    notifications: dict[UUID, list[tuple[int, str]]] = field(default_factory=dict)
    pulls: list[Pull] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    astray: list[str] = field(default_factory=list)
    """Pointers that should be gone."""
    leftovers: list[str] = field(default_factory=list)
    """Processes, rows and connections that should be gone."""
    superseded: int = 0
    """Late results that were set aside."""

    @property
    def due(self) -> dict[UUID, str]:
        """All tasks that must have ended, with their kind."""
        unsure = self.promises.unsure
        return self.promises.kinds | {task_id: unsure[task_id] for task_id in unsure.keys() & self.rows.keys()}


@dataclass(frozen=True, slots=True)
class Finding:
    """One promise, and what speaks against it."""

    promise: str
    seen: str
    broken_by: list[str]

    @property
    def held(self) -> bool:
        return not self.broken_by


@dataclass(frozen=True, slots=True)
class Verdict:
    findings: list[Finding]
    pulls: list[Pull]

    @property
    def not_shown(self) -> list[str]:
        """Plugs that did not come out: with them the drill has shown nothing."""
        return [one.plug for one in self.pulls if not one.fired]

    @property
    def word(self) -> str:
        if not all(finding.held for finding in self.findings):
            return BROKEN
        return NOT_SHOWN if self.not_shown or not self.pulls else HELD

    @property
    def exit_code(self) -> int:
        return 0 if self.word == HELD else 1


def judge(evidence: Evidence) -> Verdict:
    due, marks = evidence.due, evidence.marks
    crashes = sum(row.crashes for row in evidence.rows.values())
    begun = sum(map(len, marks.begun.values()))
    worst = max((one.right_after or 0 for one in evidence.pulls), default=0)
    table: list[tuple[str, str, Callable[[Evidence], Iterator[str]]]] = [
        (
            "Nothing is lost: every task whose commit was answered ended, and ended well",
            f"{len(due):,} tasks, and {len(evidence.promises.ghosts)} in transactions that were rolled back",
            _lost,
        ),
        (
            "Nothing lands twice: no attempt ran twice, and no late result was written over another",
            f"attempts: {begun:,}; done again: {marks.again}; late results set aside: {evidence.superseded}",
            _twice,
        ),
        (
            "No task is blamed for what was done to it: crashes are not failures",
            f"{crashes} attempts died with their process",
            _blamed,
        ),
        ("One report and one notification for each task that ended", f"{len(due):,} tasks", _told),
        (
            "Work moves again after each plug, by itself",
            f"{len(evidence.pulls)} plugs; the longest took {worst:g} s",
            _moves,
        ),
        ("The database and Redis agree at the end", f"{_count(evidence.astray)} pointers without their task", _agree),
        ("Nothing is left behind", f"{_count(evidence.leftovers)} processes, connections or worker rows", _left),
    ]
    return Verdict([Finding(promise, seen, list(rule(evidence))) for promise, seen, rule in table], evidence.pulls)


def _count(found: list[str]) -> str:
    return str(len(found) or "no")


def _lost(evidence: Evidence) -> Iterator[str]:
    yield from evidence.stuck
    for task_id in evidence.promises.kinds.keys() - evidence.rows.keys():
        yield f"{task_id}: its row is gone"
    for task_id, kind in evidence.due.items():
        row = evidence.rows.get(task_id)
        if row and row.state != "completed":
            why = " ".join(row.error_message.split())[:200]
            yield f"{task_id} {kind}: it is {row.state}, attempt {row.attempt}{why and ': '}{why}"
        if kind == "deliver" and row and task_id not in evidence.marks.effects:
            yield f"{task_id} {kind}: nothing was delivered"
    for task_id in evidence.rows.keys() - evidence.due.keys():
        why = "was rolled back" if task_id in evidence.promises.ghosts else "was never enqueued"
        yield f"{task_id} {why} and has a row"
    for task_id in evidence.marks.begun.keys() - evidence.due.keys():
        yield f"{task_id} has run, and nobody committed it"


def _twice(evidence: Evidence) -> Iterator[str]:
    marks = evidence.marks
    for task_id, attempt, what in marks.twice:
        yield f"{task_id}: attempt {attempt} has {what} twice"
    for task_id, row in evidence.rows.items():
        begun = marks.begun.get(task_id, set())
        if begun and max(begun) > row.attempt:
            yield f"{task_id}: attempt {max(begun)} ran, and nobody claimed it"
        if row.state == "completed" and row.attempt not in marks.ended.get(task_id, set()):
            yield f"{task_id}: it ended by attempt {row.attempt}, which did not come to its end"
        if row.state == "completed" and row.result != {"attempt": row.attempt}:
            yield f"{task_id}: its result is another attempt's: {row.result}"


def _blamed(evidence: Evidence) -> Iterator[str]:
    """A nap asks the database itself, and may fail when that is away; at once, and after each of the retries."""
    outages = NAPS_FAIL * sum(one.plug == "PostgreSQL restarted" for one in evidence.pulls)
    for task_id, kind in evidence.due.items():
        row = evidence.rows.get(task_id)
        least = int(kind == "stumble")
        most = outages if kind == "nap" else least
        if row and (row.state == "failed" or (row.state == "completed" and not least <= row.failures <= most)):
            counts = f"{row.failures} failures where {least} to {most} were made, {row.crashes} crashes"
            yield f"{task_id} {kind}: {row.state}, {counts}"


def _told(evidence: Evidence) -> Iterator[str]:
    for task_id, kind in evidence.due.items():
        row = evidence.rows.get(task_id)
        if row is None or row.state != "completed":
            continue
        told = evidence.notifications.get(task_id, [])
        if told != [(row.attempt, "completed")]:
            yield f"{task_id} {kind}: its notifications are {told}"
        kept = evidence.reports.get(task_id, [])
        if kept != ([row.attempt] if kind == "nap" else []):
            yield f"{task_id} {kind}: its reports are of attempts {kept}"


def _moves(evidence: Evidence) -> Iterator[str]:
    for one in evidence.pulls:
        if one.fired and one.right_after is None:
            yield f"{one.plug}: {one.what}: it was not put right in time"


def _agree(evidence: Evidence) -> Iterator[str]:
    yield from evidence.astray


def _left(evidence: Evidence) -> Iterator[str]:
    yield from evidence.leftovers
