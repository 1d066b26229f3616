"""The report: what a task produced for people, kept as data and shown by templates."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

from django.conf import settings
from django.db import models
from django.db.models.fields.json import KeyTransform
from django.utils import timezone

from .task import Task

if TYPE_CHECKING:
    import uuid


class _StoredSize(models.Func):
    """PostgreSQL says what it stores, compressed; SQLite how long the text is."""

    function = "LENGTH"
    output_field = models.IntegerField()

    def as_postgresql(self, compiler: Any, connection: Any) -> Any:
        return self.as_sql(compiler, connection, function="pg_column_size")


class ReportQuerySet(models.QuerySet["Report"]):
    def final(self) -> Self:
        """Of attempts that finished; what a crashed attempt left behind is not one."""
        return self.filter(is_final=True)

    def finalise_many(self, task_ids: Iterable[uuid.UUID]) -> int:
        """Make the report of each task's present attempt final; how many had one."""
        return self.filter(task_id__in=list(task_ids), attempt=models.F("task__attempt")).update(is_final=True)

    def visible_to(self, user: Any) -> Self:
        """One's own reports, or all with `view_report`."""
        if not user.is_authenticated or not user.is_active:
            return self.none()
        return self.all() if user.has_perm("taskcenter.view_report") else self.filter(owner=user.pk)

    def in_short(self) -> Self:
        """Without the data, which may be large, but for its `summary` and `facts`."""
        return self.defer("data").annotate(summary=KeyTransform("summary", "data"), facts=KeyTransform("facts", "data"))

    def with_size(self) -> Self:
        """Each with the bytes that its data takes, which need not be read for it."""
        return self.annotate(size=_StoredSize("data"))

    def newest_of(self, task_id: uuid.UUID) -> Report | None:
        return self.final().filter(task_id=task_id).order_by("-attempt").first()


class Report(models.Model):
    task = models.ForeignKey(Task, on_delete=models.SET_NULL, null=True, related_name="reports")
    attempt = models.PositiveIntegerField()
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    title = models.CharField(max_length=255)
    data = models.JSONField(default=dict)
    is_final = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)

    objects = ReportQuerySet.as_manager()

    class Meta:
        indexes = (models.Index(fields=("owner", "id"), name="taskcenter_report_owner"),)
        constraints = (models.UniqueConstraint(fields=("task", "attempt"), name="taskcenter_report_once"),)

    def __str__(self) -> str:
        return self.title
