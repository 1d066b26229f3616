"""Where a running task hangs: the button that asks its worker, and the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied

from taskcenter import lifecycle
from taskcenter.models import TaskEvent
from taskcenter.models.event import STACK_KINDS
from taskcenter.states import State

from .confirm import reason_of

if TYPE_CHECKING:
    from django.http import HttpRequest

    from taskcenter.models import Task
    from taskcenter.views.timeline import Timeline

    from .pages import TaskPages

__all__ = ["ask", "context", "may_ask"]

LOOKED_AT = 10
"""Questions and answers of a long history among which the newest answer is looked for."""
PERMISSION = "taskcenter.recover_task"
"""A stack shows code, and asking disturbs what runs: for those who put tasks right."""


def may_ask(request: HttpRequest) -> bool:
    """Whether this person may ask for stacks and see them."""
    return bool(request.user.has_perm(PERMISSION))


def context(request: HttpRequest, task: Task, history: Timeline, *, lost: bool) -> dict[str, Any]:
    """What the page shows of it: nothing to those who may not ask. A query only if the history is a long one."""
    if not may_ask(request):
        return {}
    told = [event for event in reversed(history.events) if event.kind in STACK_KINDS]
    if not told and history.earlier:
        told = list(TaskEvent.objects.about_stacks().filter(task_id=task.pk).order_by("-seq")[:LOOKED_AT])
    newest = told[0] if told else None
    awaits = newest is not None and newest.kind == TaskEvent.Kind.STACK_ASKED and newest.attempt == task.attempt
    runs = task.state == State.PROCESSING and not lost
    answer = next((event for event in told if event.kind == TaskEvent.Kind.STACK), None)
    return {"stack": answer, "awaits_stack": awaits and runs, "may_ask_for_stack": runs}


def ask(request: HttpRequest, model_admin: TaskPages, task: Task) -> None:
    """Ask, and say what came of it; raises PermissionDenied."""
    if not may_ask(request):
        raise PermissionDenied
    reason = reason_of(request)
    outcome = lifecycle.ask_for_stack(task.pk, actor=request.user, reason=reason)
    messages.add_message(request, messages.SUCCESS if outcome.moved else messages.WARNING, outcome.text)
    if outcome.moved:
        model_admin.log_change(request, task, f"Stack asked. {reason}".strip())
