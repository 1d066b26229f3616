"""The task: one row of work, from the caller's commit to its final state."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from django.conf import settings
from django.db import connections, models
from django.db.models import F, Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from taskcenter.compat import uuid7
from taskcenter.states import FINAL, LIVE, Shown, State

from .clock import Ago
from .worker import Worker

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractUser, AnonymousUser


SEARCHED = 10_000
"""Tasks that a search by title looks at."""


class TaskQuerySet(models.QuerySet["Task"]):
    """Questions about tasks, as adjectives. Moves are made by `lifecycle` alone."""

    def pending(self) -> Self:
        return self.filter(state=State.PENDING)

    def processing(self) -> Self:
        return self.filter(state=State.PROCESSING)

    def live(self) -> Self:
        return self.filter(state__in=LIVE)

    def waiting(self) -> Self:
        """What has yet to be claimed: for parents, for its time, for a worker."""
        return self.filter(state__in=LIVE - {State.PROCESSING})

    def finished(self) -> Self:
        return self.filter(state__in=FINAL)

    def counted(self) -> models.QuerySet[Task, Any]:
        """Definition, queue, state, how many and since when, by groups: for questions before a deploy."""
        groups = self.order_by("definition", "queue", "state").values("definition", "queue", "state")
        numbers = groups.annotate(number=models.Count("id"), oldest=models.Min("created_at"))
        return numbers.values_list("definition", "queue", "state", "number", "oldest")

    def titled(self, text: str) -> Self:
        """Whose name for people has that text in it, among the newest 10,000: the search must end."""
        last = models.Subquery(self.order_by("-id").values("id")[SEARCHED : SEARCHED + 1])
        none_is_too_old = models.Value(uuid.UUID(int=0), models.UUIDField())
        named = Q(title__icontains=text) | Q(title="", definition__icontains=text)
        return self.filter(named, id__gt=Coalesce(last, none_is_too_old))

    def failed_since(self, moment: datetime) -> Self:
        """Failed now, and since then."""
        return self.filter(state=State.FAILED, finished_at__gte=moment)

    def estimated(self) -> int | None:
        """How many rows the whole table has, as PostgreSQL remembers from its last look; else None."""
        connection = connections[self.db]
        if self.query.where or connection.vendor != "postgresql":
            return None
        with connection.cursor() as cursor:
            cursor.execute("SELECT reltuples::bigint FROM pg_class WHERE oid = 'taskcenter_task'::regclass")
            return int(cursor.fetchone()[0])

    def failed_like(self, fingerprint: Any) -> Self:
        """Tasks that are failed now, and whose last failure has that fingerprint."""
        return self.filter(state=State.FAILED, fingerprint=fingerprint)

    def in_claim_order(self) -> Self:
        """Highest priority first, then oldest: the order of the claim index."""
        return self.order_by("-priority", "id")

    def claimable(self, queues: Iterable[str], definitions: Iterable[str]) -> Self:
        """What a worker on these queues that knows these definitions may claim now.

        One queue is compared by equality: `IN` would keep PostgreSQL from walking the claim index in
        order.
        """
        names = list(queues)
        line = Q(queue=names[0]) if len(names) == 1 else Q(queue__in=names)
        return self.pending().filter(line, definition__in=list(definitions)).in_claim_order()

    def due(self) -> Self:
        """Scheduled tasks whose time has come, earliest first."""
        return self.filter(state=State.SCHEDULED, run_after__lte=Ago()).order_by("run_after", "id")

    def held_by(self, worker_id: uuid.UUID) -> Self:
        """What that worker has claimed and not finished."""
        return self.processing().filter(worker_id=worker_id)

    def lost(self, stale_before: datetime | Ago) -> Self:
        """Processing, but no living worker stands behind it.

        The attempt itself must be as old as the silence: a worker that woke from a long stop may
        claim before it touches its row.
        """
        alive = Worker.objects.filter(id=models.OuterRef("worker_id"), heartbeat_at__gt=stale_before)
        alive = alive.filter(stopped_at=None)
        return (
            self.processing()
            .filter(Q(attempted_at__lte=stale_before) | Q(worker_id=None) | _stopped_worker())
            .exclude(models.Exists(alive))
        )

    def claimed_with(self, task: Task) -> Self:
        """That task and what was claimed in the same batch and has not ended either, by id.

        One claim gives all its tasks the same time, to the microsecond.
        """
        if task.worker_id is None:
            return self.filter(id=task.id)
        return self.held_by(task.worker_id).filter(attempted_at=task.attempted_at).order_by("id")

    def of_attempt(self, task_id: uuid.UUID, attempt: int) -> Self:
        """The fence: that task, only while that attempt owns it."""
        return self.processing().filter(id=task_id, attempt=attempt)

    def save_progress(self, task_id: uuid.UUID, attempt: int, progress: float | None, told: dict[str, Any]) -> bool:
        """The row's copy of that attempt's progress; state and rev stay. False: another owns the task."""
        return bool(self.of_attempt(task_id, attempt).update(progress=progress, progress_state=told))

    def taken(self, limit: int) -> list[Task]:
        """Up to `limit` rows, locked where the database locks rows, those locked elsewhere left out."""
        skips = connections[self.db].features.has_select_for_update_skip_locked
        rows = self.select_for_update(skip_locked=True) if skips else self
        return list(rows[:limit])

    def visible_to(self, user: AbstractUser | AnonymousUser) -> Self:
        """The default of `TASKCENTER["VISIBLE"]`: one's own tasks, or all with `view_task`."""
        if not user.is_authenticated or not user.is_active:
            return self.none()
        if user.has_perm("taskcenter.view_task"):
            return self.all()
        return self.filter(owner=user.pk)


def _stopped_worker() -> models.Exists:
    return models.Exists(Worker.objects.filter(id=models.OuterRef("worker_id"), stopped_at__isnull=False))


def visible_to(user: Any, queryset: TaskQuerySet) -> TaskQuerySet:
    """The default of `TASKCENTER["VISIBLE"]`."""
    return queryset.visible_to(user)


def _all_of(*conditions: str) -> models.Func:
    """Conditions as one CHECK in plain SQL: PostgreSQL reads the expression of each anew at every write.

    What the ORM makes of the same costs twice as much there, most of it for casts within lists.
    """
    return models.Func(template=f"({' AND '.join(conditions)})", output_field=models.BooleanField())


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in sorted(names))


class Task(models.Model):
    """A task. `attempt` is the fence: whoever writes must hold the attempt that owns the row."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    definition = models.CharField(max_length=255)
    queue = models.CharField(max_length=100, default="default")
    priority = models.SmallIntegerField(default=0)
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    # Plain integers: a positive one brings a CHECK of its own, and each CHECK is read anew at every write.
    rev = models.IntegerField(default=1, help_text="Rises with every change of state.")

    attempt = models.IntegerField(default=0, help_text="Claims so far; the fence.")
    failures = models.IntegerField(default=0, help_text="Attempts ended by an error or the time limit.")
    crashes = models.IntegerField(default=0, help_text="Attempts that died with their process.")
    interrupted = models.IntegerField(default=0, help_text="Attempts ended without blame.")
    max_attempts = models.IntegerField(default=1)
    max_crashes = models.IntegerField(default=3)
    timeout = models.FloatField(null=True, blank=True, help_text="Seconds one attempt may run.")

    run_after = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True, help_text="When the first attempt began.")
    attempted_at = models.DateTimeField(null=True, blank=True, help_text="When the latest attempt began.")
    finished_at = models.DateTimeField(null=True, blank=True)
    worker_id = models.UUIDField(null=True, blank=True)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)

    args = models.JSONField(default=list)
    kwargs = models.JSONField(default=dict)
    result = models.JSONField(null=True, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    error_type = models.CharField(max_length=255, default="", blank=True)
    error_message = models.TextField(default="", blank=True)
    fingerprint = models.CharField(max_length=64, default="", blank=True)

    progress = models.FloatField(null=True, blank=True, help_text="0 to 1; empty while unknown.")
    progress_state = models.JSONField(default=dict, blank=True)

    title = models.CharField(max_length=255, default="", blank=True)
    tags = models.JSONField(default=list, blank=True)
    # Each index costs every move: so none beside those of Meta, and those hold only the rows they are for.
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    unique_key = models.CharField(max_length=64, null=True, blank=True)
    limit_key = models.CharField(max_length=255, default="", blank=True)
    parent = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="children", db_index=False
    )
    waits_for = models.IntegerField(default=0, help_text="Parents that have not finished.")
    code_version = models.CharField(max_length=64, default="", blank=True)

    objects = TaskQuerySet.as_manager()

    class Meta:
        permissions = (
            ("retry_task", "Can retry a task"),
            ("cancel_task", "Can cancel a task"),
            ("recover_task", "Can recover a task"),
            ("view_dashboard", "Can view the dashboard"),
        )
        indexes = (
            models.Index(
                F("queue"), F("priority").desc(), F("id"), name="taskcenter_task_claim", condition=Q(state="pending")
            ),
            models.Index(fields=("run_after",), name="taskcenter_task_due", condition=Q(state="scheduled")),
            models.Index(fields=("worker_id",), name="taskcenter_task_held", condition=Q(state="processing")),
            models.Index(fields=("state", "id"), name="taskcenter_task_state"),
            models.Index(fields=("queue", "state", "id"), name="taskcenter_task_queue"),
            models.Index(fields=("owner", "id"), name="taskcenter_task_owned", condition=Q(owner__isnull=False)),
            models.Index(fields=("parent",), name="taskcenter_task_children", condition=Q(parent__isnull=False)),
            models.Index(fields=("definition", "state", "id"), name="taskcenter_task_definition"),
            models.Index(fields=("fingerprint", "id"), name="taskcenter_task_failed", condition=Q(state="failed")),
            models.Index(
                fields=("finished_at",), name="taskcenter_task_finished", condition=Q(finished_at__isnull=False)
            ),
            # The second half keeps PostgreSQL from walking it for all that ever failed, which it thinks is cheap.
            models.Index(
                fields=("finished_at",),
                name="taskcenter_task_failed_at",
                condition=Q(state="failed", finished_at__isnull=False),
            ),
            # And on PostgreSQL that of titles for a search: migration 0006.
        )
        constraints = (
            models.CheckConstraint(
                name="taskcenter_task_state_sound",
                condition=_all_of(
                    f"(CAST(state AS text) IN ({_quoted(FINAL)})) = (finished_at IS NOT NULL)",
                    f"CAST(state AS text) IN ({_quoted(FINAL | LIVE)})",
                    "(state <> 'processing' OR (attempt >= 1 AND attempted_at IS NOT NULL))",
                    "(state <> 'scheduled' OR run_after IS NOT NULL)",
                ),
            ),
            models.CheckConstraint(
                name="taskcenter_task_numbers_sound",
                condition=_all_of(
                    "failures BETWEEN 0 AND attempt",
                    "crashes BETWEEN 0 AND attempt",
                    "interrupted BETWEEN 0 AND attempt",
                    "priority BETWEEN -100 AND 100",
                    "progress BETWEEN 0 AND 1",
                ),
            ),
            models.UniqueConstraint(
                fields=("unique_key",),
                name="taskcenter_task_one_live_key",
                condition=Q(state__in=sorted(LIVE), unique_key__isnull=False),
            ),
        )

    def __str__(self) -> str:
        return self.title or self.definition

    @property
    def is_final(self) -> bool:
        return self.state in FINAL

    @property
    def label(self) -> str:
        """What people call this task: its title, or the last part of its definition's name."""
        return self.title or self.definition.rpartition(".")[2]

    def shown(self, *, worker_alive: bool = True, stalled: bool = False) -> str:
        """The state for people; derived, never stored."""
        if self.state == State.SCHEDULED and self.failures:
            return Shown.RETRYING
        if self.state == State.PROCESSING:
            if not worker_alive:
                return Shown.LOST
            if self.cancel_requested_at:
                return Shown.CANCELLING
            if stalled:
                return Shown.STALLED
        return self.state
