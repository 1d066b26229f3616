"""Tasks narrowed as a list of them is, and counted by what a ruling depends on."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

from django.db.models import Count, Q

from taskcenter.definitions import known_names
from taskcenter.rules import Case
from taskcenter.states import LIVE, State

from .task import Task, TaskQuerySet
from .worker import stale_before

__all__ = ["DERIVED", "by_definition", "cases", "in_state", "lost_among", "narrowed", "searched"]

DERIVED = {"live": "Not finished", "retrying": "Retrying", "lost": "Lost"}
"""What a list may be narrowed to beside the stored states."""


def narrowed(tasks: TaskQuerySet, filters: dict[str, str]) -> TaskQuerySet:
    """By state (stored or derived), queue, definition and search term, whichever are given."""
    tasks = in_state(tasks, filters.get("state"))
    for name in ("queue", "definition"):
        if filters.get(name):
            tasks = tasks.filter(**{name: filters[name]})
    term = filters.get("q", "").strip()
    return searched(tasks, term) if term else tasks


def in_state(tasks: TaskQuerySet, state: str | None) -> TaskQuerySet:
    match state:
        case "live":
            return tasks.filter(state__in=LIVE)
        case "retrying":
            return tasks.filter(state=State.SCHEDULED, failures__gt=0)
        case "lost":
            return tasks.lost(stale_before())
        case state if state in State.values:
            return tasks.filter(state=state)
    return tasks


def searched(tasks: TaskQuerySet, term: str) -> TaskQuerySet:
    """By the whole id, or the start of a title, a definition or the last part of a definition's name.

    Definitions are looked up in the registry first, so that the index is asked for whole names.
    """
    try:
        return tasks.filter(pk=UUID(term))
    except ValueError:
        pass
    names = [name for name in known_names() if name.startswith(term) or name.rpartition(".")[2].startswith(term)]
    return tasks.filter(Q(title__istartswith=term) | Q(definition__in=[term, *names]))


def cases(tasks: TaskQuerySet) -> Counter[Case]:
    """How many of these tasks are in which case. What waits or has ended is counted; what runs is looked at."""
    found: Counter[Case] = Counter()
    resting = tasks.exclude(state=State.PROCESSING).order_by()
    for state, count in resting.values_list("state").annotate(Count("pk")):
        found[Case(State(state))] += count
    running = tasks.processing().order_by()
    lost = set(running.lost(stale_before()).values_list("pk", flat=True))
    for pk, asked in running.values_list("pk", "cancel_requested_at"):
        found[Case(State.PROCESSING, asked is not None, pk in lost)] += 1
    return found


def by_definition(tasks: TaskQuerySet) -> list[tuple[str, int]]:
    """The definitions of these tasks, each with how many it has."""
    return list(tasks.order_by().values_list("definition").annotate(Count("pk")).order_by("definition"))


def lost_among(tasks: list[Task]) -> set[UUID]:
    """The ids of those that no living worker stands behind."""
    running = [task.pk for task in tasks if task.state == State.PROCESSING]
    return set(Task.objects.filter(pk__in=running).lost(stale_before()).values_list("pk", flat=True))
