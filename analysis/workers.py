"""What a task does with one analysis: status, analyse, report, status. TaskCenter notifies."""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async
from django.utils import timezone

from taskcenter import Cancelled
from taskcenter.models import Report

from .methods import InputError
from .models import Analysis
from .services import AIService
from .stages import stage_titles

__all__ = ["AnalysisWorker", "is_permanent"]

NO_ERROR = {"error_code": "", "error_what": "", "error_where": "", "error_hint": ""}


class AnalysisWorker:
    """Runs one attempt. A second attempt begins afresh: an attempt leaves nothing half-written behind.

    Statuses written here are the last word of an attempt; whether it is running is told by its task.
    """

    def __init__(self, service: AIService | None = None) -> None:
        self.service = service or AIService()

    def process_task(self, context: Any, analysis_id: str) -> dict[str, Any]:
        """Analyse, keep the report, and say which it is.

        `context` is the running task's. Raises InputError when the file cannot be analysed, and whatever
        stops the task from outside.
        """
        row = Analysis.objects.select_related("dataset").get(pk=analysis_id)
        _tell(row, Analysis.Status.PROCESSING, report=None, finished_at=None, **NO_ERROR)
        try:
            data = self._analyze(context, row)
        except InputError as error:
            _tell(row, Analysis.Status.FAILED, finished_at=timezone.now(), **_told(error))
            raise
        except Cancelled:
            _tell(row, Analysis.Status.CANCELLED, finished_at=timezone.now())
            raise
        context.report(title=row.dataset.name, data=data)
        report = Report.objects.only("id").get(task_id=row.task_id, attempt=context.attempt)
        _tell(row, Analysis.Status.COMPLETED, report=report, finished_at=timezone.now())
        return {"analysis_id": str(row.pk), "report_id": report.pk}

    async def aprocess_task(self, context: Any, analysis_id: str) -> dict[str, Any]:
        """See process_task()."""
        return await sync_to_async(self.process_task, thread_sensitive=True)(context, analysis_id)

    def _analyze(self, context: Any, row: Analysis) -> dict[str, Any]:
        titles, stage = stage_titles(), ""

        def on_progress(name: str, fraction: float, message: str = "") -> None:
            nonlocal stage
            if name != stage:
                stage = name
                context.progress.stage(titles.get(name, name), fraction)
            context.progress.set(fraction, message)

        return self.service.analyze(
            row.pk,
            on_progress=on_progress,
            check_cancelled=context.raise_if_cancelled,
            cancelled=context.listener.cancelled,
        )


def _tell(row: Analysis, status: Analysis.Status, **changes: Any) -> None:
    Analysis.objects.filter(pk=row.pk).update(status=status, **changes)


def _told(error: InputError) -> dict[str, str]:
    return {
        "error_code": error.code[:50],
        "error_what": error.what,
        "error_where": error.where,
        "error_hint": error.hint,
    }


def is_permanent(error: BaseException) -> bool:
    """Whether another try with the same file cannot end better."""
    return isinstance(error, InputError | Analysis.DoesNotExist)
