"""Links by which people without an account watch one task: made and revoked on its page, shown on their own.

A link shows what its maker may still see. Each poll of its page asks for the link anew, so what was revoked
or has run out stops within seconds. Its token is in the path of the page alone: polls carry it in a header.
"""

from __future__ import annotations

from datetime import timedelta
from functools import wraps
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from taskcenter import progress, reports
from taskcenter.models import Report, Share, Task, TaskEvent
from taskcenter.states import State

from .access import may, signed_in
from .timeline import took

if TYPE_CHECKING:
    from uuid import UUID

    from .access import View

__all__ = ["share_create", "share_revoke", "shared_state", "shared_task", "shares_of"]

LASTS = {
    "hour": ("1 hour", timedelta(hours=1)),
    "day": ("1 day", timedelta(days=1)),
    "week": ("7 days", timedelta(days=7)),
    "month": ("30 days", timedelta(days=30)),
}
MOST = 20
"""Living links of one task."""
HEADERS = {
    # The address is the secret: no other site, search engine or cache may learn it.
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow, noarchive",
    "Cache-Control": "private, no-store",
    "X-Content-Type-Options": "nosniff",
}
TOKEN_HEADER = "X-Task-Token"  # noqa: S105 the name of it
GONE = "This link does not work any more. Ask whoever sent it for a new one."


def shares_of(request: HttpRequest, task: Task) -> dict[str, Any]:
    """What the page of a task shows about its links: nothing to those who may not share it."""
    if not may(request.user, "share", task):
        return {}
    living = Share.objects.alive().filter(task=task).select_related("created_by").newest_first()
    links = [(share, request.build_absolute_uri(_address(share))) for share in living]
    return {"may_share": True, "links": links, "lasts": [(key, word) for key, (word, _) in LASTS.items()]}


@require_POST
@signed_in
def share_create(request: HttpRequest, task_id: UUID) -> HttpResponse:
    """Make a link that works for `lasts`: hour, day, week, month."""
    task = _to_share(request, task_id)
    lasts = LASTS.get(request.POST.get("lasts", ""))
    if lasts is None:
        return HttpResponseBadRequest(f"lasts is one of {', '.join(LASTS)}.")
    with transaction.atomic():
        if Share.objects.alive().filter(task=task).count() >= MOST:
            messages.warning(request, f"There are {MOST} links to this task already. Take one back first.")
            return _back(task)
        share = Share.objects.make(task, request.user, lasts[1])
        _note(task, f"Made a link that works until {timezone.localtime(share.expires_at):%Y-%m-%d %H:%M}", request)
    messages.success(request, f"The link works for {lasts[0]}.")
    return _back(task)


@require_POST
@signed_in
def share_revoke(request: HttpRequest, task_id: UUID, pk: int) -> HttpResponse:
    """Take a link back; it works no more, also for whoever has it open."""
    task = _to_share(request, task_id)
    with transaction.atomic():
        if Share.objects.filter(task=task, pk=pk).revoke():
            _note(task, "Took a link back", request)
    messages.success(request, "That link does not work any more.")
    return _back(task)


def private(view: View) -> View:
    """Nothing of the answer is kept, indexed or told to other sites."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = view(request, *args, **kwargs)
        for name, value in HEADERS.items():
            response[name] = value
        return response

    return guarded


@require_safe
@private
def shared_task(request: HttpRequest, token: str) -> HttpResponse:
    """The task behind a link: its progress, live, and its report. Nothing can be done here."""
    snapshot = _opened(token)
    if snapshot is None:
        # Answered, not raised: a raised 404 would put the token into the log.
        return _gone(render(request, "taskcenter/shared_gone.html", status=404))
    task = snapshot.task
    report = Report.objects.newest_of(task.pk)
    context: dict[str, Any] = {"task": task, "snapshot": snapshot, "took": took(task), "token": token}
    if report:
        context |= {"report": report, "data": report.data, "sections": reports.sections(report.data)}
        context["body_template"] = reports.body_template(report.data)
    return render(request, "taskcenter/shared_task.html", context)


@require_safe
@private
def shared_state(request: HttpRequest) -> HttpResponse:
    """The frame of the task that the token in the header opens, as `task_state` answers; else 404."""
    # A page may name the task before its token: <id>:<token>.
    token = request.headers.get(TOKEN_HEADER, "").partition(",")[0].rpartition(":")[2].strip()
    snapshot = _opened(token)
    if snapshot is None:
        return JsonResponse({"error": GONE}, status=404)
    next_ = 1 if snapshot.task.state == State.PROCESSING else 5
    return JsonResponse({"tasks": [snapshot.frame(progress.Viewer())], "denied": [], "next": next_})


def _opened(token: str) -> progress.Snapshot | None:
    share = Share.objects.opened_by(token)
    if share is None:
        return None
    found = progress.snapshots(progress.visible(share.created_by).filter(pk=share.task_id))
    return found[0] if found else None


def _gone(response: HttpResponse) -> HttpResponse:
    response._has_been_logged = True  # type: ignore[attr-defined] # noqa: SLF001 Django would log the path, which is the token
    return response


def _to_share(request: HttpRequest, task_id: UUID) -> Task:
    task: Task = get_object_or_404(progress.visible(request.user).only("id", "owner"), pk=task_id)
    if not may(request.user, "share", task):
        raise PermissionDenied("You may not share this task.")
    return task


def _note(task: Task, text: str, request: HttpRequest) -> None:
    TaskEvent.objects.tell(task.pk, TaskEvent.Kind.LOG, text, actor=request.user)


def _address(share: Share) -> str:
    return reverse("taskcenter:shared-task", args=[share.token])


def _back(task: Task) -> HttpResponseRedirect:
    return HttpResponseRedirect(reverse("taskcenter:task-detail", args=[task.pk]) + "#share")
