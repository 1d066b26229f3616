"""What the site does, apart from pages: take a data set in, have it analysed, settle what came of it."""

from __future__ import annotations

import hashlib
import logging
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from asgiref.sync import sync_to_async
from django.core.files import File
from django.db import IntegrityError, transaction
from django.utils import timezone

from taskcenter import FINAL
from taskcenter.models import Task

from . import methods
from .models import Analysis, Dataset

__all__ = ["AIService", "failure_sentence", "rerun", "settle", "submit"]

logger = logging.getLogger(__name__)

CHUNK = 1024 * 1024
LARGEST = 2_000_000_000
"""Bytes of a file that may be analysed at all; the upload form allows less."""

OnProgress = Callable[[str, float, str], None]
"""Called with the stage, the fraction of the whole analysis that is done, and a message."""


def _nothing(*_: Any) -> None:
    return None


def _never() -> bool:
    return False


class FileGone(methods.InputError):
    """The stored file has been removed."""

    code = "gone"


class AIService:
    """Analyses one data set: what is in it, what is wrong with it, what is worth knowing."""

    def analyze(
        self,
        analysis_id: uuid.UUID | str,
        *,
        on_progress: OnProgress = _nothing,
        check_cancelled: Callable[[], None] = _nothing,
        cancelled: Callable[[], bool] = _never,
    ) -> dict[str, Any]:
        """The report, as JSON. Writes nothing but files of its own, all gone when it returns.

        `check_cancelled` is called often and may raise to stop the work; `cancelled` is asked on another
        thread and interrupts a long query. Raises `analysis.methods.InputError` when the file cannot be
        analysed, Analysis.DoesNotExist when there is no such analysis.
        """
        dataset = Analysis.objects.select_related("dataset").get(pk=analysis_id).dataset
        with _workdir() as workdir:
            report = methods.analyze_file(
                _local_copy(dataset, workdir),
                name=dataset.name,
                workdir=workdir,
                limits=methods.Limits(max_bytes=LARGEST),
                on_progress=on_progress,
                check_cancelled=check_cancelled,
                cancelled=cancelled,
            )
        return report.as_dict()

    async def aanalyze(self, analysis_id: uuid.UUID | str, **options: Any) -> dict[str, Any]:
        """See analyze()."""
        return await sync_to_async(self.analyze, thread_sensitive=False)(analysis_id, **options)


@contextmanager
def _workdir() -> Iterator[Path]:
    """A private folder; removed however the work ends, also by a cancel or a time limit."""
    path = Path(tempfile.mkdtemp(prefix="taskcenter-analysis-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _local_copy(dataset: Dataset, workdir: Path) -> Path:
    """The file on this machine's disk: where it lies, or a copy when the storage is elsewhere."""
    try:
        with dataset.file.open("rb") as source:
            try:
                return Path(dataset.file.path)
            except NotImplementedError:
                return _copied(source, workdir / "upload")
    except FileNotFoundError as error:
        raise FileGone("The uploaded file is no longer there.", hint="Upload it again.") from error


def _copied(source: Any, target: Path) -> Path:
    with target.open("wb") as copy:
        shutil.copyfileobj(source, copy, CHUNK)
    return target


def submit(owner: Any, upload: File[bytes], name: str, *, form_token: uuid.UUID | None = None) -> Analysis:
    """Store the file and have it analysed: data set, analysis and task are there together, or none is.

    The same `form_token` twice gives the first analysis. Redis may be down: the task then runs later.
    """
    token = form_token or uuid.uuid4()
    known = Analysis.objects.asked_with(owner, token)
    if known:
        return known
    dataset = Dataset(owner=owner, name=_shown_name(name), size=upload.size, sha256=_sha256(upload))
    dataset.file.save(name, upload, save=False)
    try:
        with transaction.atomic():
            dataset.save(force_insert=True)
            return _start(dataset, owner, token)
    except IntegrityError:
        dataset.file.delete(save=False)
        return _first_of(owner, token)
    except BaseException:
        dataset.file.delete(save=False)
        raise


def rerun(owner: Any, dataset: Dataset, *, form_token: uuid.UUID) -> Analysis:
    """Analyse a data set that is there already; the same `form_token` twice gives the first analysis."""
    try:
        with transaction.atomic():
            return _start(dataset, owner, form_token)
    except IntegrityError:
        return _first_of(owner, form_token)


def _first_of(owner: Any, token: uuid.UUID) -> Analysis:
    known = Analysis.objects.asked_with(owner, token)
    if known is None:
        raise RuntimeError("The database refused a new analysis although its form was not used before.")
    return known


def _start(dataset: Dataset, owner: Any, token: uuid.UUID) -> Analysis:
    """One row, and the task that works on it."""
    from .tasks import analyze  # noqa: PLC0415 tasks import workers, and those this module

    analysis = Analysis(dataset=dataset, owner=owner, form_token=token)
    result = analyze.using(owner=owner, title=dataset.name).enqueue(str(analysis.pk))
    analysis.task_id = uuid.UUID(str(result.id))
    analysis.save(force_insert=True)
    return analysis


def settle(analyses: Iterable[Analysis]) -> None:
    """Bring analyses that look unfinished up to date with tasks that have ended without telling.

    A task cancelled before it ran, or failed because its processes died, never reached the worker's code.
    """
    rows = list(analyses)
    tasks = Task.objects.in_bulk({row.task_id for row in rows})
    for row in rows:
        _settle(row, tasks.get(row.task_id))


def _settle(row: Analysis, task: Task | None) -> None:
    if task is None:
        state = row.status if row.is_final else Analysis.Status.FAILED
    elif task.state in FINAL:
        state = Analysis.Status(task.state)
    elif row.is_final and task.state != "processing":
        # An operator asked for another run.
        state = Analysis.Status.PENDING
    else:
        return
    if state == row.status:
        return
    row.status = state
    if state == Analysis.Status.FAILED and not row.error_what:
        row.error_what = failure_sentence(task)
    row.finished_at = (task.finished_at if task else timezone.now()) if row.is_final else None
    row.save(update_fields=["status", "error_what", "finished_at"])


def failure_sentence(task: Task | None) -> str:
    """For people: a failure that was not theirs."""
    if task and task.error_type == "SoftTimeout":
        return "The analysis took longer than it may and was stopped."
    return "The analysis could not be finished. This is our fault, not that of your file."


def _shown_name(name: str) -> str:
    """The name a file came with, as one line of text without its folder."""
    last = name.replace("\\", "/").rpartition("/")[2]
    plain = "".join(char if char.isprintable() else " " for char in last).strip()
    return plain[:200] or "data set"


def _sha256(upload: File[bytes]) -> str:
    digest = hashlib.sha256()
    for chunk in upload.chunks():
        digest.update(chunk)
    upload.seek(0)
    return digest.hexdigest()
