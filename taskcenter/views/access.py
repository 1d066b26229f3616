"""Who asks, and what kind of answer they want."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.utils.http import url_has_allowed_host_and_scheme

if TYPE_CHECKING:
    from taskcenter.models import Task

__all__ = ["back_to", "may", "signed_in", "wants_json"]

View = Callable[..., HttpResponse]

PERMISSIONS = {verb: f"taskcenter.{verb}_task" for verb in ("cancel", "retry", "share")}


def wants_json(request: HttpRequest) -> bool:
    """Whether the caller is a script: it accepts JSON and did not ask for a page."""
    return request.accepts("application/json") and not request.accepts("text/html")


def signed_in(view: View) -> View:
    """Only for people who signed in: a page sends the others to do so, JSON answers 401."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.user.is_authenticated:
            return view(request, *args, **kwargs)
        if wants_json(request):
            return JsonResponse({"error": "Sign in first."}, status=401)
        return redirect_to_login(request.get_full_path())

    return guarded


def may(user: Any, verb: str, task: Task) -> bool:
    """Whether that person may cancel, retry or share a task they see: it is theirs, or they hold the permission."""
    return task.owner_id == user.pk or bool(user.has_perm(PERMISSIONS[verb]))


def back_to(request: HttpRequest, default: str) -> HttpResponseRedirect:
    """Redirect to the form's `next` if it stays on this site, else to `default`."""
    target = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure())
    return HttpResponseRedirect(target if safe else default)
