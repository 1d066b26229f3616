"""The pages: upload, my analyses, one run, its report. What is not yours is not there (404)."""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.core.files import File
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.defaultfilters import filesizeformat
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from taskcenter.models import Task
from taskcenter.notifications import mark_read

from .forms import OnceForm, QuotaHandler, UploadForm, size_limit
from .models import Analysis
from .samples import SAMPLES
from .services import rerun, settle, submit
from .stages import stage_titles

PAGE_SIZE = 20


@require_safe
@login_required
def analysis_list(request: HttpRequest) -> HttpResponse:
    """My analyses, newest first, those under way with their live bars."""
    rows = Analysis.objects.visible_to(request.user).newest_first()
    page = Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page"))
    settle(page)
    tasks = Task.objects.in_bulk([row.task_id for row in page])
    items = [{"analysis": row, "task": tasks.get(row.task_id)} for row in page]
    return render(request, "analysis/list.html", {"page": page, "items": items, **_samples()})


@csrf_exempt  # only so that the quota is set before the protection within reads the body
def upload(request: HttpRequest) -> HttpResponse:
    """The form, and what it sends: a file over the limit is thrown away while it arrives."""
    request.upload_handlers.insert(0, QuotaHandler(request))
    return _upload(request)


@require_http_methods(["GET", "HEAD", "POST"])
@csrf_protect
@login_required
def _upload(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return _upload_page(request, UploadForm())
    # Reading the files first lets the quota speak before the form is made.
    files = request.FILES
    form = UploadForm(request.POST, files, too_large=bool(request.META.get("analysis.upload_too_large")))
    if not form.is_valid():
        return _upload_page(request, form, status=422)
    file = form.cleaned_data["file"]
    analysis = submit(request.user, file, file.name, form_token=form.cleaned_data["token"])
    return redirect("analysis:run", pk=analysis.pk)


def _upload_page(request: HttpRequest, form: UploadForm, status: int = 200) -> HttpResponse:
    context = {"form": form, "limit": filesizeformat(size_limit()), "limit_bytes": size_limit(), **_samples()}
    return render(request, "analysis/upload.html", context, status=status)


@require_POST
@login_required
def try_sample(request: HttpRequest, key: str) -> HttpResponse:
    """Analyse one of the data sets that come with the site."""
    sample, form = SAMPLES.get(key), OnceForm(request.POST)
    if sample is None:
        raise Http404("There is no such sample.")
    if not form.is_valid():
        return redirect("analysis:upload")
    with sample.path.open("rb") as file:
        analysis = submit(request.user, File(file), sample.file_name, form_token=form.cleaned_data["token"])
    return redirect("analysis:run", pk=analysis.pk)


@require_safe
@login_required
def run(request: HttpRequest, pk: UUID) -> HttpResponse:
    """One analysis while it runs, and how it ended."""
    analysis = _mine(request, pk)
    task = analysis.task
    if analysis.is_final and task:
        mark_read(request.user, task=task)
    context = {
        "analysis": analysis,
        "task": task,
        "stages": stage_titles().values(),
        "again": OnceForm(),
    }
    return render(request, "analysis/run.html", context)


@require_safe
@login_required
def report(request: HttpRequest, pk: UUID) -> HttpResponse:
    """What the analysis found; the run page while there is nothing to show yet."""
    analysis = _mine(request, pk)
    ready = analysis.ready_report
    if ready is None:
        return redirect("analysis:run", pk=pk)
    shown = {"report": ready, "data": ready.data, "task": analysis.task}
    context = {"analysis": analysis, "again": OnceForm(), **shown}
    return render(request, "analysis/report.html", context)


@require_POST
@login_required
def run_again(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Analyse the same data set once more."""
    analysis, form = _mine(request, pk), OnceForm(request.POST)
    if not form.is_valid():
        return redirect("analysis:run", pk=pk)
    fresh = rerun(request.user, analysis.dataset, form_token=form.cleaned_data["token"])
    return redirect("analysis:run", pk=fresh.pk)


def _mine(request: HttpRequest, pk: UUID) -> Analysis:
    rows = Analysis.objects.visible_to(request.user).select_related("dataset", "report")
    analysis = get_object_or_404(rows, pk=pk)
    settle([analysis])
    return analysis


def _samples() -> dict[str, object]:
    return {"samples": [(sample, OnceForm()) for sample in SAMPLES.values() if sample.path.exists()]}
