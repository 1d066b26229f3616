"""Filters of the task list. Their choices come from settings and code: never SELECT DISTINCT."""

# ruff: noqa: ARG002 Django hands its hooks more than each of them needs

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Exists, OuterRef
from django.utils import timezone

from taskcenter.conf import redis_queues
from taskcenter.definitions import known_names
from taskcenter.models import Report
from taskcenter.models.narrow import DERIVED, in_state, made_since
from taskcenter.progress import stalled_among
from taskcenter.states import Shown, State

if TYPE_CHECKING:
    from django.http import HttpRequest

    from taskcenter.models import TaskQuerySet

__all__ = ["CreatedFilter", "DefinitionFilter", "EndedFilter", "QueueFilter", "ReportFilter", "StateFilter"]

LOOKED_AT = 1000
"""Running tasks, the newest ones, among which those that stand still are looked for."""
DAYS = {"1": "In 24 hours", "7": "In 7 days", "30": "In 30 days"}


class StateFilter(admin.SimpleListFilter):
    """The stored states, and those that are derived."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [*State.choices, *DERIVED.items(), (Shown.STALLED.value, str(Shown.STALLED.label))]

    def queryset(self, request: HttpRequest, queryset: Any) -> TaskQuerySet:
        if self.value() != Shown.STALLED:
            return in_state(queryset, self.value())
        tasks: TaskQuerySet = queryset.filter(pk__in=stalled_among(LOOKED_AT))
        return tasks


class QueueFilter(admin.SimpleListFilter):
    title = "queue"
    parameter_name = "queue"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in sorted(redis_queues())]

    def has_output(self) -> bool:
        return len(self.lookup_choices) > 1

    def queryset(self, request: HttpRequest, queryset: Any) -> TaskQuerySet:
        tasks: TaskQuerySet = queryset
        return tasks.filter(queue=self.value()) if self.value() else tasks


class DefinitionFilter(admin.SimpleListFilter):
    title = "definition"
    parameter_name = "definition"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in known_names()]

    def queryset(self, request: HttpRequest, queryset: Any) -> TaskQuerySet:
        tasks: TaskQuerySet = queryset
        return tasks.filter(definition=self.value()) if self.value() else tasks


class _Since(admin.SimpleListFilter):
    """So many days back from now."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(DAYS.items())

    def queryset(self, request: HttpRequest, queryset: Any) -> TaskQuerySet:
        tasks: TaskQuerySet = queryset
        days = self.value()
        return self.since(tasks, timezone.now() - timedelta(days=int(days))) if days in DAYS else tasks

    def since(self, tasks: TaskQuerySet, moment: Any) -> TaskQuerySet:
        raise NotImplementedError


class CreatedFilter(_Since):
    title = "created"
    parameter_name = "created"

    def since(self, tasks: TaskQuerySet, moment: Any) -> TaskQuerySet:
        return made_since(tasks, moment)


class EndedFilter(_Since):
    title = "ended"
    parameter_name = "ended"

    def since(self, tasks: TaskQuerySet, moment: Any) -> TaskQuerySet:
        return tasks.filter(finished_at__gte=moment)


class ReportFilter(admin.SimpleListFilter):
    title = "report"
    parameter_name = "report"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "With a report"), ("no", "Without one")]

    def queryset(self, request: HttpRequest, queryset: Any) -> TaskQuerySet:
        tasks: TaskQuerySet = queryset
        has_one = Exists(Report.objects.final().filter(task_id=OuterRef("pk")))
        match self.value():
            case "yes":
                return tasks.filter(has_one)
            case "no":
                return tasks.exclude(has_one)
        return tasks
