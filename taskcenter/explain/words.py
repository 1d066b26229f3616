"""How numbers, times and tasks are written in an explanation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.utils import timezone

from taskcenter.models import Task, Worker

__all__ = ["as_data", "counted", "label", "listed", "span", "tasks_data", "when", "worker_data"]

_STEPS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def when(moment: datetime) -> str:
    """A time as people read it, in the time zone in force."""
    return f"{timezone.localtime(moment) if timezone.is_aware(moment) else moment:%Y-%m-%d %H:%M:%S %Z}".rstrip()


def span(seconds: float) -> str:
    """So long, in its two largest units: 12 s, 3 min 20 s, 2 d 4 h."""
    left, parts = max(0, round(seconds)), list[str]()
    for size, unit in _STEPS:
        number, left = divmod(left, size)
        if number or parts:
            parts.append(f"{number} {unit}" if number else "")
    return " ".join(filter(None, parts[:2])) or "0 s"


def counted(number: int, noun: str, *, at_least: bool = False) -> str:
    """One task, 3 tasks, at least 1,000 tasks."""
    return f"one {noun}" if number == 1 else f"{'at least ' if at_least else ''}{number:,} {noun}s"


def label(task: Task) -> str:
    """What people call a task, on one line whatever its title holds."""
    return "".join(letter if letter.isprintable() else " " for letter in task.label)


def listed(tasks: Sequence[Task], total: int) -> str:
    """Tasks by title and id, and how many more there are."""
    names = [f"{label(task)} ({task.pk})" for task in tasks]
    more = total - len(tasks)
    if not names:
        return ""
    return ", ".join(names) + (f" and {more:,} more" if more > 0 else "")


def tasks_data(tasks: Iterable[Task]) -> list[dict[str, Any]]:
    return [{"id": str(task.pk), "label": task.label, "state": str(task.state)} for task in tasks]


def worker_data(worker: Worker) -> dict[str, Any]:
    return {
        "id": str(worker.pk),
        "name": worker.name,
        "host": worker.host,
        "pid": worker.pid,
        "heartbeat_at": as_data(worker.heartbeat_at),
    }


def as_data(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
