"""A person's notifications: the list, and marking them read."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from taskcenter import notifications
from taskcenter.models import Notification

from .access import back_to, signed_in, wants_json
from .paging import Keyset

__all__ = ["notification_list"]

PAGE_SIZE = 25


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def notification_list(request: HttpRequest) -> HttpResponse:
    """GET: the list. POST: mark `id` (may repeat) read, or with `all` every one."""
    if request.method == "POST":
        return _mark_read(request)
    rows = Notification.objects.to(request.user).select_related("task").only(*_SHOWN)
    keyset = Keyset(request.GET, PAGE_SIZE)
    try:
        page = keyset.cut(list(keyset.window(rows)))
    except ValueError:
        return redirect("taskcenter:notification-list")
    context = {"page": page, "unread": notifications.unread_count(request.user)}
    return render(request, "taskcenter/notification_list.html", context)


_SHOWN = ("text", "kind", "created_at", "read_at", "task__definition", "task__title", "task__state")


def _mark_read(request: HttpRequest) -> HttpResponse:
    try:
        ids = [int(one) for one in request.POST.getlist("id")]
    except ValueError:
        return HttpResponseBadRequest("A notification's id is a number.")
    if ids or "all" in request.POST:
        notifications.mark_read(request.user, None if "all" in request.POST else ids)
    if wants_json(request):
        return JsonResponse({"unread": notifications.unread_count(request.user)})
    return back_to(request, reverse("taskcenter:notification-list"))
