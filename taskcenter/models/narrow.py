"""Tasks narrowed as a list of them is, and counted by what a ruling depends on."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Count, IntegerField, Q, Subquery

from taskcenter.definitions import known_names
from taskcenter.rules import Case
from taskcenter.states import State

from .task import Task, TaskQuerySet
from .worker import stale_before

__all__ = [
    "DERIVED",
    "by_definition",
    "cases",
    "counted_up_to",
    "in_state",
    "lost_among",
    "made_since",
    "narrowed",
    "newest_ids",
    "searched",
]

DERIVED = {
    "live": "Not finished",
    "waiting": "Waiting",
    "finished": "Finished",
    "retrying": "Retrying",
    "lost": "Lost",
}
"""What a list may be narrowed to beside the stored states."""
_IN_STATE: dict[str, Callable[[TaskQuerySet], TaskQuerySet]] = {
    "live": TaskQuerySet.live,
    "waiting": TaskQuerySet.waiting,
    "finished": TaskQuerySet.finished,
    "retrying": lambda tasks: tasks.filter(state=State.SCHEDULED, failures__gt=0),
    "lost": lambda tasks: tasks.lost(stale_before()),
}
SHORTEST_START = 6
"""Hex digits that may be the start of an id; fewer are a word."""
_START_OF_ID = re.compile(rf"[0-9a-f]{{{SHORTEST_START},32}}")


def narrowed(tasks: TaskQuerySet, filters: dict[str, str]) -> TaskQuerySet:
    """By state (stored or derived), queue, definition and search term, whichever are given."""
    tasks = in_state(tasks, filters.get("state"))
    for name in ("queue", "definition"):
        if filters.get(name):
            tasks = tasks.filter(**{name: filters[name]})
    term = filters.get("q", "").strip()
    return searched(tasks, term) if term else tasks


def in_state(tasks: TaskQuerySet, state: str | None) -> TaskQuerySet:
    """Of a state that there is not, there are none: who takes "all of the list" must not get every task."""
    if not state:
        return tasks
    if state in State.values:
        return tasks.filter(state=state)
    chosen = _IN_STATE.get(state)
    return chosen(tasks) if chosen else tasks.none()


def made_since(tasks: TaskQuerySet, moment: datetime) -> TaskQuerySet:
    """Made at that moment or later. An id begins with the time it was made at, so that its index finds them."""
    first = int((moment - timedelta(minutes=1)).timestamp() * 1000)
    return tasks.filter(pk__gte=UUID(int=first << 80), created_at__gte=moment)


def searched(tasks: TaskQuerySet, term: str) -> TaskQuerySet:
    """By the whole id or its start, or the start of a title, a definition or the last part of a definition's name.

    Definitions are looked up in the registry first, so that the index is asked for whole names. That of titles
    (migration 0006) leaves out the empty ones, which is why they are excluded here.
    """
    try:
        return tasks.filter(pk=UUID(term))
    except ValueError:
        pass
    names = [name for name in known_names() if name.startswith(term) or name.rpartition(".")[2].startswith(term)]
    titled = Q(title__istartswith=term) & ~Q(title="")
    return tasks.filter(titled | Q(definition__in=[term, *names]) | _starting(term))


def _starting(term: str) -> Q:
    """Ids between the first and the last one that begin so."""
    digits = term.lower().replace("-", "")
    if not _START_OF_ID.fullmatch(digits):
        return Q()
    return Q(pk__range=(UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))))


def newest_ids(tasks: TaskQuerySet, first: int, last: int) -> list[UUID]:
    """That stretch of their ids, newest first, for tasks narrowed to one queue or one definition.

    Their indexes go on with the state, so each state's is walked from its end and the ends are merged. Without that
    PostgreSQL walks all tasks from the newest, and meets those of a queue of long ago after millions of others.
    """
    ends = [tasks.filter(state=state).order_by("-pk").values_list("pk", flat=True)[:last] for state in State]
    return list(ends[0].union(*ends[1:], all=True).order_by("-id")[first:last])


class _UpTo(Subquery):
    template = "(SELECT count(*) FROM (%(subquery)s) AS counted)"
    output_field = IntegerField()


def counted_up_to(limit: int, lists: Mapping[str, TaskQuerySet]) -> dict[str, int]:
    """How many each of these lists has, by name, counted no further than one over the limit: one statement."""
    counts = {name: _UpTo(rows.order_by().values("pk")[: limit + 1]) for name, rows in lists.items()}
    # From the newest task, which is found at once; without tasks there is nothing to count.
    found = Task.objects.order_by("-pk").annotate(**counts).values(*counts).first()
    return found or dict.fromkeys(lists, 0)


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
