"""A person's tasks: the list, one task's page, and the resources that cancel and retry it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from taskcenter import lifecycle, notifications, progress
from taskcenter.models import Task

from .access import back_to, may, signed_in, wants_json
from .paging import page_of
from .timeline import timeline, took

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

__all__ = ["task_cancel", "task_detail", "task_list", "task_retry"]

PAGE_SIZE = 25
REASON_LENGTH = 500
ONCE_LENGTH = 64
# Columns that a list never shows and that may hold a megabyte.
BLOBS = ("args", "kwargs", "result", "metadata")


@require_safe
@signed_in
def task_list(request: HttpRequest) -> HttpResponse:
    """My tasks, newest first."""
    rows = progress.visible(request.user).order_by("-id")
    page = page_of(request, rows, PAGE_SIZE)
    shown: Any = page.object_list
    items = [(snapshot, took(snapshot.task)) for snapshot in progress.snapshots(shown)]
    return render(request, "taskcenter/task_list.html", {"page": page, "items": items})


@require_safe
@signed_in
def task_detail(request: HttpRequest, task_id: UUID) -> HttpResponse:
    """One task: its progress now, what went wrong, its history, its report."""
    rows = progress.visible(request.user).select_related("owner").filter(pk=task_id)
    snapshots = progress.snapshots(rows)
    if not snapshots:
        raise Http404
    task = snapshots[0].task
    if task.is_final:
        # Whoever looks at the outcome need not be told of it any more.
        notifications.mark_read(request.user, task=task)
    context = {
        "task": task,
        "snapshot": snapshots[0],
        "timeline": timeline(task),
        "took": took(task),
        "offered": progress.allowed_actions(request.user, task),
        "show_traceback": getattr(request.user, "is_staff", False),
    }
    return render(request, "taskcenter/task_detail.html", context)


@require_POST
@signed_in
def task_cancel(request: HttpRequest, task_id: UUID) -> HttpResponse:
    """Stop a task: a waiting one at once, a running one at its next checkpoint."""
    return _ask(request, task_id, "cancel", lifecycle.request_cancel)


@require_POST
@signed_in
def task_retry(request: HttpRequest, task_id: UUID) -> HttpResponse:
    """Run a failed or cancelled task again."""
    return _ask(request, task_id, "retry", lifecycle.retry)


def _ask(request: HttpRequest, task_id: UUID, verb: str, move: Callable[..., lifecycle.Outcome]) -> HttpResponse:
    task = _visible_task(request, task_id)
    if not may(request.user, verb, task):
        if wants_json(request):
            return JsonResponse({"text": f"You may not {verb} this task."}, status=403)
        raise PermissionDenied(f"You may not {verb} this task.")
    given = {name: request.POST.get(name, "").replace("\0", "") for name in ("reason", "once")}
    once = given["once"][:ONCE_LENGTH]
    outcome = move(task.pk, actor=request.user, reason=given["reason"][:REASON_LENGTH], once=once)
    if wants_json(request):
        return JsonResponse({"task": _frame(request.user, task), "text": outcome.text, "moved": outcome.moved})
    level = messages.SUCCESS if outcome.moved else messages.WARNING
    messages.add_message(request, level, f"{task.label}: {outcome.text}")
    return back_to(request, reverse("taskcenter:task-detail", args=[task.pk]))


def _visible_task(request: HttpRequest, task_id: UUID) -> Task:
    rows = progress.visible(request.user).select_related("owner").defer(*BLOBS)
    task: Task = get_object_or_404(rows, pk=task_id)
    return task


def _frame(user: Any, task: Task) -> dict[str, Any] | None:
    frames = progress.frames(user, progress.visible(user).filter(pk=task.pk))
    return frames[0] if frames else None
