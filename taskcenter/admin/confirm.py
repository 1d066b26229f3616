"""The confirmation page: what will be done, to how many, what is skipped and why; then it is done."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import BadRequest
from django.template.response import TemplateResponse

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from django.http import HttpRequest

    from taskcenter.models import Task

    from .tasks import TaskAdminMixin
    from .verbs import Verb

__all__ = ["BULK_LIMIT", "Selection", "carry_out", "confirmation", "posted_ids", "reason_of"]

BULK_LIMIT = 1000
"""Tasks that one action takes; the others are left for the next one."""
SHOWN = 20
REASON_LENGTH = 500


@dataclass(frozen=True, slots=True)
class Selection:
    """Tasks sorted by whether the verb makes sense for them now."""

    fitting: list[Task] = field(default_factory=list)
    skipped: list[tuple[Task, str]] = field(default_factory=list)

    @classmethod
    def of(cls, verb: Verb, tasks: Iterable[Task]) -> Selection:
        found = cls()
        for task in tasks:
            reason = verb.why_not(task)
            if reason:
                found.skipped.append((task, reason))
            else:
                found.fitting.append(task)
        return found


def confirmation(
    request: HttpRequest, model_admin: TaskAdminMixin, verb: Verb, tasks: Sequence[Task], *, left_out: int = 0
) -> TemplateResponse:
    """The page that asks; its form goes to the bulk address with the ids it showed."""
    selection = Selection.of(verb, tasks)
    what = "this task" if len(tasks) == 1 else f"{len(selection.fitting)} tasks"
    context = {
        **model_admin.admin_site.each_context(request),
        "title": f"{verb.label} {what}?",
        "opts": model_admin.opts,
        "media": model_admin.media,
        "verb": verb,
        "single": tasks[0] if len(tasks) == 1 else None,
        "fitting": selection.fitting[:SHOWN],
        "count": len(selection.fitting),
        "more": max(0, len(selection.fitting) - SHOWN),
        "skipped": selection.skipped[:SHOWN],
        "skipped_count": len(selection.skipped),
        "skipped_more": max(0, len(selection.skipped) - SHOWN),
        "left_out": left_out,
        "ids": ",".join(str(task.pk) for task in selection.fitting),
        "preserved_filters": model_admin.get_preserved_filters(request),
    }
    request.current_app = model_admin.admin_site.name
    return TemplateResponse(request, "admin/taskcenter/task/confirm.html", context)


def carry_out(
    request: HttpRequest, model_admin: TaskAdminMixin, verb: Verb, tasks: Iterable[Task], reason: str
) -> None:
    """Do it to each and say how it went. Each move decides for itself: a double click is harmless."""
    refusals: list[str] = []
    texts: list[str] = []
    for task in tasks:
        if not model_admin.may(request, verb, task):
            refusals.append("You may not do that to it.")
            continue
        outcome = verb.run(task.pk, actor=request.user, reason=reason)
        if not outcome.moved:
            refusals.append(outcome.text)
            continue
        texts.append(outcome.text)
        model_admin.log_change(request, task, f"{verb.label}: {outcome.text} {reason}".strip())
    _say(request, verb, texts, refusals)


def _say(request: HttpRequest, verb: Verb, texts: list[str], refusals: list[str]) -> None:
    match texts, refusals:
        case [text], []:
            messages.success(request, text)
        case [], [text]:
            messages.warning(request, text)
        case _, []:
            messages.success(request, f"{len(texts)} {verb.done}.")
        case _:
            level = messages.SUCCESS if texts else messages.WARNING
            why = "; ".join(sorted({text.rstrip(".") for text in refusals})[:3])
            messages.add_message(request, level, f"{len(texts)} {verb.done}, {len(refusals)} skipped ({why}).")


def posted_ids(request: HttpRequest) -> list[UUID]:
    """The ids that the confirmation page carried, at most `BULK_LIMIT`; BadRequest on anything else."""
    given = [one for one in request.POST.get("ids", "").split(",") if one]
    if not given or len(given) > BULK_LIMIT:
        raise BadRequest(f"Name 1 to {BULK_LIMIT} tasks.")
    try:
        return [UUID(one) for one in given]
    except ValueError as error:
        raise BadRequest("That is not a list of task ids.") from error


def reason_of(request: HttpRequest) -> str:
    """What the person wrote as the reason, without control characters, cut."""
    text: Any = " ".join(request.POST.get("reason", "").replace("\0", "").split())
    return str(text)[:REASON_LENGTH]
