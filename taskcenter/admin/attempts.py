"""The attempts of a task, newest first, from what its history tells of their ends."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import groupby
from typing import Any

from taskcenter.models import Task, TaskEvent
from taskcenter.states import State
from taskcenter.views.timeline import Timeline, duration

from .traceback import own_frames, place_in

__all__ = ["Attempt", "attempts"]

SHOWN = 20
LINES = 200
"""Log lines of one attempt that are shown: the latest ones."""
_Kind = TaskEvent.Kind
_ENDINGS = (_Kind.FAILED, _Kind.TIMED_OUT, _Kind.CRASHED, _Kind.SNOOZED, _Kind.HANDED_BACK)
_LINES = (_Kind.LOG, _Kind.STAGE)
_TONES: dict[str, str] = {_Kind.CRASHED: "lost", _Kind.SNOOZED: "scheduled", _Kind.HANDED_BACK: "pending"}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt, as far as its ending was told."""

    number: int
    word: str
    tone: str
    began: datetime | None
    ended: datetime | None
    text: str = ""
    traceback: str = ""
    own_frames: str = ""
    place: str = ""
    """Where in their own code it was raised."""
    worker_id: Any = None
    lines: list[TaskEvent] = field(default_factory=list)
    is_open: bool = False
    """The newest one that went wrong: its error is shown unfolded."""

    @property
    def took(self) -> str:
        return duration((self.ended - self.began).total_seconds()) if self.began and self.ended else ""


def attempts(task: Task, history: Timeline) -> list[Attempt]:
    """Newest first; one query, and that only if the history is longer than what is shown of it.

    What is not told of is the present attempt, which the row itself describes.
    """
    rows = [
        _told(task, next(iter(events))) for _, events in groupby(_endings(task, history), key=lambda one: one.attempt)
    ]
    rows = rows[:SHOWN]
    if task.attempt and (not rows or rows[0].number != task.attempt):
        rows.insert(0, _present(task))
    lines = _lines(history.events)
    rows = [replace(row, lines=lines.get(row.number, [])[-LINES:]) for row in rows]
    wrong = next((place for place, row in enumerate(rows) if row.traceback or row.tone in {"failed", "lost"}), None)
    return [replace(row, is_open=place == wrong) for place, row in enumerate(rows)]


def _endings(task: Task, history: Timeline) -> list[TaskEvent]:
    if history.earlier:
        return list(task.events.filter(kind__in=_ENDINGS).order_by("-attempt", "-seq")[: SHOWN * 2])
    found = [event for event in history.events if event.kind in _ENDINGS]
    return sorted(found, key=lambda event: (event.attempt, event.seq), reverse=True)


def _lines(events: Iterable[TaskEvent]) -> dict[int, list[TaskEvent]]:
    found: dict[int, list[TaskEvent]] = {}
    for event in events:
        if event.kind in _LINES:
            found.setdefault(event.attempt, []).append(event)
    return found


def _present(task: Task) -> Attempt:
    state = State(task.state)
    return Attempt(task.attempt, state.label, str(state), task.attempted_at, task.finished_at, worker_id=task.worker_id)


def _told(task: Task, event: TaskEvent) -> Attempt:
    data = event.data if isinstance(event.data, dict) else {}
    trace = str(data.get("traceback") or "")
    return Attempt(
        event.attempt,
        event.get_kind_display().removeprefix("Attempt ").capitalize(),
        _TONES.get(event.kind, "failed"),
        _began(task, event.attempt),
        event.at,
        event.text,
        trace,
        own_frames(trace),
        place_in(trace),
        event.worker_id,
    )


def _began(task: Task, number: int) -> datetime | None:
    """The row knows the begin of its first and of its latest attempt."""
    if number == task.attempt:
        return task.attempted_at
    return task.started_at if number == 1 else None
