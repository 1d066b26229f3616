"""The event: a line of a task's history, written for what did not go straight."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Self

from django.conf import settings
from django.db import IntegrityError, models, transaction
from django.db.models import OuterRef, Q, Subquery
from django.utils import timezone

from . import bulk
from .task import Task

TRIES = 20
"""How often a line looks for its number: each time in vain somebody else has told a line."""

_TELL_MANY = """
INSERT INTO taskcenter_taskevent (at, actor_id, task_id, seq, attempt, kind, level, text, data, worker_id)
SELECT {at}, CASE WHEN d.signed THEN {actor} END, d.task_id,
    d.nth + coalesce((SELECT max(e.seq) FROM taskcenter_taskevent AS e WHERE e.task_id = d.task_id), 0),
    d.attempt, d.kind, d.level, d.text, d.data, d.worker_id
FROM {rows} WHERE true"""
_LINE_COLUMNS = {
    "task_id": "uuid",
    "nth": "integer",
    "attempt": "integer",
    "kind": "text",
    "level": "text",
    "text": "text",
    "data": "jsonb",
    "worker_id": "uuid",
    "signed": "boolean",
}


STACK_KINDS = ("stack", "stack_asked")


class TaskEventQuerySet(models.QuerySet["TaskEvent"]):
    def told(self) -> Self:
        """In the order of telling."""
        return self.order_by("task_id", "seq")

    def following(self, task_id: uuid.UUID, seq: int) -> Self:
        """The lines of a task after that number, in order, without their data."""
        return self.filter(task_id=task_id, seq__gt=seq).defer("data").order_by("seq")

    def tell(
        self,
        task_id: uuid.UUID,
        kind: str,
        text: str = "",
        *,
        attempt: int = 0,
        level: str = "info",
        data: dict[str, Any] | None = None,
        worker_id: uuid.UUID | None = None,
        actor: Any = None,
    ) -> TaskEvent:
        """Append a line.

        Whoever tells at the same moment takes the next number: the UNIQUE constraint says who was first.
        """
        line = TaskEvent(
            task_id=task_id,
            kind=kind,
            text=text,
            attempt=attempt,
            level=level,
            data=data or {},
            worker_id=worker_id,
            actor=actor if getattr(actor, "pk", None) else None,
        )
        for tries_left in reversed(range(TRIES)):
            try:
                with transaction.atomic(using=self.db):
                    line.seq = self._top(task_id) + 1
                    line.save(using=self.db, force_insert=True)
                    break
            except IntegrityError:
                if not tries_left:
                    raise
        return line

    def tell_many(self, lines: Sequence[Mapping[str, Any]], *, actor: Any = None) -> None:
        """Append lines to many tasks, in one statement.

        A line is a dict of `_LINE_COLUMNS`: `nth` is 1 for a task's first line here, 2 for its second; one that
        is `signed` names the actor. Raises IntegrityError when somebody else tells a line of one of these tasks
        at the same moment.
        """
        at = bulk.given(self.model, "at", timezone.now())
        by = bulk.given(self.model, "actor", getattr(actor, "pk", None))
        bulk.execute(self.db, _TELL_MANY, _LINE_COLUMNS, lines, at=at, actor=by)

    def asks_for_stack(self, task: Task) -> bool:
        """Whether somebody asked where the present attempt hangs and has no answer yet."""
        newest = self.about_stacks().filter(task_id=task.id, attempt=task.attempt).order_by("-seq").first()
        return newest is not None and newest.kind == TaskEvent.Kind.STACK_ASKED

    def about_stacks(self) -> Self:
        """Questions for stacks and their answers."""
        return self.filter(kind__in=STACK_KINDS)

    def _top(self, task_id: uuid.UUID) -> int:
        top: int = self.filter(task_id=task_id).aggregate(top=models.Max("seq", default=0))["top"]
        return top


class Wish(NamedTuple):
    """What somebody wants of an attempt that runs."""

    task_id: uuid.UUID
    attempt: int
    cancelled: bool
    """That it stops."""
    wants_stack: bool
    """To see where it hangs."""


def wishes(task_ids: Iterable[uuid.UUID]) -> list[Wish]:
    """What people want of these tasks, as far as they run: one query, which finds nothing as a rule."""
    own = TaskEvent.objects.about_stacks().filter(task=OuterRef("pk"), attempt=OuterRef("attempt"))
    newest = Subquery(own.order_by("-seq").values("kind")[:1])
    running = Task.objects.processing().filter(id__in=task_ids).annotate(newest=newest)
    asks = Q(newest=TaskEvent.Kind.STACK_ASKED)
    found = running.filter(Q(cancel_requested_at__isnull=False) | asks)
    rows = found.values_list("id", "attempt", "cancel_requested_at", "newest")
    return [Wish(id_, attempt, at is not None, kind == TaskEvent.Kind.STACK_ASKED) for id_, attempt, at, kind in rows]


class TaskEvent(models.Model):
    """One line: what happened, in which attempt, who or what did it."""

    class Kind(models.TextChoices):
        FAILED = "failed", "Attempt failed"
        TIMED_OUT = "timed_out", "Attempt ran out of time"
        CRASHED = "crashed", "Attempt crashed"
        RETRY_PLANNED = "retry_planned", "Retry planned"
        SNOOZED = "snoozed", "Snoozed"
        HANDED_BACK = "handed_back", "Handed back"
        CANCEL_ASKED = "cancel_asked", "Cancel asked"
        CANCELLED = "cancelled", "Cancelled"
        RETRIED = "retried", "Retried"
        RECOVERED = "recovered", "Recovered"
        SUPERSEDED = "superseded", "Late result set aside"
        STACK_ASKED = "stack_asked", "Stack asked"
        STACK = "stack", "Stack dumped"
        STAGE = "stage", "Stage"
        LOG = "log", "Log"

    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="events")
    seq = models.PositiveIntegerField()
    attempt = models.PositiveIntegerField(default=0)
    kind = models.CharField(max_length=20, choices=Kind)
    level = models.CharField(max_length=10, default="info")
    text = models.TextField(default="", blank=True)
    data = models.JSONField(default=dict, blank=True)
    worker_id = models.UUIDField(null=True, blank=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    at = models.DateTimeField(default=timezone.now)

    objects = TaskEventQuerySet.as_manager()

    class Meta:
        default_permissions = ("view",)
        # Workers look there every second, also in a history of a hundred thousand lines.
        indexes = (
            models.Index(fields=("task", "seq"), name="taskcenter_event_stacks", condition=Q(kind__in=STACK_KINDS)),
        )
        constraints = (models.UniqueConstraint(fields=("task", "seq"), name="taskcenter_event_order"),)

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.text}" if self.text else self.get_kind_display()
