"""Filters of the task list. Their choices come from settings and code: never SELECT DISTINCT."""

# ruff: noqa: ARG002 Django hands its hooks more than each of them needs

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin

from taskcenter.conf import redis_queues
from taskcenter.definitions import known_names
from taskcenter.models.narrow import DERIVED, in_state
from taskcenter.states import State

if TYPE_CHECKING:
    from django.http import HttpRequest

    from taskcenter.models import TaskQuerySet

__all__ = ["DefinitionFilter", "QueueFilter", "StateFilter"]


class StateFilter(admin.SimpleListFilter):
    """The stored states, and two that are derived."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("live", DERIVED["live"]), *State.choices, *((name, DERIVED[name]) for name in ("retrying", "lost"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> TaskQuerySet:
        return in_state(queryset, self.value())


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
