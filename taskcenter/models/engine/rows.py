"""What goes into a turn of the engine and what comes out: plain rows, cheap to make by the thousand."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from taskcenter.models.task import Task
from taskcenter.states import State

__all__ = ["COLUMNS", "Claimed", "Ended", "Engine", "Handed", "Turned", "Want"]

EXTRA = 16
"""Candidates looked at beyond those wanted when several queues are compared: rivals may take some."""


class Want(NamedTuple):
    """A wish for work: up to `limit` of the best tasks of these queues that these definitions can run."""

    queues: tuple[str, ...]
    definitions: tuple[str, ...]
    worker_id: UUID
    limit: int = 1
    at: datetime | None = None
    """What the claimed shall have as `attempted_at`; now, if it is not said (see `worker/desk.py`).

    None of them is claimed if the best of them were not all there and due by then.
    """


class Claimed(NamedTuple):
    """A claimed row as the driver gave it: JSON is text, times are seconds since 1970 or text."""

    id: UUID
    attempt: int
    rev: int
    definition: str
    queue: str
    priority: int
    failures: int
    crashes: int
    interrupted: int
    max_attempts: int
    max_crashes: int
    timeout: float | None
    created_at: float | str | datetime
    started_at: float | str | datetime
    attempted_at: float | str | datetime
    args: str
    kwargs: str
    metadata: str
    tags: str
    title: str
    owner_id: Any
    worker_id: UUID | None

    @property
    def is_careful(self) -> bool:
        """Whether it runs alone: it has been in trouble before, or must not be begun twice."""
        return bool(self.interrupted or self.crashes or not self.max_crashes)

    @property
    def label(self) -> str:
        """What people call it."""
        return self.title or self.definition.rpartition(".")[2]

    def task(self) -> Task:
        """The row as a model; what a claim does not read is fetched when it is asked for."""
        values = self._asdict()
        for name in _JSON:
            values[name] = json.loads(values[name])
        for name in _TIMES:
            values[name] = as_datetime(values[name])
        values.update(state=State.PROCESSING, result=None)
        values.update(dict.fromkeys(("run_after", "finished_at", "cancel_requested_at")))
        names = [name for name in _FIELDS if name in values]
        return Task.from_db(None, names, [values[name] for name in names])

    @classmethod
    def of(cls, task: Task) -> Claimed:
        """The same of a model's instance."""
        values = {name: getattr(task, name) for name in cls._fields}
        values.update({name: json.dumps(values[name], ensure_ascii=False) for name in _JSON})
        return cls(**values)


COLUMNS = Claimed._fields
_JSON = ("args", "kwargs", "metadata", "tags")
_TIMES = ("created_at", "started_at", "attempted_at")
_FIELDS = tuple(item.attname for item in Task._meta.concrete_fields)  # noqa: SLF001 Django documents it


@dataclass(slots=True)
class Ended:
    """A claimed attempt that returned: its result as JSON text, and what its owner is told."""

    claimed: Claimed
    result: str
    note: str = ""
    has_context: bool = True
    """Whether the function knew its task: only then can it have kept a report."""
    begun: float | None = None
    """When it really began (`time.monotonic()`), if that was later than its claim: what is kept is this."""
    run: Any = field(default=None, compare=False, repr=False)
    """Whatever the caller wants to find again when the end has been written."""

    @property
    def age(self) -> float | None:
        """Seconds since it began: whoever writes it knows what time that was."""
        return None if self.begun is None else time.monotonic() - self.begun


class Handed(NamedTuple):
    """A row given back unbegun."""

    id: UUID
    attempt: int
    rev: int
    queue: str


@dataclass(slots=True)
class Turned:
    """What came of a turn."""

    landed: dict[UUID, int] = field(default_factory=dict)
    """Of what had ended: the tasks whose end was written, with their new rev; the others had moved on."""
    claimed: list[Claimed] = field(default_factory=list)
    """Best first, but the one that runs alone last."""
    refused: set[UUID] = field(default_factory=set)
    """Of what had ended: the tasks whose result the database would not keep."""


class Engine(Protocol):
    def turn(self, ended: Sequence[Ended], want: Want | None) -> Turned:
        """Write these ends and claim what is wanted, in one commit. Raises Django's database errors."""

    def hand_back(self, held: Sequence[Claimed]) -> list[Handed]:
        """Make attempts that never began pending again, but for those that somebody asked to stop."""


def in_running_order(rows: list[Claimed]) -> list[Claimed]:
    rows.sort(key=lambda row: (row.is_careful, -row.priority, row.id))
    return rows


def now() -> datetime:
    """Now, aware, whatever USE_TZ says: the engine's SQL is below Django's conversions."""
    found = timezone.now()
    return found if timezone.is_aware(found) else timezone.make_aware(found)


def as_datetime(value: Any) -> datetime:
    """A driver's time as Django has it; text is UTC without a zone, as Django keeps it in SQLite."""
    if isinstance(value, float):
        value = datetime.fromtimestamp(value, UTC)
    elif isinstance(value, str):
        value = datetime.fromisoformat(value).replace(tzinfo=UTC)
    found: datetime = value
    if settings.USE_TZ and timezone.is_naive(found):  # SQLite's driver may have read the text already
        return found.replace(tzinfo=UTC)
    return found if settings.USE_TZ or timezone.is_naive(found) else timezone.make_naive(found)
