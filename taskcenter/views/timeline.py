"""A task's history as one list: the times on its row merged with its events."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from taskcenter.models import Task, TaskEvent
from taskcenter.states import State

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["LEVELS", "LIMIT", "Moment", "Timeline", "duration", "timeline", "took"]

LIMIT = 200
"""Events shown: the latest ones."""
LEVELS = ("debug", "info", "warning", "error", "critical")
"""The least of them first."""

ENDINGS = {
    State.COMPLETED: ("Completed", "completed"),
    State.FAILED: ("Failed", "failed"),
    State.CANCELLED: ("Cancelled", "cancelled"),
}
# How an event looks: the name of the state whose colour it takes.
TONES = {
    TaskEvent.Kind.FAILED: "failed",
    TaskEvent.Kind.TIMED_OUT: "failed",
    TaskEvent.Kind.CRASHED: "lost",
    TaskEvent.Kind.RETRY_PLANNED: "retrying",
    TaskEvent.Kind.SNOOZED: "scheduled",
    TaskEvent.Kind.HANDED_BACK: "scheduled",
    TaskEvent.Kind.CANCEL_ASKED: "cancelling",
    TaskEvent.Kind.CANCELLED: "cancelled",
    TaskEvent.Kind.RETRIED: "processing",
    TaskEvent.Kind.RECOVERED: "processing",
    TaskEvent.Kind.SUPERSEDED: "lost",
    TaskEvent.Kind.STACK_ASKED: "stalled",
    TaskEvent.Kind.STACK: "stalled",
}


# The same for the person a task works for.
PLAIN = {
    "Enqueued": "Asked for",
    "First attempt began": "Begun",
    TaskEvent.Kind.FAILED.label: "A try failed",
    TaskEvent.Kind.TIMED_OUT.label: "A try took too long",
    TaskEvent.Kind.CRASHED.label: "A try broke off",
    TaskEvent.Kind.RETRY_PLANNED.label: "Will be tried again",
    TaskEvent.Kind.SNOOZED.label: "Put off",
    TaskEvent.Kind.HANDED_BACK.label: "Put back into the line",
    TaskEvent.Kind.CANCEL_ASKED.label: "Asked to stop",
    TaskEvent.Kind.RETRIED.label: "Asked to try again",
    TaskEvent.Kind.RECOVERED.label: "Taken up again",
}


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of the history."""

    at: datetime
    word: str
    text: str = ""
    tone: str = "pending"
    attempt: int = 0
    actor: Any = None
    traceback: str = ""
    anchor: str = ""


@dataclass(frozen=True, slots=True)
class Timeline:
    moments: list[Moment]
    earlier: int
    """Events that are left out because there are too many."""
    events: list[TaskEvent] = field(default_factory=list)
    """Those that are shown, oldest first."""


def timeline(task: Task, *, level: str = "", before: int = 0, plainly: bool = False) -> Timeline:
    """What happened to the task, oldest first. One query.

    With a level only events of that level and above, with `before` only those told before that one; neither
    shows the times of the row. `plainly`: for the person it works for, without queues, attempts and stacks.
    """
    events = task.events.select_related("actor").order_by("-seq")
    if plainly:
        events = events.exclude(kind__in=(TaskEvent.Kind.STACK, TaskEvent.Kind.STACK_ASKED))
    if level in LEVELS:
        events = events.filter(level__in=LEVELS[LEVELS.index(level) :])
    if before:
        events = events.filter(seq__lt=before)
    newest = list(events[: LIMIT + 1])
    cut = len(newest) > LIMIT
    earlier = newest[LIMIT].seq if cut else 0
    shown = newest[:LIMIT][::-1]
    moments = [*([] if level or before else _of_row(task)), *map(_of_event, shown)]
    if plainly:
        moments = [_plain(moment) for moment in moments]
    if any(event.kind == TaskEvent.Kind.CANCELLED and event.attempt == task.attempt for event in newest):
        # The event says the same as the row's end, and why.
        moments = [moment for moment in moments if moment.anchor or moment.at != task.finished_at]
    # Sorting is stable: what the row says of a moment comes before what the events say of it.
    return Timeline(sorted(moments, key=lambda moment: moment.at), earlier, shown)


def took(task: Task, now: datetime | None = None) -> str:
    """From the first attempt's begin to the end, or until now; empty before it began."""
    if task.started_at is None:
        return ""
    return duration(((task.finished_at or now or timezone.now()) - task.started_at).total_seconds())


def duration(seconds: float) -> str:
    """Seconds as people write them: 0.4 s, 0:07, 1:02:03."""
    if seconds < 1:
        return f"{max(0.0, seconds):.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _of_row(task: Task) -> list[Moment]:
    owner = f"for {task.owner}" if task.owner_id else ""
    moments = [Moment(task.created_at, "Enqueued", f"on queue {task.queue} {owner}".strip())]
    if task.started_at and task.started_at != task.attempted_at:
        moments.append(Moment(task.started_at, "First attempt began", tone="processing", attempt=1))
    if task.attempted_at:
        word = f"Attempt {task.attempt} began"
        moments.append(Moment(task.attempted_at, word, tone="processing", attempt=task.attempt))
    if task.finished_at:
        word, tone = ENDINGS[State(task.state)]
        moments.append(Moment(task.finished_at, word, tone=tone, attempt=task.attempt))
    return moments


def _plain(moment: Moment) -> Moment:
    word, text = moment.word, moment.text
    if word == TaskEvent.Kind.LOG.label and text:
        word, text = text, ""
    elif word == "Enqueued":
        text = ""
    elif word == f"Attempt {moment.attempt} began":
        word = "Begun" if moment.attempt == 1 else f"Begun again, try {moment.attempt}"
    return replace(moment, word=PLAIN.get(word, word), text=text)


def _of_event(event: TaskEvent) -> Moment:
    data = event.data if isinstance(event.data, dict) else {}
    tone = TONES.get(event.kind, "failed" if event.level == "error" else "pending")  # type: ignore[call-overload]
    return Moment(
        event.at,
        event.get_kind_display(),
        event.text,
        tone=tone,
        attempt=event.attempt,
        actor=event.actor,
        traceback=str(data.get("traceback") or ""),
        anchor=f"event-{event.seq}",
    )
