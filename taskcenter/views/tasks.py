"""A person's tasks: the list, one task's page, and the resources that cancel and retry it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from taskcenter import lifecycle, notifications, progress
from taskcenter.models import Task

from .access import back_to, may, signed_in, wants_json
from .filters import TABS, Filters
from .paging import Keyset, Slice
from .shares import shares_of
from .timeline import timeline, took
from .waits import why_it_waits

if TYPE_CHECKING:
    from uuid import UUID

__all__ = ["ask", "frame_of", "seen", "task_cancel", "task_detail", "task_list", "task_retry", "tasks_of"]

PAGE_SIZE = 25
REASON_LENGTH = 500
ONCE_LENGTH = 64
# Columns that a list never shows and that may hold a megabyte.
BLOBS = ("args", "kwargs", "result", "metadata")


@require_safe
@signed_in
def task_list(request: HttpRequest) -> HttpResponse:
    """My tasks, newest first. An address that asks for what there is not gets the whole list."""
    try:
        filters = Filters.of(request.GET)
        page = tasks_of(request.user, filters, Keyset(request.GET, PAGE_SIZE))
    except ValueError:
        return redirect("taskcenter:task-list")
    context = {
        "page": page,
        "items": [(snapshot, took(snapshot.task)) for snapshot in page.items],
        "filters": filters,
        "tabs": TABS,
    }
    return render(request, "taskcenter/task_list.html", context)


def tasks_of(user: Any, filters: Filters, keyset: Keyset) -> Slice[progress.Snapshot]:
    """A page of the tasks that person may see; raises ValueError when its key is none."""
    rows = filters.narrow(progress.visible(user)).select_related("owner")
    return keyset.cut(progress.snapshots(keyset.window(rows)), lambda snapshot: snapshot.task.pk)


@require_safe
@signed_in
def task_detail(request: HttpRequest, task_id: UUID) -> HttpResponse:
    """One task: its progress now, what went wrong, its history, its report."""
    snapshot = seen(request.user, task_id)
    task = snapshot.task
    if task.is_final:
        # Whoever looks at the outcome need not be told of it any more.
        notifications.mark_read(request.user, task=task)
    is_staff = bool(getattr(request.user, "is_staff", False))
    context = {
        "task": task,
        "snapshot": snapshot,
        "timeline": timeline(task, plainly=not is_staff),
        "took": took(task),
        "offered": progress.allowed_actions(request.user, task),
        "waits": why_it_waits(request.user, task, plainly=not is_staff),
        "show_traceback": is_staff,
        **shares_of(request, task),
    }
    return render(request, "taskcenter/task_detail.html", context)


def seen(user: Any, task_id: UUID) -> progress.Snapshot:
    """The task as it is now, if that person may see it; else Http404."""
    for snapshot in progress.snapshots(progress.visible(user).select_related("owner").filter(pk=task_id)):
        return snapshot
    raise Http404("There is no such task, or it is not yours to see.")


@require_POST
@signed_in
def task_cancel(request: HttpRequest, task_id: UUID) -> HttpResponse:
    """Stop a task: a waiting one at once, a running one at its next checkpoint."""
    return _asked(request, task_id, "cancel")


@require_POST
@signed_in
def task_retry(request: HttpRequest, task_id: UUID) -> HttpResponse:
    """Run a failed or cancelled task again."""
    return _asked(request, task_id, "retry")


def _asked(request: HttpRequest, task_id: UUID, verb: str) -> HttpResponse:
    """The form's own answer: a page, or the new state for a script that sends the form in its place."""
    try:
        task, outcome = ask(request.user, task_id, verb, request.POST)
    except PermissionDenied as denied:
        if wants_json(request):
            return JsonResponse({"error": str(denied)}, status=403)
        raise
    if wants_json(request):
        return JsonResponse({"task": frame_of(request.user, task), "text": outcome.text, "moved": outcome.moved})
    level = messages.SUCCESS if outcome.moved else messages.WARNING
    messages.add_message(request, level, f"{task.label}: {outcome.text}")
    return back_to(request, reverse("taskcenter:task-detail", args=[task.pk]))


def ask(user: Any, task_id: UUID, verb: str, given: Mapping[str, Any]) -> tuple[Task, lifecycle.Outcome]:
    """Cancel or retry a task for that person; `given` may have a `reason` and a `once`.

    Raises Http404 when they may not see it, PermissionDenied when they may only look.
    """
    task: Task = get_object_or_404(progress.visible(user).select_related("owner").defer(*BLOBS), pk=task_id)
    if not may(user, verb, task):
        raise PermissionDenied(f"You may not {verb} this task.")
    reason, once = (str(given.get(name) or "").replace("\0", "") for name in ("reason", "once"))
    return task, VERBS[verb](task.pk, actor=user, reason=reason[:REASON_LENGTH], once=once[:ONCE_LENGTH])


VERBS: dict[str, Callable[..., lifecycle.Outcome]] = {"cancel": lifecycle.request_cancel, "retry": lifecycle.retry}


def frame_of(user: Any, task: Task) -> dict[str, Any] | None:
    """The task as that person may see it now; None when that was taken from them meanwhile."""
    frames = progress.frames(user, progress.visible(user).filter(pk=task.pk))
    return frames[0] if frames else None
