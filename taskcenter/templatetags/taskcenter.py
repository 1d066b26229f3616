"""`{% load taskcenter %}`: live progress, badges, charts and the unread counter, in any template.

Everything is escaped: titles and messages may hold what a stranger uploaded.
"""

from __future__ import annotations

from math import floor
from typing import Any

from django import template
from django.urls import NoReverseMatch, get_script_prefix, reverse
from django.utils.safestring import SafeString

from taskcenter.charts import Chart, ChartError, chart_from_dict
from taskcenter.charts import render as render_chart
from taskcenter.models import Notification, Task
from taskcenter.progress import Snapshot, Viewer
from taskcenter.states import Shown, State

__all__ = ["register"]

register = template.Library()

SOCKET_PATH = "ws/taskcenter/"

WORDS = {str(value): str(label) for value, label in [*State.choices, *Shown.choices]}

# The same as in task-progress.js.
ICONS: dict[str, str] = {
    State.BLOCKED: "◌",
    State.SCHEDULED: "◷",
    State.PENDING: "⋯",
    State.PROCESSING: "◔",
    State.COMPLETED: "✓",
    State.FAILED: "✕",
    State.CANCELLED: "–",  # noqa: RUF001 a dash is meant
    Shown.RETRYING: "↻",
    Shown.STALLED: "‖",
    Shown.CANCELLING: "◧",
    Shown.LOST: "?",
}

MEANINGS: dict[str, str] = {
    State.BLOCKED: "Waits for its parents",
    State.SCHEDULED: "Waits for its time",
    State.PENDING: "Waits for a free worker",
    State.PROCESSING: "A worker is on it",
    State.COMPLETED: "Finished",
    State.FAILED: "Ended with an error; no tries are left",
    State.CANCELLED: "Stopped because somebody asked",
    Shown.RETRYING: "Failed; will be tried again",
    Shown.STALLED: "The worker lives, but progress does not move",
    Shown.CANCELLING: "Stop was asked; the task ends at its next checkpoint",
    Shown.LOST: "The worker stopped answering; the task will be recovered",
}


@register.inclusion_tag("taskcenter/_progress.html", takes_context=True)
def task_progress(
    context: template.Context,
    task: Task | Snapshot | dict[str, Any],
    *,
    compact: bool = False,
    cancel: bool = True,
    token: str = "",
    poll_url: str = "",
) -> dict[str, Any]:
    """The progress of a task: a bar, a word and a message that need no script, live with one.

    `task` is a row, or a snapshot or frame of `taskcenter.progress` where a list has many; a row alone is
    shown with the row's copy of its progress, at most two seconds old. With a `poll_url` of its own the bar
    asks there and opens no socket; `token` goes with each question.
    """
    request = context.get("request")
    frame = _frame(task, getattr(request, "user", None))
    offers_cancel = cancel and "cancel" in frame["can"] and context.get("csrf_token")
    return {
        "frame": frame,
        "badge": _badge(frame["shown"]),
        "percent": _percent(frame["progress"]),
        "value": None if frame["progress"] is None else f"{frame['progress']:.4g}",
        "message": _message(frame),
        "value_text": _value_text(frame),
        "compact": compact,
        "ws_url": "" if poll_url else get_script_prefix() + SOCKET_PATH,
        "poll_url": poll_url or _url("task-state"),
        "token": token,
        "cancel_url": _url("task-cancel", frame["id"]) if offers_cancel else "",
        "back": request.get_full_path() if request else "",
    }


@register.inclusion_tag("taskcenter/_assets.html", takes_context=True)
def task_progress_assets(context: template.Context) -> dict[str, Any]:
    """The style sheet and the script module of the above; once, in the head."""
    return {"nonce": context.get("csp_nonce", "")}


@register.inclusion_tag("taskcenter/_badge.html")
def task_badge(task: Task | Snapshot | dict[str, Any]) -> dict[str, Any]:
    """Icon and word of the state a task is shown in; not live."""
    return {"badge": _badge(_frame(task, None)["shown"]), "is_static": True}


@register.simple_tag
def chart(spec: dict[str, Any] | Chart) -> SafeString | str:
    """A chart of `taskcenter.charts`, or its dict, as an SVG figure; what cannot be drawn says so."""
    try:
        return render_chart(spec if isinstance(spec, Chart) else chart_from_dict(spec))
    except ChartError as error:
        return f"This chart cannot be drawn: {error}"


@register.inclusion_tag("taskcenter/_unread.html", takes_context=True)
def unread_notifications(context: template.Context) -> dict[str, Any]:
    """How many notifications the signed-in person has not read, kept current by the script."""
    user = getattr(context.get("request"), "user", None) or context.get("user")
    is_known = bool(user and user.is_authenticated)
    unread = Notification.objects.to(user).unread().count() if is_known else 0
    return {"is_known": is_known, "unread": unread, "ws_url": get_script_prefix() + SOCKET_PATH}


def _frame(task: Task | Snapshot | dict[str, Any], user: Any) -> dict[str, Any]:
    if isinstance(task, dict):
        return task
    snapshot = task if isinstance(task, Snapshot) else Snapshot(task)
    return snapshot.frame(Viewer.of(user))


def _badge(shown: str) -> dict[str, str]:
    return {"name": shown, "word": WORDS[shown], "icon": ICONS.get(shown, ""), "meaning": MEANINGS.get(shown, "")}


def _percent(progress: float | None) -> str:
    if progress is None:
        return ""
    # 100 % is a promise: nothing short of the end may round up to it.
    return "100%" if progress >= 1 else f"{min(99, floor(progress * 100 + 1e-6))}%"


def _counted(frame: dict[str, Any]) -> str:
    """620 of 1,000 rows"""
    if frame["done"] is None:
        return ""
    text = f"{frame['done']:,}" + (f" of {frame['total']:,}" if frame["total"] else "")
    return f"{text} {frame['unit']}".strip()


def _message(frame: dict[str, Any]) -> str:
    if frame["state"] == State.FAILED and frame["error"]:
        parts = [frame["error"]["type"], frame["error"]["message"]]
    else:
        parts = [frame["stage"] if frame["stage"] != frame["message"] else "", frame["message"]]
    return ": ".join(part for part in parts if part) or _counted(frame)


def _value_text(frame: dict[str, Any]) -> str:
    percent = _percent(frame["progress"])
    parts = [percent and f"{percent[:-1]} percent", _counted(frame) if frame["total"] else ""]
    return ", ".join(part for part in parts if part) or WORDS[frame["shown"]]


def _url(name: str, *args: Any) -> str:
    try:
        return reverse(f"taskcenter:{name}", args=args)
    except NoReverseMatch:
        # A site may leave our URLs out; then there is no polling and no cancel button.
        return ""
