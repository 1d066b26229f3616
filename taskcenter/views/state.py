"""The state of tasks as JSON, for pages that cannot hold a socket and for scripts."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING
from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.views.decorators.http import require_safe

from taskcenter.models import Task
from taskcenter.progress import see, still_seen
from taskcenter.states import State

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["task_state"]

MAX_IDS = 200
SOON, LATER, MUCH_LATER = 1, 5, 15
"""Seconds until asking again is worth while: something runs, something waits, all has ended."""
PASSES = "X-Task-Token"
"""The header that carries passes, with commas between: addresses end in logs and histories."""


@require_safe
def task_state(request: HttpRequest) -> HttpResponseBase:
    """`?ids=a,b&rev=3,7` → `{tasks: [frame…], same: [id…], denied: [id…], next: seconds}`; 400 and `{error}`
    for bad ids.

    `same` are those of which the caller has the rev already and nothing else can have moved. Unknown and
    forbidden look alike, and to somebody who has neither signed in nor a pass all are forbidden.
    """
    try:
        known = _parsed(request.GET.get("ids", ""), request.GET.get("rev", ""))
    except ValueError as error:
        return JsonResponse({"error": str(error)}, status=400, headers={"Cache-Control": "no-store"})
    passes = request.headers.get(PASSES, "").split(",")[:MAX_IDS]
    same = _unchanged(request, known, passes)
    seen = see(request.user, [key for key in known if key not in same], passes)
    by_id = {str(one.snapshot.task.id): one.snapshot.frame(one.viewer) for one in seen}
    tasks = [by_id[key] for key in known if key in by_id]
    denied = [key for key in known if key not in by_id and key not in same]
    states = {*(frame["state"] for frame in tasks), *same.values()}
    answer = {"tasks": tasks, "same": [key for key in known if key in same], "denied": denied, "next": _next(states)}
    return _unless_known(request, JsonResponse(answer))


def _parsed(ids: str, revs: str) -> dict[str, int | None]:
    """The ids as we write them, each once, and the rev the caller has; raises ValueError with a sentence."""
    given = [part for part in ids.split(",") if part]
    if not given:
        raise ValueError("Name the tasks: ?ids=<uuid>,<uuid>")
    if len(given) > MAX_IDS:
        raise ValueError(f"At most {MAX_IDS} ids in one request, not {len(given)}.")
    known = [int(part) if part.isdecimal() else None for part in revs.split(",")]
    known += [None] * len(given)
    try:
        return {str(UUID(text)): rev for text, rev in zip(given, known, strict=False)}
    except ValueError:
        raise ValueError("Each of ids must be a UUID.") from None


def _unchanged(request: HttpRequest, known: dict[str, int | None], passes: list[str]) -> dict[str, str]:
    """The states of those of which the caller knows all: nothing but their state can change, and it has not."""
    asked = [key for key, rev in known.items() if rev is not None]
    if not asked:
        return {}
    rows = Task.objects.filter(id__in=asked).exclude(state=State.PROCESSING).values_list("id", "rev", "state")
    states = {str(task_id): state for task_id, rev, state in rows if rev == known[str(task_id)]}
    return {key: states[key] for key in still_seen(request.user, states, passes)} if states else {}


def _next(states: Iterable[str]) -> int:
    seen = set(states)
    if State.PROCESSING in seen:
        return SOON
    return LATER if seen & {State.PENDING, State.SCHEDULED, State.BLOCKED} else MUCH_LATER


def _unless_known(request: HttpRequest, answer: HttpResponse) -> HttpResponseBase:
    """304 and no body for whoever has this very answer. Browsers keep it for themselves and ask each time."""
    answer.headers["Cache-Control"] = "private, no-cache"
    answer.headers["ETag"] = etag = f'"{hashlib.sha256(answer.content).hexdigest()[:32]}"'
    patch_vary_headers(answer, ("Cookie", PASSES))
    return get_conditional_response(request, etag=etag, response=answer) or answer
