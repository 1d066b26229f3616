"""Which tasks: named by their ids, or by what a list was narrowed to at a moment.

A list of a million is not a million ids: it is its filters and the moment of the look. What was made or
has ended since then was not looked at, and is left out; the rest is judged as it is when its turn comes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from taskcenter.models import TaskQuerySet
from taskcenter.models.narrow import narrowed
from taskcenter.progress import visible

__all__ = ["FILTERS", "IDS_LIMIT", "Selection"]

FILTERS = frozenset({"state", "queue", "definition", "q"})
"""What a list may be narrowed by, as its address names it."""
IDS_LIMIT = 1000
"""Tasks that may be named one by one."""


@dataclass(frozen=True, slots=True)
class Selection:
    ids: tuple[UUID, ...] = ()
    filters: Mapping[str, str] = field(default_factory=dict)
    before: datetime | None = None
    """The moment of the look; None for tasks that are named one by one."""

    @classmethod
    def of_ids(cls, ids: Iterable[UUID]) -> Selection:
        return cls(ids=tuple(dict.fromkeys(ids)))

    @classmethod
    def of_list(cls, filters: Mapping[str, str]) -> Selection:
        """All that the list shows now."""
        return cls(filters=dict(filters), before=timezone.now())

    @classmethod
    def from_json(cls, told: Any) -> Selection:
        """Raises ValueError for what is none."""
        match told:
            case {"ids": [*ids]} if len(told) == 1 and 0 < len(ids) <= IDS_LIMIT:
                return cls.of_ids(UUID(str(one)) for one in ids)
            case {"filters": dict(filters), "before": str(before)} if len(told) == 2:  # noqa: PLR2004 these two
                return cls(filters=_known(filters), before=_moment(before))
        raise ValueError(f"Name 1 to {IDS_LIMIT} tasks, or the filters of a list and the moment of the look.")

    def as_json(self) -> dict[str, Any]:
        if self.before is None:
            return {"ids": [one.hex for one in self.ids]}
        return {"filters": dict(self.filters), "before": self.before.isoformat()}

    def as_text(self) -> str:
        return json.dumps(self.as_json())

    def rows(self, user: Any, among: TaskQuerySet | None = None) -> TaskQuerySet:
        """Those of the tasks that this person may see; `among` is narrower, where a caller knows more."""
        tasks = visible(user) if among is None else among
        if self.before is None:
            return tasks.filter(pk__in=self.ids)
        seen = Q(finished_at=None) | Q(finished_at__lte=self.before)
        return narrowed(tasks, dict(self.filters)).filter(seen, created_at__lte=self.before)

    def worth_it(self, rows: TaskQuerySet, states: Iterable[str]) -> TaskQuerySet:
        """Of a list those in these states: nobody walks through a million that were never meant."""
        return rows if self.before is None else rows.filter(state__in=list(states))

    def __str__(self) -> str:
        if self.before is None:
            return "tasks chosen one by one"
        said = ", ".join(f"{name} {value}" for name, value in sorted(self.filters.items())) or "all tasks"
        return f"{said}, as of {self.before:%Y-%m-%d %H:%M:%S %Z}".strip()


def _known(filters: dict[Any, Any]) -> dict[str, str]:
    if not (
        filters.keys() <= FILTERS and all(isinstance(value, str) and "\0" not in value for value in filters.values())
    ):
        raise ValueError(f"A list is narrowed by {', '.join(sorted(FILTERS))}, each of them a text.")
    return filters


def _moment(text: str) -> datetime:
    moment = parse_datetime(text)
    if moment is None or timezone.is_aware(moment) != timezone.is_aware(timezone.now()):
        raise ValueError(f"{text!r} is not a moment.")
    return moment
