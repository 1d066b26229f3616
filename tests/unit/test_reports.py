"""Reports: kept during an attempt, final with it, rendered without script."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from taskcenter import reports
from taskcenter.exceptions import InvalidPayload
from taskcenter.models import Report
from taskcenter.states import State
from tests.factories import make_report, make_task, make_user

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def renderers(monkeypatch):
    monkeypatch.setattr(reports, "_renderers", {})


@pytest.mark.django_db
def test_an_attempt_keeps_one_report_and_the_last_one_counts():
    task = make_task(State.PROCESSING, owner=make_user())
    reports.keep(task.pk, 1, title="First", data={"rows": 1}, owner=task.owner)
    reports.keep(task.pk, 1, title="Second", data={"rows": 2}, owner=task.owner)
    report = Report.objects.get()
    assert (report.title, report.data, report.owner, report.is_final) == ("Second", {"rows": 2}, task.owner, False)


@pytest.mark.django_db
def test_finalise_makes_only_the_present_attempts_report_final():
    task = make_task(State.PROCESSING)
    reports.keep(task.pk, 1, title="Died", data={})
    reports.keep(task.pk, 2, title="Lived", data={})
    task.attempt = 2
    final = reports.finalise(task)
    assert final is not None
    assert final.title == "Lived"
    assert list(Report.objects.final().values_list("title", flat=True)) == ["Lived"]


@pytest.mark.django_db
def test_finalise_answers_none_without_a_report():
    assert reports.finalise(make_task(State.PROCESSING)) is None


@pytest.mark.django_db
def test_a_late_attempt_cannot_change_a_report_that_is_final():
    report = make_report(make_task(State.COMPLETED), title="Final")
    reports.keep(report.task_id, report.attempt, title="Late", data={})
    report.refresh_from_db()
    assert report.title == "Final"


@pytest.mark.django_db
@pytest.mark.parametrize("data", [{"x": float("nan")}, {"x": object()}, {"x": "a\0b"}])
def test_data_that_no_database_keeps_is_refused(data):
    task = make_task(State.PROCESSING)
    with pytest.raises(InvalidPayload):
        reports.keep(task.pk, 1, title="Bad", data=data)
    assert not Report.objects.exists()


@pytest.mark.django_db
def test_expire_deletes_what_is_older_than_the_retention(settings):
    settings.TASKCENTER = {"REPORT_RETENTION": timedelta(days=30)}
    now = timezone.now()
    old = make_report(make_task(State.COMPLETED), created_at=now - timedelta(days=31))
    young = make_report(make_task(State.COMPLETED), created_at=now - timedelta(days=29))
    assert reports.expire(now) == 1
    assert not Report.objects.filter(pk=old.pk).exists()
    assert Report.objects.filter(pk=young.pk).exists()


@pytest.mark.django_db
def test_expire_keeps_reports_for_ever_by_default_but_not_abandoned_drafts():
    now = timezone.now()
    long_ago = now - timedelta(days=4000)
    kept = make_report(make_task(State.COMPLETED), created_at=long_ago)
    running = make_report(make_task(State.PROCESSING), is_final=False, created_at=long_ago)
    make_report(make_task(State.FAILED), is_final=False, created_at=long_ago)
    assert reports.expire(now) == 1
    assert set(Report.objects.all()) == {kept, running}


@pytest.mark.django_db
def test_the_html_file_stands_alone_and_runs_nothing():
    data = {"summary": HOSTILE, "facts": {HOSTILE: HOSTILE}, "tables": [{"columns": [HOSTILE], "rows": [[HOSTILE]]}]}
    chart = {"kind": "bar", "title": HOSTILE, "labels": [HOSTILE], "values": [1]}
    page = reports.as_html(make_report(make_task(State.COMPLETED), title=HOSTILE, data={**data, "charts": [chart]}))
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "default-src 'none'" in page
    assert "<svg" in page
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in page


@pytest.mark.django_db
def test_the_json_file_is_the_data():
    report = make_report(make_task(State.COMPLETED), data={"schema": "sales/1", "name": "Zoë"})
    assert json.loads(reports.as_json(report)) == {"schema": "sales/1", "name": "Zoë"}
    assert "Zoë".encode() in reports.as_json(report)


def test_the_longest_registered_prefix_of_the_schema_names_the_template(renderers):
    reports.register_renderer("sales/", "sales.html")
    reports.register_renderer("sales/2", "sales_2.html")
    assert reports.body_template({"schema": "sales/1"}) == "sales.html"
    assert reports.body_template({"schema": "sales/2.1"}) == "sales_2.html"


@pytest.mark.parametrize("data", [{}, {"schema": "/etc/passwd"}, {"schema": ["x"]}, {"template": "x.html"}, []])
def test_data_never_names_a_template_by_itself(renderers, data):
    assert reports.body_template(data) == reports.GENERIC_BODY


def test_sections_sort_what_they_know_and_show_the_rest_as_json():
    found = reports.sections(
        {
            "schema": "x/1",
            "summary": "Fine.",
            "warnings": ["One row skipped"],
            "facts": {"row_count": 1234567},
            "owner_name": "Ann",
            "charts": [{"kind": "bar", "title": "Sales", "labels": ["a"], "values": [1]}],
            "trend": {"kind": "spark", "title": "Trend", "values": [1, 2]},
            "tables": [{"columns": ["a"], "rows": [[None], [True]]}],
            "other": [1, 2],
        }
    )
    assert (found.summary, found.warnings) == ("Fine.", ["One row skipped"])
    assert found.facts == [("Row count", "1,234,567"), ("Owner name", "Ann")]
    assert [chart["kind"] for chart in found.charts] == ["bar", "spark"]
    assert found.tables == [{"title": "", "columns": ["a"], "rows": [["none"], ["yes"]]}]
    assert found.rest == [("Other", "[\n  1,\n  2\n]")]


@pytest.mark.parametrize(
    "data",
    [
        {"charts": "no"},
        {"charts": [{"kind": "nonsense"}]},
        {"trend": {"kind": "bar"}},
        {"tables": [1]},
        {"tables": [{"rows": 5}]},
        {"facts": 3},
        {"warnings": {}},
    ],
)
def test_what_is_not_as_it_should_be_is_shown_as_it_is(data):
    found = reports.sections(data)
    assert found.charts == []
    assert found.tables == []
    assert found.rest or found.facts
