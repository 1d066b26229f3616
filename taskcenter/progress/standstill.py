"""Standstill: is a task that runs still moving? By its definition's usual pace, never by its age alone.

    TaskProgress   notes when it last told anything new, and its longest pause so far ── in what it keeps anyway
    usual_pause    the longest pause of the definition's latest completed tasks ── one query a minute
    is_stalled     whether this pause is much longer than those

Nothing is written for it. A stalled task is only shown as such: it runs on, and no recovery touches it.
"""

from __future__ import annotations

from datetime import datetime
from time import monotonic
from typing import TYPE_CHECKING, Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from taskcenter.definitions import find
from taskcenter.exceptions import UnknownDefinition
from taskcenter.models import Task
from taskcenter.states import State

from .store import Stored

if TYPE_CHECKING:
    from collections.abc import Hashable

__all__ = ["FLOOR", "Pauses", "forget", "is_stalled", "patience_with", "usual_pause"]

FLOOR = 60.0
"""Seconds of silence that never count as a standstill."""
TIMES = 3.0
"""So many times the longest pause known is too long."""
LATEST = 20
"""Completed tasks of a definition that its usual pace is taken from."""
ENOUGH = 5
"""Reports after which an attempt is judged by its own pauses where nothing else is known."""
KNOWN_FOR = 60.0
"""Seconds that the usual pause of a definition is remembered."""

_usual: dict[str, tuple[float, float | None]] = {}


class Pauses:
    """When one attempt last told anything new, and the longest pause before that."""

    def __init__(self) -> None:
        self._told: Hashable = None
        self._moved = monotonic()
        self._moved_at = ""
        self._longest = 0.0

    def after(self, now: float, now_text: str, told: Hashable) -> dict[str, Any]:
        """What is kept beside the progress `told` at `now`."""
        if not self._moved_at or told != self._told:
            self._longest = max(self._longest, now - self._moved)
            self._told, self._moved, self._moved_at = told, now, now_text
        return {"moved_at": self._moved_at, "longest_pause": round(self._longest, 1)}


def is_stalled(task: Task, progress: Stored | None, now: datetime | None = None) -> bool:
    """Whether a running task, whose worker lives, has stood still for too long. `progress` is the newest known.

    Asks the database only when the silence is long enough to ask.
    """
    if task.state != State.PROCESSING or task.attempted_at is None:
        return False
    silence = ((now or timezone.now()) - _moved_at(task, progress)).total_seconds()
    given = _stalled_after(task.definition)
    if given is None or (given == "usual" and silence <= FLOOR):
        return False
    patience = patience_with(task, progress) if given == "usual" else given
    return patience is not None and silence > patience


def patience_with(task: Task, progress: Stored | None) -> float | None:
    """Seconds that this attempt may be silent, beside `FLOOR`; None when nothing is known to measure it by."""
    own = _own_pause(progress)
    usual = usual_pause(task.definition)
    if usual is None and (progress is None or progress.seq < ENOUGH):
        return None
    return TIMES * max(own, usual or 0.0)


def usual_pause(definition: str) -> float | None:
    """The longest pause of its latest completed tasks, in seconds; None when there are none."""
    known = _usual.get(definition)
    if known is None or monotonic() > known[0]:
        known = _usual[definition] = monotonic() + KNOWN_FOR, _longest_pause(definition)
    return known[1]


def forget() -> None:
    """Ask the database anew, for tests."""
    _usual.clear()


def _longest_pause(definition: str) -> float | None:
    """Walks the index on (definition, state, id) from its end."""
    rows = Task.objects.filter(definition=definition, state=State.COMPLETED, attempted_at__isnull=False)
    kept = rows.order_by("-id").values_list("attempt", "attempted_at", "finished_at", "progress", "progress_state")
    pauses = [_pause_of(*row) for row in kept[:LATEST]]
    return max(pauses, default=None)


def _pause_of(attempt: int, began: Any, ended: Any, progress: float | None, state: Any) -> float:
    """One that told nothing paused for as long as it ran."""
    told = Stored.from_row(progress, state)
    if told is None or told.attempt != attempt:
        return float((ended - began).total_seconds())
    last: float = (ended - (_time(told.moved_at) or began)).total_seconds()
    return max(last, _own_pause(told))


def _own_pause(progress: Stored | None) -> float:
    pause = progress.metadata.get("longest_pause") if progress else None
    return float(pause) if isinstance(pause, int | float) else 0.0


def _moved_at(task: Task, progress: Stored | None) -> datetime:
    began: datetime = task.attempted_at  # type: ignore[assignment]  # the caller has looked
    return max(began, (_time(progress.moved_at) if progress else None) or began)


def _time(text: str) -> datetime | None:
    """A time that somebody else may have written."""
    try:
        found = parse_datetime(text)
    except ValueError:
        return None
    return found if found and timezone.is_aware(found) == timezone.is_aware(timezone.now()) else None


def _stalled_after(definition: str) -> Any:
    """What its definition says; a process that does not know it goes by the usual pace."""
    try:
        return find(definition).stalled_after
    except UnknownDefinition:
        return "usual"
