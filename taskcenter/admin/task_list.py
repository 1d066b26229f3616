"""The list of tasks: what one page of rows needs, asked once; the cells."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.contrib.admin.templatetags.admin_urls import add_preserved_filters
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Page
from django.db import connections
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import cached_property

from taskcenter import progress
from taskcenter.models import TaskQuerySet
from taskcenter.models.narrow import counted_up_to, in_state, newest_ids
from taskcenter.operations import VERBS
from taskcenter.states import State
from taskcenter.views.paging import CappedPaginator

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from django.http import HttpRequest
    from django.utils.safestring import SafeString

    from taskcenter.models import Task
    from taskcenter.operations import Verb

__all__ = ["BLOBS", "TaskChangeList", "TaskPaginator", "cell", "newer_than"]

# A list never shows these, and each may hold a megabyte.
BLOBS = ("args", "kwargs", "result", "metadata")


COUNTED = 999
"""A tab counts no further."""
# Tab, its word, the filters behind it; those without a number are as long as the table.
TABS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("", "All", {}),
    ("processing", "Processing", {"state": "processing"}),
    ("waiting", "Waiting", {"state": "waiting"}),
    ("retrying", "Retrying", {"state": "retrying"}),
    ("lost", "Lost", {"state": "lost"}),
    ("failed", "Failed in 24 h", {"state": "failed", "ended": "1"}),
    ("finished", "Finished", {"state": "finished"}),
)

_SAID = {
    "state": "in state {}",
    "queue": "in queue {}",
    "definition": "of {}",
    "created": "created {}",
    "ended": "that ended {}",
    "report": "{}",
}
"""How an empty list says what it is narrowed by."""


@dataclass(frozen=True, slots=True)
class Tab:
    name: str
    word: str
    address: str
    is_current: bool
    count: str = ""


class About(int):
    """An estimate: one over the limit for the pages, in words what is remembered of the whole table."""

    of: int

    def __str__(self) -> str:
        return f"about {self.of:,}"


class TaskPaginator(CappedPaginator):
    """Asks of a long table that nobody has narrowed no count at all."""

    of_one_line = False
    """Whether the list is narrowed to one queue or one definition, and by nothing else."""

    def page(self, number: int | str) -> Page[Any]:
        rows: Any = self.object_list
        if not self.of_one_line or connections[rows.db].vendor != "postgresql":
            return super().page(number)
        last = self.validate_number(number) * self.per_page
        ids = newest_ids(rows, last - self.per_page, last)
        return Page(rows.filter(pk__in=ids), self.validate_number(number), self)

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        # The admin pages through its own log of a task, too.
        estimate = (rows.estimated() if isinstance(rows, TaskQuerySet) else None) or 0
        if estimate <= self.limit:
            return super().count
        about = About(self.limit + 1)
        about.of = estimate
        return about


class TaskChangeList(ChangeList):
    """One page of tasks, each with what its cells need, so that no cell asks the database."""

    def tabs(self) -> list[Tab]:
        """States to look at, those that are short with their number; one query."""
        rows: Any = self.root_queryset
        day = timezone.now() - timedelta(days=1)
        counts = counted_up_to(
            COUNTED,
            {
                "failed": rows.failed_since(day),
                **{name: in_state(rows, name) for name in ("processing", "waiting", "retrying", "lost")},
            },
        )
        now = {name: self.params.get(name, "") for name in ("state", "ended")}
        tabs = []
        for name, word, filters in TABS:
            is_current = now == {"state": "", "ended": "", **filters}
            tabs.append(Tab(name, word, f"?{urlencode(filters)}", is_current, _shown(counts.get(name))))
        return tabs

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if self.is_popup:
            return
        allowed = [verb for verb in VERBS.values() if request.user.has_perm(verb.permission)]
        tasks = list(self.result_list)
        snapshots = {one.task.pk: one for one in progress.snapshots(tasks)}
        for task in tasks:
            task.row = {
                "task": task,
                "snapshot": snapshots[task.pk],
                "url": self._address("change", task),
                **dict(zip(("when", "at"), _moment(task), strict=True)),
                "verbs": [
                    (verb, self._address(verb.name, task))
                    for verb in allowed
                    if _is_offered(verb, task, lost=not snapshots[task.pk].worker_alive)
                ],
            }
        self.result_list = tasks

    def newer_address(self) -> str:
        """Where a first page asks how many tasks have been made since; newest first is its order."""
        if self.page_num > 1 or not self.result_list or self.is_popup:
            return ""
        address = reverse(
            "admin:taskcenter_task_newer", args=[self.result_list[0].pk], current_app=self.model_admin.admin_site.name
        )
        return f"{address}{self.get_query_string(remove=['p'])}"

    def narrowing(self) -> str:
        """What the list is narrowed by, in words; empty if by nothing."""
        specs: list[Any] = list(self.filter_specs)
        words = [_SAID[spec.parameter_name].format(_choice_of(spec, self)) for spec in specs if spec.value()]
        return ", ".join([*words, *([f"found by “{self.query}”"] if self.query else [])])

    def _address(self, name: str, task: Task) -> str:
        """A task's page or confirmation page, with this list's filters so that the way back leads here."""
        site = self.model_admin.admin_site.name
        address = reverse(f"admin:taskcenter_task_{name}", args=[task.pk], current_app=site)
        return add_preserved_filters({"preserved_filters": self.preserved_filters, "opts": self.opts}, address)


def cell(name: str, task: Task) -> SafeString:
    """One cell, from its template."""
    return render_to_string(f"admin/taskcenter/task/{name}_cell.html", task.row)  # type: ignore[attr-defined]


def _is_offered(verb: Verb, task: Task, *, lost: bool) -> bool:
    """What waits need not be recovered from here, and nobody deletes in passing."""
    return verb.name != "delete" and not verb.why_not(task, lost=lost) and (verb.name != "recover" or lost)


def _choice_of(spec: Any, changes: ChangeList) -> str:
    """What is chosen in one filter, in its own words; as it was given if there is no such choice."""
    chosen: dict[str, Any] = next((choice for choice in spec.choices(changes) if choice["selected"]), {})
    word = str(chosen.get("display", spec.value()))
    return word if spec.parameter_name in {"queue", "definition"} else word.lower()


def _shown(count: int | None) -> str:
    if count is None:
        return ""
    return f"{COUNTED}+" if count > COUNTED else str(count)


def newer_than(rows: TaskQuerySet, newest: UUID) -> int:
    """How many have been made since the newest that somebody sees, no further than one over what a tab counts."""
    return rows.filter(pk__gt=newest).order_by()[: COUNTED + 1].count()


def _moment(task: Task) -> tuple[str, datetime | None]:
    """The one time that matters in the task's state, and the word before it."""
    match task.state:
        case State.COMPLETED | State.FAILED | State.CANCELLED:
            return str(task.state), task.finished_at
        case State.PROCESSING:
            return "began", task.attempted_at
        case State.SCHEDULED:
            return "due", task.run_after
    return "made", task.created_at
