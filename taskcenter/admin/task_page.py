"""What the page of one task shows: what went wrong first; facts, attempts, data, history."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from taskcenter import progress
from taskcenter.explain import Explanation, explain
from taskcenter.models import Report, Task, Worker
from taskcenter.states import State
from taskcenter.views.masked import as_text
from taskcenter.views.timeline import Timeline, duration, timeline, took

from .attempts import Attempt, attempts

if TYPE_CHECKING:
    from django.http import HttpRequest

    from taskcenter.models import TaskQuerySet

__all__ = ["PARTS", "page_context", "part_of"]

SHOWN = 8 * 1024
"""Characters of input or result that the page shows; all of it is there to download."""
ALIKE = 99
"""Tasks that failed alike are counted no further."""
LEVELS = (("", "All"), ("warning", "Warnings and errors"), ("error", "Errors"))
PARTS = {"input": "Input", "result": "Result", "metadata": "Metadata"}


@dataclass(frozen=True, slots=True)
class Part:
    """JSON of the row, masked and cut."""

    name: str
    label: str
    text: str
    left_out: str


def page_context(request: HttpRequest, task: Task, seen: TaskQuerySet) -> dict[str, Any]:
    """Everything the template names. `seen` are the tasks this person may see. Six queries, and those of explain()."""
    snapshot = progress.snapshots([task])[0]
    history = timeline(task)
    tries = attempts(task, history)
    is_lost = not snapshot.worker_alive
    return {
        "task": task,
        "snapshot": snapshot,
        "is_live": not task.is_final,
        "worker": Worker.objects.filter(pk=task.worker_id).first() if task.worker_id else None,
        "is_lost": is_lost,
        "wrong": _wrong(task, tries),
        "alike": _alike(task, seen),
        "explanation": _explained(task, request.user, is_lost=is_lost),
        "facts": [(name, value) for name, value in _facts(task) if value not in {None, ""}],
        "attempts": tries,
        "report": _report(snapshot),
        "parts": [part for name in PARTS if (part := _part(task, name))],
        "timeline": _timeline(request, task, history),
        "history": history,
        "level": request.GET.get("level", ""),
        "levels": LEVELS,
        "took": took(task),
        "waited": _waited(task),
    }


def part_of(task: Task, name: str) -> Any:
    """That JSON of the row; None where there is none."""
    match name:
        case "input":
            return {"args": task.args, "kwargs": task.kwargs} if task.args or task.kwargs else None
        case "result":
            return task.result
        case "metadata":
            return task.metadata or None
    return None


def _part(task: Task, name: str) -> Part | None:
    value = part_of(task, name)
    if value is None:
        return None
    text = as_text(value)
    left_out = f"{len(text) - SHOWN:,}" if len(text) > SHOWN else ""
    return Part(name, PARTS[name], text[:SHOWN], left_out)


def _wrong(task: Task, tries: list[Attempt]) -> Attempt | None:
    """The attempt whose error the row tells of."""
    is_shown = bool(task.error_message or task.error_type) and task.state in {State.FAILED, State.SCHEDULED}
    return next((one for one in tries if one.is_open), None) if is_shown else None


def _alike(task: Task, seen: TaskQuerySet) -> int:
    """How many others are failed now for the same reason, and since a day at most."""
    if task.state != State.FAILED or not task.fingerprint:
        return 0
    day = timezone.now() - timedelta(days=1)
    others = seen.failed_like(task.fingerprint).failed_since(day).exclude(pk=task.pk)
    return others.order_by()[: ALIKE + 1].count()


def _explained(task: Task, user: Any, *, is_lost: bool) -> Explanation | None:
    """Why it is not running; None when it is, or is over."""
    runs = task.state == State.PROCESSING and not (is_lost or task.cancel_requested_at)
    if task.is_final or runs:
        return None
    found = explain(task, user=user)
    return None if found.is_running else found


def _report(snapshot: progress.Snapshot) -> dict[str, Any] | None:
    """Title, opening and key numbers of the newest report. Who sees the task sees it."""
    if snapshot.report is None:
        return None
    report: Any = Report.objects.in_short().get(pk=snapshot.report[0])
    summary, facts = report.summary, report.facts if isinstance(report.facts, dict) else {}
    if isinstance(summary, dict):
        tiles = [tile for tile in summary.get("tiles", ()) if isinstance(tile, dict)]
        facts = facts or {tile.get("label"): tile.get("value") for tile in tiles}
        summary = summary.get("headline", "")
    return {"pk": report.pk, "title": report.title, "summary": summary or "", "facts": list(facts.items())[:6]}


def _timeline(request: HttpRequest, task: Task, history: Timeline) -> Timeline:
    """The whole history, or what the address narrows it to."""
    level, before = request.GET.get("level", ""), request.GET.get("before", "")
    if not level and not before:
        return history
    return timeline(task, level=level, before=int(before) if before.isdecimal() and len(before) < 10 else 0)  # noqa: PLR2004 fits the column


def _waited(task: Task) -> str:
    return duration((task.started_at - task.created_at).total_seconds()) if task.started_at else ""


def _facts(task: Task) -> list[tuple[str, Any]]:
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
        ("Waited", _waited(task)),
        ("Took", took(task)),
        ("Attempt", task.attempt),
        ("Failures", f"{task.failures} of {task.max_attempts}"),
        ("Crashes", f"{task.crashes} of {task.max_crashes}" if task.crashes else None),
        ("Interrupted", task.interrupted or None),
        ("Time limit", duration(task.timeout) if task.timeout else None),
        ("Tags", ", ".join(map(str, task.tags)) if task.tags else None),
        ("Code version", task.code_version),
    ]
