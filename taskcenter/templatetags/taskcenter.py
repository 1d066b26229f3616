"""`{% load taskcenter %}`: live progress, badges, charts and the unread counter, in any template.

Everything is escaped: titles and messages may hold what a stranger uploaded.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django import template
from django.urls import NoReverseMatch, get_script_prefix, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.timesince import timesince

from taskcenter.charts import Chart, ChartError, chart_from_dict
from taskcenter.charts import render as render_chart
from taskcenter.models import Notification, Task
from taskcenter.progress import Snapshot, Viewer, words

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["register"]

register = template.Library()

SOCKET_PATH = "ws/taskcenter/"


@register.inclusion_tag("taskcenter/_progress.html", takes_context=True)
def task_progress(
    context: template.Context,
    task: Task | Snapshot | dict[str, Any],
    *,
    compact: bool = False,
    cancel: bool = True,
    stages: Iterable[str] | bool = False,
    token: str = "",
    poll_url: str = "",
    title: bool = False,
    reload_on_finish: bool = False,
    redirect_on_finish: str = "",
) -> dict[str, Any]:
    """The progress of a task: a bar, a word and a message that need no script, live with one.

    `task` is a row, or a snapshot or frame of `taskcenter.progress` where a list has many; a row alone is
    shown with the row's copy of its progress, at most two seconds old. `stages` lists the stages: these names
    and whatever the task tells; True: what it tells. `title` puts the percentage into the document's title.
    With a `poll_url` of its own the bar asks there and opens no socket; `token` goes with each question.
    """
    request = context.get("request")
    frame, now = _frame(task, getattr(request, "user", None)), timezone.now()
    offers_cancel = cancel and "cancel" in frame["can"] and context.get("csrf_token")
    names = [] if isinstance(stages, bool) else [str(name) for name in stages]
    return {
        "frame": frame,
        "badge": _badge(frame["shown"]),
        "percent": words.percent_text(frame["progress"]),
        "value": None if frame["progress"] is None else f"{frame['progress']:.4g}",
        "message": words.message_text(frame, has_stages=bool(stages)),
        "count": words.count_text(frame),
        "time": words.time_text(frame, now),
        "value_text": words.value_text(frame, now),
        "has_stages": bool(stages),
        "stages": words.stage_list(names, frame, now) if stages else [],
        "compact": compact,
        "token": token,
        "title": title,
        "reload_on_finish": reload_on_finish,
        "redirect_on_finish": redirect_on_finish,
        "ws_url": "" if poll_url else get_script_prefix() + SOCKET_PATH,
        "poll_url": poll_url or _url("task-state"),
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


@register.filter
def ago(at: datetime) -> str:
    """5 minutes ago, 2 hours ago, just now: in one unit, the exact time is said beside it."""
    told = timesince(at, depth=1)
    return "just now" if told.startswith("0") else f"{told} ago"


def _frame(task: Task | Snapshot | dict[str, Any], user: Any) -> dict[str, Any]:
    if isinstance(task, dict):
        return task
    snapshot = task if isinstance(task, Snapshot) else Snapshot(task)
    return snapshot.frame(Viewer.of(user))


def _badge(shown: str) -> dict[str, str]:
    named = {"word": words.WORDS, "icon": words.ICONS, "meaning": words.MEANINGS}
    return {"name": shown} | {name: table[shown] for name, table in named.items()}


def _url(name: str, *args: Any) -> str:
    try:
        return reverse(f"taskcenter:{name}", args=args)
    except NoReverseMatch:
        # A site may leave our URLs out; then there is no polling and no cancel button.
        return ""
