"""What the page of one task shows beside its progress: what went wrong, facts, attempts, data, history."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

from taskcenter import progress
from taskcenter.explain import Explanation, explain
from taskcenter.models import Report, Task, TaskEvent, Worker
from taskcenter.states import State
from taskcenter.views.timeline import duration, timeline, took

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["page_context"]

JSON_LIMIT = 8 * 1024
"""Characters of input or result that the page shows."""
ATTEMPTS_SHOWN = 20

_SECRET = re.compile(r"passw|secret|token|api_?key|credential|authorization", re.IGNORECASE)

_ENDINGS = frozenset(
    {
        TaskEvent.Kind.FAILED,
        TaskEvent.Kind.TIMED_OUT,
        TaskEvent.Kind.CRASHED,
        TaskEvent.Kind.SNOOZED,
        TaskEvent.Kind.HANDED_BACK,
    }
)

_TONES: dict[str, str] = {
    TaskEvent.Kind.CRASHED: "lost",
    TaskEvent.Kind.SNOOZED: "scheduled",
    TaskEvent.Kind.HANDED_BACK: "pending",
}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt, as far as its ending was told."""

    number: int
    word: str
    tone: str
    at: datetime | None
    text: str = ""
    traceback: str = ""
    worker_id: Any = None
    is_open: bool = False
    """The newest one that went wrong: its error is shown unfolded."""


def page_context(task: Task, user: Any) -> dict[str, Any]:
    """Everything the template of a task's page names. Eight queries at most, and those of explain()."""
    snapshot = progress.snapshots(Task.objects.filter(pk=task.pk))[0]
    worker = Worker.objects.filter(pk=task.worker_id).first() if task.worker_id else None
    return {
        "task": task,
        "snapshot": snapshot,
        "worker": worker,
        "is_lost": not snapshot.worker_alive,
        "explanation": _explained(task, user),
        "facts": [(name, value) for name, value in _facts(task) if value not in {None, ""}],
        "attempts": _attempts(task),
        "report": Report.objects.defer("data").newest_of(task.pk),
        "input": _shown({"args": task.args, "kwargs": task.kwargs}) if task.args or task.kwargs else "",
        "result": _shown(task.result) if task.result is not None else "",
        "metadata": _shown(task.metadata) if task.metadata else "",
        "timeline": timeline(task),
        "took": took(task),
        "show_traceback": True,
    }


def _explained(task: Task, user: Any) -> Explanation | None:
    """Why it is not running; None when it is, or is over."""
    found = None if task.is_final else explain(task, user=user)
    return None if found is None or found.is_running else found


def _facts(task: Task) -> list[tuple[str, Any]]:
    waited = (task.started_at - task.created_at).total_seconds() if task.started_at else None
    return [
        ("Id", task.pk),
        ("Definition", task.definition),
        ("Queue", task.queue),
        ("Priority", task.priority),
        ("Owner", task.owner),
        ("Created", task.created_at),
        ("Due", task.run_after),
        ("First began", task.started_at),
        ("Latest began", task.attempted_at if task.attempted_at != task.started_at else None),
        ("Finished", task.finished_at),
        ("Waited", duration(waited) if waited is not None else None),
        ("Took", took(task)),
        ("Attempt", task.attempt),
        ("Failures", f"{task.failures} of {task.max_attempts}"),
        ("Crashes", f"{task.crashes} of {task.max_crashes}" if task.crashes else None),
        ("Interrupted", task.interrupted or None),
        ("Time limit", duration(task.timeout) if task.timeout else None),
        ("Parent", task.parent_id),
        ("Tags", ", ".join(map(str, task.tags)) if task.tags else None),
        ("Code version", task.code_version),
    ]


def _attempts(task: Task) -> list[Attempt]:
    """Newest first. What is not told of is the present attempt, which the row itself describes."""
    ended = task.events.filter(kind__in=_ENDINGS).order_by("-attempt", "-seq")[: ATTEMPTS_SHOWN * 2]
    told = [_told(next(iter(events))) for _, events in groupby(ended, key=lambda event: event.attempt)]
    rows = told[:ATTEMPTS_SHOWN]
    if task.attempt and (not rows or rows[0].number != task.attempt):
        state = State(task.state)
        rows.insert(0, Attempt(task.attempt, state.label, str(state), task.finished_at or task.attempted_at))
    for position, row in enumerate(rows):
        if row.traceback or row.tone in {"failed", "lost"}:
            rows[position] = replace(row, is_open=True)
            break
    return rows


def _told(event: TaskEvent) -> Attempt:
    traceback = event.data.get("traceback", "") if isinstance(event.data, dict) else ""
    tone = _TONES.get(event.kind, "failed")
    word = event.get_kind_display().removeprefix("Attempt ").capitalize()
    return Attempt(event.attempt, word, tone, event.at, event.text, str(traceback or ""), event.worker_id)


def _shown(value: Any) -> str:
    """Indented JSON with secrets masked, cut at the limit."""
    text = json.dumps(_masked(value), ensure_ascii=False, indent=2)
    if len(text) <= JSON_LIMIT:
        return text
    return f"{text[:JSON_LIMIT]}\n… cut here; {len(text) - JSON_LIMIT:,} more characters"


def _masked(value: Any) -> Any:
    match value:
        case dict():
            return {key: "********" if _SECRET.search(key) else _masked(one) for key, one in value.items()}
        case list():
            return [_masked(one) for one in value]
    return value
