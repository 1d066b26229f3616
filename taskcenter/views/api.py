"""The same as the pages, for scripts: JSON whatever happens, and what to do about it.

Session and CSRF token are those of the site; docs/reference.md has the addresses and examples. Arguments,
results and tracebacks are not told: they may hold what was never meant for the person who only watches.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt

from taskcenter import progress
from taskcenter.models import Report, Task

from .access import PERMISSIONS
from .filters import Filters
from .paging import Keyset
from .reports import visible_report
from .tasks import ask, frame_of, seen, tasks_of

if TYPE_CHECKING:
    from uuid import UUID

__all__ = ["api_cancel", "api_nothing", "api_report", "api_retry", "api_task", "api_tasks"]

Answer = Callable[..., dict[str, Any]]

PAGE_SIZE, LARGEST_PAGE = 25, 100
EVENTS = 200
HEADERS = {"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"}
FACTS = ("definition", "queue", "priority", "failures", "crashes", "tags")
TIMES = ("created_at", "run_after", "started_at", "attempted_at", "finished_at")


class Refused(Exception):
    """The answer is a status, a sentence, and what to do."""

    def __init__(self, status: int, error: str, hint: str, **more: Any) -> None:
        super().__init__(error)
        self.status = status
        self.told = {"error": error, "hint": hint, **more}


def resource(method: str) -> Callable[[Answer], Callable[..., HttpResponse]]:
    """A view that answers this method with the dict that it is given, to people who signed in."""
    allowed = ["GET", "HEAD"] if method == "GET" else [method]

    def decorate(answer: Answer) -> Callable[..., HttpResponse]:
        @csrf_exempt  # only so that a refusal is JSON, too: _admit() asks for the token
        @wraps(answer)
        def view(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            try:
                _admit(request, allowed)
                return JsonResponse(answer(request, *args, **kwargs), headers=HEADERS)
            except Refused as refused:
                response = JsonResponse(refused.told, status=refused.status, headers=HEADERS)
            except Http404 as missing:
                told = {"error": str(missing), "hint": "Look for it in the list of tasks."}
                response = JsonResponse(told, status=404, headers=HEADERS)
            if response.status_code == 405:  # noqa: PLR2004 as it is written everywhere
                response.headers["Allow"] = ", ".join(allowed)
            return response

        return view

    return decorate


def _admit(request: HttpRequest, allowed: list[str]) -> None:
    if request.method not in allowed:
        raise Refused(405, f"{request.method} is not for this address.", f"Use {allowed[0]}.")
    if not request.user.is_authenticated:
        raise Refused(401, "Nobody is signed in.", "Sign in, and send the session's cookie.")
    if allowed == ["POST"] and _lacks_token(request):
        raise Refused(
            403, "The CSRF token is missing or wrong.", "Send the cookie csrftoken as header X-CSRFToken too."
        )


def _nothing(_: HttpRequest) -> HttpResponse:
    return HttpResponse()


def _lacks_token(request: HttpRequest) -> bool:
    guard = CsrfViewMiddleware(_nothing)
    guard.process_request(request)
    return guard.process_view(request, _nothing, (), {}) is not None


@resource("GET")
def api_tasks(request: HttpRequest) -> dict[str, Any]:
    """The tasks one may see, newest first."""
    try:
        size = max(1, min(int(request.GET.get("limit", PAGE_SIZE)), LARGEST_PAGE))
        page = tasks_of(request.user, Filters.of(request.GET), Keyset(request.GET, size))
    except ValueError as error:
        raise Refused(400, str(error), "See state, queue, definition, q, limit and after in the reference.") from None
    viewer = progress.Viewer.of(request.user)
    address = request.build_absolute_uri(request.path)
    return {
        "tasks": [snapshot.frame(viewer) for snapshot in page.items],
        "next": address + page.older if page.older else None,
    }


@resource("GET")
def api_task(request: HttpRequest, task_id: UUID) -> dict[str, Any]:
    """One task: its frame, its facts, its history, its report."""
    snapshot = seen(request.user, task_id)
    task, viewer = snapshot.task, progress.Viewer.of(request.user)
    return {
        **snapshot.frame(viewer),
        **{name: getattr(task, name) for name in FACTS},
        **{name: getattr(task, name) for name in TIMES},
        "events": _events(task),
        "report": _report_of(snapshot, viewer),
    }


@resource("POST")
def api_cancel(request: HttpRequest, task_id: UUID) -> dict[str, Any]:
    """Stop a task."""
    return _asked(request, task_id, "cancel")


@resource("POST")
def api_retry(request: HttpRequest, task_id: UUID) -> dict[str, Any]:
    """Run a failed or cancelled task again."""
    return _asked(request, task_id, "retry")


@resource("GET")
def api_report(request: HttpRequest, pk: int) -> dict[str, Any]:
    """A report and its data."""
    report = visible_report(request.user, pk)
    told = {name: getattr(report, name) for name in ("id", "title", "attempt", "created_at", "data")}
    return {**told, "task": report.task_id, "url": reverse("taskcenter:report-detail", args=[report.pk])}


@resource("GET")
def api_nothing(request: HttpRequest, rest: str) -> dict[str, Any]:  # noqa: ARG001 Django gives it
    """Every other address below."""
    raise Refused(404, "There is nothing at this address.", "The addresses are in docs/reference.md.")


def _asked(request: HttpRequest, task_id: UUID, verb: str) -> dict[str, Any]:
    try:
        task, outcome = ask(request.user, task_id, verb, _sent(request))
    except PermissionDenied as denied:
        raise Refused(403, str(denied), f"Its owner may, and whoever has {PERMISSIONS[verb]}.") from None
    frame = frame_of(request.user, task)
    if not outcome.moved:
        raise Refused(409, outcome.text, "Look at the state of the task; it may be what you want already.", task=frame)
    return {"task": frame, "text": outcome.text}


def _sent(request: HttpRequest) -> Mapping[str, Any]:
    """What the body says: a form, or a JSON object."""
    if request.content_type != "application/json":
        return request.POST
    try:
        sent = json.loads(request.body or b"{}")
    except (ValueError, RecursionError):
        sent = None
    if not isinstance(sent, dict):
        raise Refused(400, "The body is not a JSON object.", 'Send {"reason": "…", "once": "…"}, or no body.')
    return sent


def _events(task: Task) -> list[dict[str, Any]]:
    newest = task.events.select_related("actor").order_by("-seq")[:EVENTS]
    return [
        {
            "seq": event.seq,
            "ts": event.at,
            "attempt": event.attempt,
            "level": event.level,
            "kind": event.kind,
            "text": event.text,
            "actor": str(event.actor) if event.actor else None,
        }
        for event in reversed(newest)
    ]


def _report_of(snapshot: progress.Snapshot, viewer: progress.Viewer) -> dict[str, Any] | None:
    if snapshot.report is None or not viewer.reads(snapshot.report[1]):
        return None
    report = Report.objects.only("id", "title", "created_at").get(pk=snapshot.report[0])
    told = {"id": report.pk, "title": report.title, "created_at": report.created_at}
    return {**told, "api_url": reverse("taskcenter:api-report", args=[report.pk])}
