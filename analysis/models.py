"""What people bring and ask for: data sets, and analyses of them.

An analysis is run by a task of TaskCenter. The task's row is the truth about running; the analysis keeps
the last word of it, so that it is still known when the task's row has been cleaned up.
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.utils import timezone

from taskcenter.models import Report, Task

REPORT_SCHEMA = "taskcenter.analysis"
"""How the `schema` of our reports begins."""


def stored_path(dataset: Dataset, filename: str) -> str:
    """Where an upload is kept. Nothing of the name it came with is used but the ending we know."""
    ending = f".{filename.rpartition('.')[2].lower()}"
    return f"datasets/{dataset.id}{ending if ending in KNOWN_ENDINGS else ''}"


KNOWN_ENDINGS = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".parquet")


class DatasetQuerySet(models.QuerySet["Dataset"]):
    def visible_to(self, user: Any) -> Self:
        """One's own data sets, or all with `view_dataset`."""
        if not user.is_authenticated or not user.is_active:
            return self.none()
        return self.all() if user.has_perm("analysis.view_dataset") else self.filter(owner=user.pk)


class Dataset(models.Model):
    """A file that somebody uploaded. `name` came with it and is for showing only."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=200)
    file = models.FileField(upload_to=stored_path, max_length=200)
    size = models.PositiveBigIntegerField(help_text="Bytes.")
    sha256 = models.CharField(max_length=64)
    uploaded_at = models.DateTimeField(default=timezone.now)

    objects = DatasetQuerySet.as_manager()

    class Meta:
        indexes = (models.Index(fields=("owner", "-uploaded_at"), name="analysis_dataset_owner"),)

    def __str__(self) -> str:
        return self.name


class AnalysisQuerySet(models.QuerySet["Analysis"]):
    def visible_to(self, user: Any) -> Self:
        """One's own analyses, or all with `view_analysis`."""
        if not user.is_authenticated or not user.is_active:
            return self.none()
        return self.all() if user.has_perm("analysis.view_analysis") else self.filter(owner=user.pk)

    def newest_first(self) -> Self:
        return self.select_related("dataset", "report").order_by("-created_at", "-id")

    def asked_with(self, user: Any, form_token: uuid.UUID) -> Analysis | None:
        """What an earlier send of the same form made."""
        return self.filter(owner=user.pk, form_token=form_token).first()


class Analysis(models.Model):
    class Status(models.TextChoices):
        PENDING = "pending", "Waiting"
        PROCESSING = "processing", "Running"
        COMPLETED = "completed", "Ready"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="analyses")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    task_id = models.UUIDField(unique=True, editable=False)
    form_token = models.UUIDField(default=uuid.uuid4, editable=False, help_text="One per form shown.")
    report = models.ForeignKey(Report, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    error_code = models.CharField(max_length=50, default="", blank=True)
    error_what = models.TextField(default="", blank=True)
    error_where = models.TextField(default="", blank=True)
    error_hint = models.TextField(default="", blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = AnalysisQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "analyses"
        indexes = (models.Index(fields=("owner", "-created_at"), name="analysis_analysis_owner"),)
        constraints = (
            models.CheckConstraint(
                name="analysis_analysis_status_known",
                condition=models.Q(status__in=("pending", "processing", "completed", "failed", "cancelled")),
            ),
            models.UniqueConstraint(fields=("owner", "form_token"), name="analysis_analysis_once_per_form"),
        )

    def __str__(self) -> str:
        return f"Analysis of {self.dataset.name}"

    @property
    def is_final(self) -> bool:
        return self.status in FINAL

    @property
    def took(self) -> timedelta | None:
        """From the asking to the end."""
        return self.finished_at - self.created_at if self.finished_at else None

    @property
    def ready_report(self) -> Report | None:
        """The report, once the attempt that made it has finished."""
        return self.report if self.report and self.report.is_final else None

    @property
    def task(self) -> Task | None:
        """The task that runs it; None once its row was cleaned up."""
        return Task.objects.filter(id=self.task_id).first()


FINAL = frozenset({Analysis.Status.COMPLETED, Analysis.Status.FAILED, Analysis.Status.CANCELLED})
