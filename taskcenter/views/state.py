"""The state of tasks as JSON, for pages that cannot hold a socket and for scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from taskcenter.progress import frames, visible
from taskcenter.states import State

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["task_state"]

MAX_IDS = 200
SOON, LATER, MUCH_LATER = 1, 5, 15
"""Seconds until asking again is worth while: something runs, something waits, all has ended."""


@require_safe
def task_state(request: HttpRequest) -> JsonResponse:
    """`?ids=a,b` → `{tasks: [frame…], denied: [id…], next: seconds}`; 400 and `{error}` for bad ids.

    Unknown and forbidden look alike, and to somebody who has not signed in all are forbidden.
    """
    given = [part for part in request.GET.get("ids", "").split(",") if part]
    try:
        ids = _parsed(given)
    except ValueError as error:
        return _answer({"error": str(error)}, status=400)
    found = frames(request.user, visible(request.user).filter(id__in=ids))
    by_id = {frame["id"]: frame for frame in found}
    tasks = [by_id[key] for key in ids if key in by_id]
    denied = [key for key in ids if key not in by_id]
    return _answer({"tasks": tasks, "denied": denied, "next": _next(frame["state"] for frame in found)})


def _parsed(given: list[str]) -> list[str]:
    """The ids as we write them, each once; raises ValueError with a sentence for people."""
    if not given:
        raise ValueError("Name the tasks: ?ids=<uuid>,<uuid>")
    if len(given) > MAX_IDS:
        raise ValueError(f"At most {MAX_IDS} ids in one request, not {len(given)}.")
    try:
        return list(dict.fromkeys(str(UUID(text)) for text in given))
    except ValueError:
        raise ValueError("Each of ids must be a UUID.") from None


def _next(states: Iterable[str]) -> int:
    seen = set(states)
    if State.PROCESSING in seen:
        return SOON
    return LATER if seen & {State.PENDING, State.SCHEDULED, State.BLOCKED} else MUCH_LATER


def _answer(data: dict[str, object], status: int = 200) -> JsonResponse:
    return JsonResponse(data, status=status, headers={"Cache-Control": "no-store"})
