"""The page of one task in the admin, and the list's filters: what each shows, and to whom."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from taskcenter.compat import uuid7
from taskcenter.models import Task, TaskEvent
from taskcenter.models.narrow import in_state
from taskcenter.states import State
from tests.factories import make_event, make_report, make_staff, make_task, make_user, make_worker

pytestmark = pytest.mark.django_db

LIST = "/admin/taskcenter/task/"
TRACE = """Traceback (most recent call last):
  File "/srv/site/.venv/lib/python3.13/site-packages/somelib/reader.py", line 210, in read
    return parse(row)
  File "/usr/lib/python3.13/json/decoder.py", line 9, in decode
    raise StopIteration
  File "/srv/site/imports/parse.py", line 88, in row
    raise ValueError("9 fields")
ValueError: 9 fields
"""


@pytest.fixture
def root(client: Client) -> Client:
    client.force_login(make_staff("root", is_superuser=True))
    return client


def at(name: str, *args: Any) -> str:
    return reverse(f"admin:taskcenter_task_{name}", args=args)


def text_of(response: Any) -> str:
    return str(response.content.decode())


def titles(client: Client, **query: str) -> set[str]:
    return set(re.findall(r'class="tc-cell-title"[^>]*>([^<]*)<', text_of(client.get(LIST, query))))


# What went wrong.


def test_own_frames_come_first_and_the_place_is_named(root: Client) -> None:
    task = make_task(State.FAILED)
    make_event(task, TaskEvent.Kind.FAILED, "ValueError: 9 fields", attempt=1, data={"traceback": TRACE})
    text = text_of(root.get(at("change", task.pk)))
    assert "imports/parse.py:88 in row" in text
    own, full = re.findall(r'<pre class="tc-code"[^>]*>(Traceback.*?)</pre>', text, re.DOTALL)
    assert "imports/parse.py" in own
    assert "somelib" not in own
    assert "decoder.py" not in own
    assert "somelib" in full


def test_others_that_failed_alike_are_counted(root: Client) -> None:
    task, *_ = (make_task(State.FAILED, fingerprint="f" * 32) for _ in range(4))
    make_task(State.FAILED, fingerprint="f" * 32, finished_at=timezone.now() - timedelta(days=2))
    make_task(State.COMPLETED)
    assert "3 others failed alike in 24 h" in text_of(root.get(at("change", task.pk)))


def test_a_lost_task_is_offered_to_be_recovered(root: Client) -> None:
    lost = make_task(State.PROCESSING, worker=make_worker(silent=3600))
    held = make_task(State.PROCESSING, worker=make_worker())
    assert at("recover", lost.pk) in text_of(root.get(at("change", lost.pk)))
    assert "Dump its stack" not in text_of(root.get(at("change", lost.pk)))
    assert at("recover", held.pk) not in text_of(root.get(at("change", held.pk)))


def test_the_report_is_shown_in_short(root: Client) -> None:
    task = make_task(State.COMPLETED)
    make_report(task, title="Figures", data={"summary": "Sales rose.", "facts": {"Rows": 1000}, "big": "x" * 10_000})
    text = text_of(root.get(at("change", task.pk)))
    assert "Sales rose." in text
    assert "<dt>Rows</dt><dd>1000</dd>" in text
    told = make_task(State.COMPLETED)
    make_report(told, data={"summary": {"headline": "1 finding", "tiles": [{"label": "Columns", "value": 7}]}})
    text = text_of(root.get(at("change", told.pk)))
    assert "1 finding" in text
    assert "<dt>Columns</dt><dd>7</dd>" in text


# The timeline.


def test_the_timeline_is_narrowed_by_level_and_pages_back(root: Client) -> None:
    task = make_task(State.COMPLETED)
    lines = [
        TaskEvent(
            task=task, seq=number, kind="log", level="error" if number % 100 == 0 else "info", text=f"line {number};"
        )
        for number in range(1, 451)
    ]
    TaskEvent.objects.bulk_create(lines)
    page = at("change", task.pk)
    text = text_of(root.get(page, {"level": "error"}))
    assert re.findall(r"line (\d+);", text.partition("Attempts")[0]) == ["100", "200", "300", "400"]
    text = text_of(root.get(page))
    assert "?before=251#timeline" in text
    assert 'href="#event-450"' in text
    earlier = text_of(root.get(page, {"before": "251"})).partition("Attempts")[0]
    assert "line 250;" in earlier
    assert "line 251;" not in earlier
    for nonsense in ({"before": "x"}, {"before": "9" * 40}, {"level": "<b>"}):
        assert root.get(page, nonsense).status_code == 200


def test_log_lines_stand_with_their_attempt(root: Client) -> None:
    task = make_task(State.FAILED, attempt=2, failures=2)
    for attempt in (1, 2):
        make_event(task, TaskEvent.Kind.LOG, f"reading for the {attempt}. time", attempt=attempt)
        make_event(task, TaskEvent.Kind.FAILED, "x", attempt=attempt)
    text = text_of(root.get(at("change", task.pk))).partition("Attempts</h2>")[2]
    assert re.search(r'id="log-2".*for the 2\. time.*id="log-1".*for the 1\. time', text, re.DOTALL)


# Input, result, metadata.


def test_secrets_are_masked_on_the_page_and_in_the_file(root: Client, settings: Any) -> None:
    secrets = {"api-key": "K1", "userPassword": "K2", "nested": [{"Authorization": "K3"}], "url": "redis://u:K4@host/0"}
    task = make_task(
        State.COMPLETED, kwargs={**secrets, "path": "a.csv"}, result={"token": "K5"}, metadata={"pin": "K6"}
    )
    for address in (at("change", task.pk), *(at("data", task.pk, part) for part in ("input", "result"))):
        text = text_of(root.get(address))
        assert "********" in text
        assert not re.search(r"K[1-5]", text)
    assert "K6" in text_of(root.get(at("data", task.pk, "metadata")))
    settings.TASKCENTER = {"MASK": ["pin"]}
    assert json.loads(root.get(at("data", task.pk, "metadata")).content) == {"pin": "********"}


def test_what_is_cut_on_the_page_is_whole_in_the_file(root: Client) -> None:
    task = make_task(kwargs={"text": "x" * 20_000})
    assert at("data", task.pk, "input") in text_of(root.get(at("change", task.pk)))
    response = root.get(at("data", task.pk, "input"))
    assert response.headers["Content-Disposition"].startswith("attachment")
    assert json.loads(response.content)["kwargs"] == {"text": "x" * 20_000}
    assert root.get(at("data", task.pk, "result")).status_code == 404
    assert root.get(at("data", task.pk, "owner")).status_code == 404


# Gone, hidden, forbidden.


def test_what_is_gone_and_what_is_hidden_look_alike(client: Client, settings: Any) -> None:
    settings.TASKCENTER = {"VISIBLE": "tests.integration.test_admin_task_page.only_default"}
    client.force_login(make_staff("root", is_superuser=True))
    hidden = make_task(State.FAILED, queue="analysis", title="Hidden one", kwargs={"a": 1})
    names = ("change", "retry", "cancel", "recover", "delete")
    for task_id in (hidden.pk, uuid7()):
        for address in (*(at(name, task_id) for name in names), at("data", task_id, "input")):
            response = client.get(address)
            assert response.status_code == 404
            assert "deleted by retention, after 7 days" in text_of(response)
            assert "Hidden one" not in text_of(response)
    assert client.get(at("change", "no-id")).status_code == 404
    assert client.post(at("stack", hidden.pk)).status_code == 404


def only_default(user: Any, queryset: Any) -> Any:
    return queryset.filter(queue="default")


def test_data_needs_the_right_to_see_the_task(client: Client) -> None:
    task = make_task(owner=make_user())
    client.force_login(make_staff(permissions=("cancel_task",)))
    assert client.get(at("data", task.pk, "input")).status_code == 403
    assert client.get(at("newer", task.pk)).status_code == 403


# The list.


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"state": "waiting"}, {"waiting", "again"}),
        ({"state": "finished"}, {"old", "failed"}),
        ({"created": "7"}, {"waiting", "again", "running", "failed"}),
        ({"ended": "1"}, {"failed"}),
        ({"state": "failed", "ended": "1"}, {"failed"}),
        ({"report": "yes"}, {"old"}),
        ({"report": "no", "state": "finished"}, {"failed"}),
        ({"state": "nonsense"}, set()),
        ({"created": "nonsense"}, {"old", "waiting", "again", "running", "failed"}),
    ],
)
def test_more_filters(root: Client, query: dict[str, str], expected: set[str]) -> None:
    month = timezone.now() - timedelta(days=29)
    old = make_task(State.COMPLETED, title="old", created_at=month, finished_at=month)
    make_report(old)
    make_task(title="waiting")
    make_task(State.SCHEDULED, title="again", attempt=1, failures=1)
    make_task(State.PROCESSING, title="running", worker=make_worker())
    make_task(State.FAILED, title="failed")
    assert titles(root, **query) == expected


def test_stalled_tasks_are_found(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskcenter.progress.standstill.is_stalled", lambda task, _: task.title != "moves")
    make_task(State.PROCESSING, title="stands still", worker=make_worker())
    make_task(State.PROCESSING, title="moves", worker=make_worker())
    make_task(State.PROCESSING, title="lost", worker=make_worker(silent=3600))
    assert titles(root, state="stalled") == {"stands still"}


def test_all_of_a_list_of_stalled_tasks_is_never_all_tasks(root: Client) -> None:
    task = make_task()
    chosen = {"action": "cancel_selected", "_selected_action": [task.pk], "select_across": "1"}
    text = text_of(root.post(f"{LIST}?state=stalled", chosen))
    assert "Cancel" not in text or "Nothing to cancel" in text
    assert not in_state(Task.objects.all(), "stalled").exists()
    assert not in_state(Task.objects.all(), "typed wrong").exists()


@pytest.mark.parametrize("start", [8, 14, 35])
def test_the_start_of_an_id_finds_it(root: Client, start: int) -> None:
    task = make_task(title="This one", id="01a2142d-06cc-7b55-a9ec-48375cbad97b")
    make_task(title="Another", id="01a2142e-06cc-7b55-a9ec-48375cbad97b")
    assert titles(root, q=str(task.pk)[:start].upper()) == {"This one"}


def test_tabs_count_what_is_alive_and_what_failed_today(root: Client) -> None:
    for state, count in ((State.PENDING, 3), (State.PROCESSING, 2), (State.FAILED, 1), (State.COMPLETED, 4)):
        for _ in range(count):
            make_task(state, worker=make_worker())
    make_task(State.FAILED, finished_at=timezone.now() - timedelta(days=2))
    text = text_of(root.get(LIST))
    tabs = re.findall(r'<a href="([^"]*)"[^>]*>([^<]*?)(?: <span class="tc-tab-count[^>]*>([^<]*)</span>)?</a>', text)
    counts = {word.strip(): count for _, word, count in tabs if count}
    assert counts == {"Processing": "2", "Waiting": "3", "Retrying": "0", "Lost": "0", "Failed in 24 h": "1"}
    assert "?state=failed&amp;ended=1" in text


def test_an_empty_list_says_what_it_is_narrowed_by(root: Client) -> None:
    assert "No tasks yet." in text_of(root.get(LIST))
    text = text_of(root.get(LIST, {"state": "failed", "queue": "default", "ended": "1", "q": "<b>"}))
    assert "No tasks in state failed, in queue default, that ended in 24 hours, found by “&lt;b&gt;”." in text
    assert '<a href="?">Clear filters</a>' in text


def test_the_list_is_told_of_newer_tasks(root: Client) -> None:
    first = make_task()
    make_task()
    make_task(State.FAILED)
    assert f'data-newer="{at("newer", Task.objects.order_by("-id")[0].pk)}' in text_of(root.get(LIST))
    assert root.get(at("newer", first.pk)).json() == {"newer": 2}
    assert root.get(at("newer", first.pk), {"state": "failed"}).json() == {"newer": 1}
    assert root.get(at("newer", first.pk), {"state": "stalled"}).json() == {"newer": 0}
