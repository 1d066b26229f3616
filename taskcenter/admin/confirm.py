"""The confirmation page: what will be done, to how many, what is left alone and why; then it is done.

The counts are a dry run of the very rule by which each task is judged again when its turn comes.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import BadRequest
from django.db import transaction
from django.template.response import TemplateResponse

from taskcenter import operations
from taskcenter.conf import get_settings
from taskcenter.exceptions import InvalidPayload, UnknownDefinition
from taskcenter.models import Worker
from taskcenter.models.narrow import by_definition, cases, lost_among
from taskcenter.operations import IDS_LIMIT, Order, Selection
from taskcenter.rules import Ruling, Tally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.http import HttpRequest

    from taskcenter.lifecycle import Outcome
    from taskcenter.models import Task, TaskQuerySet
    from taskcenter.operations import Verb

    from .pages import TaskPages
    from .tasks import TaskAdminMixin

__all__ = ["Question", "carry_out_many", "carry_out_one", "confirmation", "once_of", "posted_selection", "reason_of"]

SHOWN = 20
LOOKED_AT = 1000
"""Tasks among which those to be shown are looked for."""
REASON_LENGTH = 500
NO_REASON = "Say why: the reason is kept."
_ONCE = re.compile(r"[0-9a-z-]{1,64}")


@dataclass(frozen=True, slots=True)
class Question:
    """What an operator is asked about."""

    verb: Verb
    selection: Selection
    rows: TaskQuerySet
    """Those of the selection that this person may see."""
    single: Task | None = None
    left_out: int = 0
    """Tasks that were selected beyond what can be named one by one."""
    tally: Tally = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tally", Tally.of(self.verb.rule, cases(self.rows)))

    @property
    def needs_reason(self) -> bool:
        return self.single is None or self.verb.needs_reason

    @property
    def once(self) -> str:
        """One task: as it was seen, by whomever. Many: this page."""
        return f"rev-{self.single.rev}" if self.single else operations.new_once()


def confirmation(request: HttpRequest, model_admin: TaskPages, asked: Question, *, error: str = "") -> TemplateResponse:
    """The page that asks; its form goes to the address of the task, or of many."""
    count = asked.tally.changed
    fitting, skipped = _examples(asked)
    context = {
        **model_admin.admin_site.each_context(request),
        "title": f"{asked.verb.label} {'this task' if asked.single else _tasks(count)}?",
        "opts": model_admin.opts,
        "media": model_admin.media,
        "asked": asked,
        "verb": asked.verb,
        "single": asked.single,
        "count": count,
        "outcomes": [(word, f"{number:,}") for word, number in sorted(asked.tally.done.items())],
        "left_alone": [(why, f"{number:,}") for why, number in asked.tally.left.most_common()],
        "left_alone_count": f"{asked.tally.left.total():,}" if asked.tally.left else "",
        "fitting": fitting,
        "more": max(0, count - len(fitting)),
        "skipped": skipped,
        "as_task": count > operations.BY_ITSELF,
        "warnings": _unknown_code(asked),
        "fails_after": get_settings().UNKNOWN_FAILS_AFTER,
        "error": error,
        "reason": reason_of(request),
        "once": once_of(request) if error else asked.once,
        "preserved_filters": model_admin.get_preserved_filters(request),
    }
    request.current_app = model_admin.admin_site.name
    return TemplateResponse(request, "admin/taskcenter/task/confirm.html", context)


def carry_out_one(request: HttpRequest, verb: Verb, task: Task) -> Outcome:
    """Do it and say how it went. The move decides: a double click is answered and harmless."""
    reason = reason_of(request)
    with transaction.atomic():
        outcome = verb.run(task.pk, actor=request.user, reason=reason, once=once_of(request))
        if outcome.moved:
            text = f"{verb.label}: {outcome.text} {reason}".strip()
            operations.log_one(request.user, task, text, is_gone=verb.name == "delete")
    messages.add_message(request, messages.SUCCESS if outcome.moved else messages.WARNING, outcome.text)
    return outcome


def carry_out_many(request: HttpRequest, model_admin: TaskAdminMixin, asked: Question) -> Task | None:
    """Do it to each now; or, when they are many, make the task that does, and return it."""
    order = Order(asked.verb, asked.selection, reason_of(request), once_of(request))
    if asked.tally.changed > operations.BY_ITSELF:
        return _hand_over(request, model_admin, asked, order)
    ids, refused = _allowed(request, model_admin, asked)
    with transaction.atomic():
        tally = asked.verb.run_many(ids, actor=request.user, reason=order.reason, once=order.once)
        if refused:
            tally.note(Ruling(why="you may not do that to it"), refused)
        if tally.changed:
            text = f"{asked.verb.label}: {tally} Reason: {order.reason}"
            operations.log_many(request.user, _tasks(tally.changed), text)
    messages.add_message(request, messages.SUCCESS if tally.changed else messages.WARNING, str(tally))
    return None


def _hand_over(request: HttpRequest, model_admin: TaskAdminMixin, asked: Question, order: Order) -> Task | None:
    if asked.selection.ids:
        ids, _ = _allowed(request, model_admin, asked)
        order = Order(order.verb, Selection.of_ids(ids), order.reason, order.once)
    try:
        with transaction.atomic():
            task, is_new = operations.enqueue(order, request.user, expected=asked.tally.changed)
            if is_new:
                text = f"{order.verb.label} {order.selection}: would be {asked.tally} Reason: {order.reason}"
                operations.log_many(request.user, task.label, text, task=task)
    except (InvalidPayload, UnknownDefinition) as error:
        messages.error(request, f"Nothing was done: {error} Choose fewer than {operations.BY_ITSELF} tasks.")
        return None
    if is_new:
        messages.success(request, f"{task.label}: a task of its own does it. Its page says how far it is.")
    else:
        messages.warning(request, f"{task.label}: this was confirmed before, and is done once. This is the task.")
    if not Worker.objects.alive().exists():
        messages.warning(request, "No worker is alive: it waits until one is started.")
    return task


def _allowed(request: HttpRequest, model_admin: TaskAdminMixin, asked: Question) -> tuple[list[UUID], int]:
    """The ids of those that this person may do it to, asked for each object; and how many they may not."""
    rows = asked.selection.worth_it(asked.rows, asked.verb.states)
    tasks = rows.select_related("owner").order_by("pk")[:IDS_LIMIT]
    ids = [task.pk for task in tasks if model_admin.may(request, asked.verb, task)]
    return ids, len(tasks) - len(ids)


def _tasks(count: int) -> str:
    return "1 task" if count == 1 else f"{count:,} tasks"


def _examples(asked: Question) -> tuple[list[Task], list[tuple[Task, str]]]:
    """The first tasks it will be done to, and the first that are left alone."""
    tasks = list(asked.rows.order_by("pk")[:LOOKED_AT])
    lost = lost_among(tasks)
    reasons = [(task, asked.verb.why_not(task, lost=task.pk in lost)) for task in tasks]
    fitting = [task for task, why in reasons if not why]
    return fitting[:SHOWN], [(task, why) for task, why in reasons if why][:SHOWN]


def _unknown_code(asked: Question) -> Sequence[tuple[str, int]]:
    """Definitions that no living worker knows, of tasks that would run again; with their counts."""
    known = {name for names in Worker.objects.alive().values_list("definitions", flat=True) for name in names}
    if asked.verb.name != "retry" or not known:
        return ()
    rows = asked.rows.filter(state__in=asked.verb.states)
    return [(name, count) for name, count in by_definition(rows) if name not in known][:SHOWN]


def posted_selection(request: HttpRequest) -> Selection:
    """What the confirmation page carried; BadRequest on anything else."""
    ids = [one for one in request.POST.get("ids", "").split(",") if one]
    try:
        if "filters" in request.POST:
            return Selection.from_json(json.loads(request.POST["filters"]))
        return Selection.from_json({"ids": ids})
    except ValueError as error:
        raise BadRequest(str(error)) from error


def once_of(request: HttpRequest) -> str:
    """The name of this confirmation; a request without one gets its own."""
    given = request.POST.get("once", "")
    return given if _ONCE.fullmatch(given) else operations.new_once()


def reason_of(request: HttpRequest) -> str:
    """What the person wrote as the reason, without control characters, cut."""
    text: Any = " ".join(request.POST.get("reason", "").replace("\0", "").split())
    return str(text)[:REASON_LENGTH]
