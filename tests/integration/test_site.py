"""A person hands in a file: who may see what comes of it, and what becomes of bad files and bad manners."""

from __future__ import annotations

import csv
import io
import json
import re
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from analysis.models import Analysis, Dataset
from analysis.services import AIService, rerun, settle, submit
from analysis.tasks import analyze, unless_permanent
from analysis.workers import AnalysisWorker
from taskcenter import Cancelled, State
from taskcenter.models import Report, Share, Task

pytestmark = pytest.mark.django_db

GOOD = b"id,price,city\n" + b"".join(b"%d,%d,%s\n" % (n, n % 7, b"ab"[n % 2 :][:1]) for n in range(60))


@pytest.fixture(autouse=True)
def _private_folder(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"
    # WhiteNoise warns of a folder that is not there.
    settings.STATIC_ROOT = tmp_path
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(work))


@pytest.fixture
def ann() -> Any:
    return get_user_model().objects.create_user("ann", password="ann's secret")


@pytest.fixture
def bob() -> Any:
    return get_user_model().objects.create_user("bob", password="bob's secret")


@pytest.fixture
def visitor(ann: Any) -> Client:
    client = Client()
    client.force_login(ann)
    return client


def upload(client: Client, name: str, content: bytes, token: uuid.UUID | None = None) -> Any:
    data = {"token": str(token or uuid.uuid4()), "file": SimpleUploadedFile(name, content)}
    return client.post(reverse("analysis:upload"), data)


class Context:
    """What a task's context offers the worker, noting what was said."""

    def __init__(self, task: Task, *, cancel_at: str = "") -> None:
        self.row, self.attempt, self.cancel_at = task, 1, cancel_at
        self.stages: list[str] = []
        self.fractions: list[float] = []
        self.progress = self
        self.listener = self

    def stage(self, name: str, _fraction: float | None = None) -> None:
        self.stages.append(name)

    def set(self, fraction: float, *_: Any) -> None:
        self.fractions.append(fraction)

    def cancelled(self) -> bool:
        return bool(self.cancel_at) and self.cancel_at in self.stages

    def raise_if_cancelled(self) -> None:
        if self.cancelled():
            raise Cancelled

    def report(self, *, title: str, data: dict[str, Any]) -> None:
        values = {"title": title, "data": json.loads(json.dumps(data, allow_nan=False)), "owner": self.row.owner}
        Report.objects.update_or_create(task=self.row, attempt=self.attempt, defaults=values)


def processed(analysis: Analysis, **options: Any) -> Context:
    """Run the analysis's task body here; the report counts as final afterwards, as lifecycle makes it."""
    context = Context(Task.objects.get(pk=analysis.task_id), **options)
    AnalysisWorker().process_task(context, str(analysis.pk))
    Report.objects.filter(task=context.row).update(is_final=True)
    return context


def test_an_upload_becomes_a_task_of_its_owner_and_leads_to_the_run_page(visitor: Client, ann: Any) -> None:
    answer = upload(visitor, "sales.csv", GOOD)
    analysis = Analysis.objects.get()
    assert answer.headers["Location"] == reverse("analysis:run", args=[analysis.pk])
    task = Task.objects.get(pk=analysis.task_id)
    assert (task.owner, task.queue, task.title, task.state) == (ann, "analysis", "sales.csv", State.PENDING)
    with analysis.dataset.file.open() as stored:
        assert stored.read() == GOOD
    assert b"sales.csv" in visitor.get(answer.headers["Location"]).content


def test_the_second_press_of_the_button_leads_to_the_first_run(visitor: Client) -> None:
    token = uuid.uuid4()
    first, second = (upload(visitor, "sales.csv", GOOD, token) for _ in range(2))
    assert first.headers["Location"] == second.headers["Location"]
    assert (Dataset.objects.count(), Task.objects.count()) == (1, 1)


def test_a_race_of_two_presses_leaves_one_data_set_and_one_file(ann: Any, settings: Any, monkeypatch: Any) -> None:
    token = uuid.uuid4()
    first = submit(ann, ContentFile(GOOD, "a.csv"), "a.csv", form_token=token)
    looked = iter([None, first])
    monkeypatch.setattr("analysis.models.AnalysisQuerySet.asked_with", lambda *_: next(looked))
    assert submit(ann, ContentFile(GOOD, "a.csv"), "a.csv", form_token=token) == first
    assert Dataset.objects.count() == 1
    assert len(list(Path(settings.MEDIA_ROOT).rglob("*.csv"))) == 1


def test_a_failed_enqueue_leaves_neither_rows_nor_file(ann: Any, settings: Any, monkeypatch: Any) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ValueError("no")

    monkeypatch.setattr("analysis.services._start", broken)
    with pytest.raises(ValueError, match="no"):
        submit(ann, ContentFile(GOOD, "a.csv"), "a.csv")
    assert not Dataset.objects.exists()
    assert not list(Path(settings.MEDIA_ROOT).rglob("*.csv"))


@pytest.mark.parametrize("view", ["run", "report", "again"])
def test_what_is_not_yours_is_not_there(view: str, ann: Any, bob: Any) -> None:
    analysis = submit(ann, ContentFile(GOOD, "a.csv"), "a.csv")
    client = Client()
    client.force_login(bob)
    url = reverse(f"analysis:{view}", args=[analysis.pk])
    answer = client.post(url, {"token": str(uuid.uuid4())}) if view == "again" else client.get(url)
    assert answer.status_code == 404
    assert b"a.csv" not in client.get(reverse("analysis:list")).content
    assert Analysis.objects.count() == 1


@pytest.mark.parametrize("view", ["list", "upload"])
def test_strangers_are_asked_to_sign_in(view: str, client: Client) -> None:
    answer = client.get(reverse(f"analysis:{view}"))
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith(reverse("login"))


def test_a_stranger_cannot_upload(client: Client) -> None:
    assert upload(client, "a.csv", GOOD).status_code == 302
    assert not Dataset.objects.exists()


def test_a_form_from_elsewhere_is_refused_and_says_so(ann: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(ann)
    answer = upload(client, "a.csv", GOOD)
    assert answer.status_code == 403
    assert b"Send it once more" in answer.content
    assert not Dataset.objects.exists()


def test_a_form_with_its_token_passes_the_protection(ann: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(ann)
    html = client.get(reverse("analysis:upload")).content.decode()
    protection = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', html)
    assert protection
    data = {"csrfmiddlewaretoken": protection[1], "token": str(uuid.uuid4()), "file": SimpleUploadedFile("a.csv", GOOD)}
    assert client.post(reverse("analysis:upload"), data).status_code == 302


def test_a_file_over_the_limit_is_not_even_kept_while_it_arrives(visitor: Client, settings: Any) -> None:
    settings.ANALYSIS_MAX_UPLOAD_BYTES = 100_000
    answer = upload(visitor, "big.csv", b"x" * 300_000)
    assert answer.status_code == 422
    assert b"too large" in answer.content
    assert not Dataset.objects.exists()
    assert not list(Path(settings.MEDIA_ROOT).rglob("*"))


@pytest.mark.parametrize(
    "name", ["=HYPERLINK(1).csv", '"><script>alert(1)<script>.csv', "<img src=x onerror=alert(1)>.csv", "a\u202eb.csv"]
)
def test_hostile_names_are_shown_as_text_only(visitor: Client, name: str) -> None:
    upload(visitor, name, GOOD)
    analysis = Analysis.objects.get()
    processed(analysis)
    for url in (
        reverse("analysis:list"),
        reverse("analysis:run", args=[analysis.pk]),
        reverse("analysis:report", args=[analysis.pk]),
    ):
        html = visitor.get(url).content.decode()
        assert "<script>alert" not in html
        assert "<img src=x" not in html
        assert "\u202e" not in html


def test_the_report_page_shows_findings_and_offers_both_files(visitor: Client) -> None:
    upload(visitor, "sales.csv", GOOD)
    analysis = Analysis.objects.get()
    context = processed(analysis)
    assert context.fractions == sorted(context.fractions)
    html = visitor.get(reverse("analysis:report", args=[analysis.pk])).content.decode()
    report = Report.objects.get()
    for kind in ("html", "json"):
        url = reverse("taskcenter:report-download", args=[report.pk, kind])
        assert url in html
        assert visitor.get(url).status_code == 200
    for finding in report.data["findings"][:3]:
        assert finding["columns"] == [] or finding["columns"][0] in html
    assert "price" in html


def test_no_page_has_inline_script_or_style(visitor: Client) -> None:
    upload(visitor, "sales.csv", GOOD)
    analysis = Analysis.objects.get()
    processed(analysis)
    for url in (
        reverse("analysis:list"),
        reverse("analysis:upload"),
        reverse("analysis:run", args=[analysis.pk]),
        reverse("analysis:report", args=[analysis.pk]),
        "/nowhere/",
    ):
        answer = visitor.get(url)
        html = answer.content.decode()
        assert "style-src 'self'" in answer.headers["Content-Security-Policy"]
        assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son[a-z]+=", html), url


BAD = {
    "blank": ("a.csv", b"   \n\n"),
    "binary": ("a.csv", bytes(range(256)) * 40),
    "pdf": ("a.csv", b"%PDF-1.7\n" + b"\x00\xff" * 200),
    "not parquet": ("a.parquet", b"PAR1 but not for long"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_ends_on_a_page_that_says_what_was_wrong(case: str, visitor: Client, tmp_path: Path) -> None:
    upload(visitor, *BAD[case])
    analysis = Analysis.objects.get()
    with pytest.raises(Exception) as raised:  # noqa: PT011 the next line says which
        processed(analysis)
    assert unless_permanent(raised.value, None) is None, raised.value
    Task.objects.filter(pk=analysis.task_id).update(state=State.CANCELLED, finished_at=analysis.created_at)
    Task.objects.filter(pk=analysis.task_id).update(state=State.FAILED)
    analysis.refresh_from_db()
    assert analysis.error_what
    assert analysis.error_code
    html = visitor.get(reverse("analysis:run", args=[analysis.pk])).content.decode()
    assert "What went wrong" in html
    assert "another file" in html
    assert not Report.objects.exists()
    assert not list((tmp_path / "work").iterdir()), "nothing half-written"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("header.csv", b"a,b,c\n"),
        ("nulls.csv", b"a,b\n" + b",\n" * 50),
        ("one.csv", b"a\n1\n"),
        ("ragged.csv", b"a,b\n1,2\n" * 60 + b"1,2,3,4\n"),
        ("latin.csv", b"name,ort\n" + "Jürgen,Köln\n".encode("latin-1") * 30),
    ],
)
def test_a_poor_file_still_gets_a_finished_report(name: str, content: bytes, visitor: Client) -> None:
    upload(visitor, name, content)
    analysis = Analysis.objects.get()
    processed(analysis)
    assert visitor.get(reverse("analysis:report", args=[analysis.pk])).status_code == 200


def test_cancelling_between_stages_keeps_no_report_and_no_folder(visitor: Client, tmp_path: Path) -> None:
    upload(visitor, "a.csv", GOOD)
    analysis = Analysis.objects.get()
    with pytest.raises(Cancelled):
        processed(analysis, cancel_at="Measuring the columns")
    analysis.refresh_from_db()
    assert analysis.status == Analysis.Status.CANCELLED
    assert not Report.objects.exists()
    assert not list((tmp_path / "work").iterdir())


def test_a_second_attempt_starts_clean_after_a_first_that_failed(visitor: Client) -> None:
    upload(visitor, "a.csv", GOOD)
    analysis = Analysis.objects.get()
    Analysis.objects.update(status="failed", error_what="The first try broke off.", error_code="x")
    processed(analysis)
    analysis.refresh_from_db()
    assert (analysis.status, analysis.error_what, analysis.error_code) == ("completed", "", "")
    assert analysis.ready_report


def test_a_file_that_is_gone_is_told_and_not_tried_again(ann: Any) -> None:
    analysis = submit(ann, ContentFile(GOOD, "a.csv"), "a.csv")
    analysis.dataset.file.delete(save=False)
    with pytest.raises(Exception, match="no longer there") as raised:
        AIService().analyze(analysis.pk)
    assert unless_permanent(raised.value, None) is None
    assert unless_permanent(OSError("disk"), None) is not None


def end(analysis: Analysis, state: State, **changes: Any) -> None:
    Task.objects.filter(pk=analysis.task_id).update(state=state, finished_at=analysis.created_at, **changes)


@pytest.mark.parametrize(("state", "told"), [(State.CANCELLED, ""), (State.FAILED, "our fault")])
def test_a_task_that_ended_without_the_worker_settles_its_analysis(ann: Any, state: State, told: str) -> None:
    analysis = submit(ann, ContentFile(GOOD, "a.csv"), "a.csv")
    end(analysis, state)
    settle([analysis])
    assert analysis.status == state.value
    assert told in analysis.error_what
    assert analysis.finished_at


def test_an_analysis_whose_task_was_cleaned_up_is_not_waited_for(ann: Any) -> None:
    analysis = submit(ann, ContentFile(GOOD, "a.csv"), "a.csv")
    Task.objects.all().delete()
    settle([analysis])
    assert analysis.status == Analysis.Status.FAILED


def test_a_report_of_an_attempt_that_did_not_finish_is_not_shown(visitor: Client) -> None:
    upload(visitor, "a.csv", GOOD)
    analysis = Analysis.objects.get()
    processed(analysis)
    Report.objects.update(is_final=False)
    assert visitor.get(reverse("analysis:report", args=[analysis.pk])).status_code == 302


def test_run_again_makes_one_more_run_of_the_same_file(visitor: Client, ann: Any) -> None:
    upload(visitor, "a.csv", GOOD)
    analysis = Analysis.objects.get()
    token = str(uuid.uuid4())
    url = reverse("analysis:again", args=[analysis.pk])
    first, second = (visitor.post(url, {"token": token}) for _ in range(2))
    assert first.headers["Location"] == second.headers["Location"]
    assert (Analysis.objects.count(), Dataset.objects.count()) == (2, 1)
    assert rerun(ann, analysis.dataset, form_token=uuid.uuid4()).dataset == analysis.dataset


@pytest.mark.parametrize("key", ["penguins", "orders"])
def test_a_bundled_data_set_is_one_click_away(visitor: Client, key: str) -> None:
    answer = visitor.post(reverse("analysis:sample", args=[key]), {"token": str(uuid.uuid4())})
    assert answer.status_code == 302
    assert Dataset.objects.get().name == f"{key}.csv"


def test_an_unknown_sample_is_not_there(visitor: Client) -> None:
    assert visitor.post(reverse("analysis:sample", args=["gold"]), {"token": str(uuid.uuid4())}).status_code == 404


def test_the_empty_list_says_what_to_do(visitor: Client) -> None:
    assert b"Upload your first data set" in visitor.get(reverse("analysis:list")).content


def test_redis_being_away_does_not_fail_an_upload(visitor: Client, settings: Any) -> None:
    settings.RQ_QUEUES = {name: {"URL": "redis://127.0.0.1:1/0"} for name in ("default", "analysis")}
    assert upload(visitor, "a.csv", GOOD).status_code == 302
    assert Task.objects.get().state == State.PENDING


def test_the_list_asks_as_many_questions_for_many_rows_as_for_few(
    visitor: Client, ann: Any, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    for _ in range(8):
        submit(ann, ContentFile(GOOD, "a.csv"), "a.csv")
    with django_assert_max_num_queries(16):
        visitor.get(reverse("analysis:list"))


def test_a_long_list_has_a_second_page(visitor: Client, ann: Any) -> None:
    for number in range(21):
        submit(ann, ContentFile(GOOD, "a.csv"), f"{number:02}.csv")
    assert b"20.csv" in (first := visitor.get(reverse("analysis:list")).content)
    assert b"00.csv" not in first
    assert b'href="?page=2" rel="next"' in first
    assert b"00.csv" in visitor.get(reverse("analysis:list"), {"page": 2}).content


def test_every_answer_forbids_guessing_its_type_and_framing(visitor: Client, ann: Any) -> None:
    analysis = submit(ann, ContentFile(GOOD, "a.csv"), "a.csv")
    processed(analysis)
    task = Task.objects.get()
    pages = [reverse("analysis:list"), reverse("analysis:run", args=[analysis.pk]), "/tasks/", "/tasks/api/tasks/"]
    pages += [f"/tasks/tasks/{task.pk}/", f"/tasks/shared/{Share.objects.make(task, ann, timedelta(hours=1)).token}/"]
    pages += [f"/tasks/reports/{task.reports.get().pk}/{kind}" for kind in ("", "csv/", "json/", "html/")]
    for address in pages:
        answer = visitor.get(address)
        assert answer.status_code == 200, address
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert answer["X-Frame-Options"] == "DENY"
        assert "unsafe-inline" not in answer["Content-Security-Policy"] or address.endswith(("csv/", "json/", "html/"))


def test_the_csv_of_a_report_holds_its_columns_and_no_formula(visitor: Client, ann: Any) -> None:
    rows = b"=cmd|x,price\n" + b"".join(b"=1+%d,%d\n" % (n % 3, n) for n in range(60))
    processed(submit(ann, ContentFile(rows, "a.csv"), "=HYPERLINK(1).csv"))
    answer = visitor.get(reverse("taskcenter:report-download", args=[Report.objects.get().pk, "csv"]))
    text = answer.content.decode("utf-8-sig")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert "price" in text
    cells = [cell for line in csv.reader(io.StringIO(text)) for cell in line]
    assert any(cell.startswith("'=") for cell in cells)
    assert not [cell for cell in cells if cell.startswith(("=", "@", "+"))]


def test_the_task_is_limited_in_time_and_tries() -> None:
    assert analyze.timeout
    assert analyze.attempts_allowed == 2
