"""The pages and POST resources: who may see what, what they answer, what they promise to scripts."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import DatabaseError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from taskcenter.models import Notification, Queue, Task, TaskEvent
from taskcenter.states import FINAL, State
from tests.factories import (
    make_event,
    make_notification,
    make_report,
    make_staff,
    make_task,
    make_user,
    make_worker,
)

pytestmark = pytest.mark.django_db

HOSTILE = "<script>alert(1)</script>"
JSON = {"HTTP_ACCEPT": "application/json"}


@pytest.fixture
def ann():
    return make_user("ann")


@pytest.fixture
def ann_page(client, ann):
    """A browser in which Ann is signed in."""
    client.force_login(ann)
    return client


def at(name, *args):
    return reverse(f"taskcenter:{name}", args=args)


def text_of(response):
    return response.content.decode()


def test_my_tasks_lists_mine_and_nobody_elses(ann_page, ann):
    make_task(State.PROCESSING, owner=ann, title="Mine")
    make_task(State.PROCESSING, owner=make_user(), title="Theirs")
    text = text_of(ann_page.get(at("task-list")))
    assert "Mine" in text
    assert "Theirs" not in text


def test_an_empty_list_says_what_will_be_there(ann_page):
    assert "No tasks yet" in text_of(ann_page.get(at("task-list")))


def test_twenty_five_tasks_make_a_page_and_a_number_of_queries_that_does_not_grow(
    ann_page, ann, django_assert_max_num_queries
):
    for number in range(30):
        make_report(make_task(State.COMPLETED, owner=ann, title=f"Task {number:02}"))
    with django_assert_max_num_queries(12):
        text = text_of(ann_page.get(at("task-list")))
    assert text.count("<task-progress") == 25
    assert "Task 29" in text
    assert "Task 04" not in text
    older = re.search(r'href="(\?after=[^"]+)" rel="next"', text)[1]
    second = text_of(ann_page.get(at("task-list") + older))
    assert "Task 04" in second
    assert 'rel="next"' not in second
    newer = re.search(r'href="(\?before=[^"]+)" rel="prev"', second)[1]
    assert text_of(ann_page.get(at("task-list") + newer)).count("<task-progress") == 25


def test_the_list_is_narrowed_by_state_and_by_title_together(ann_page, ann):
    make_task(State.FAILED, owner=ann, title="Sales of March")
    make_task(State.PENDING, owner=ann, title="Sales of April")
    make_task(State.FAILED, owner=ann, title="Stock")
    make_task(State.FAILED, owner=ann, definition="shop.tasks.count_sales")
    make_task(State.FAILED, owner=make_user(), title="Sales of hers")
    text = text_of(ann_page.get(at("task-list"), {"state": "failed", "q": "sales"}))
    assert "Sales of March" in text
    assert "count_sales" in text, "what has no title is called by its definition"
    for absent in ("April", "Stock", "of hers"):
        assert absent not in text
    assert re.search(r'aria-current="page">Failed<', text)


def test_a_search_ends_at_the_newest_tasks(ann_page, ann, monkeypatch):
    monkeypatch.setattr("taskcenter.models.task.SEARCHED", 2)
    for title in ("Sales 1", "Sales 2", "Sales 3", "Stock"):
        make_task(owner=ann, title=title)
        make_task(owner=make_user(), title="Hers")
    text = text_of(ann_page.get(at("task-list"), {"q": "sales"}))
    assert "Sales 3" in text
    assert "Sales 2" not in text


def test_waiting_is_one_word_for_three_states(ann_page, ann):
    for state in State:
        make_task(state, owner=ann, title=f"A {state} one")
    text = text_of(ann_page.get(at("task-list")))
    tab = re.search(r'href="([^"]+)">Waiting<', text)[1]
    shown = set(re.findall(r"A (\w+) one</a>", text_of(ann_page.get(at("task-list") + tab))))
    assert shown == {"blocked", "scheduled", "pending"}


def test_nothing_found_says_so_and_leads_back(ann_page, ann):
    make_task(State.FAILED, owner=ann, title="Sales")
    text = text_of(ann_page.get(at("task-list"), {"state": "completed", "q": HOSTILE}))
    assert "No done tasks" in text
    assert "Show all tasks" in text
    assert HOSTILE not in text


@pytest.mark.parametrize("asked", [{"state": "x"}, {"after": "x"}, {"before": "0"}])
def test_an_address_that_makes_no_sense_shows_the_whole_list(ann_page, asked):
    assert ann_page.get(at("task-list"), asked)["Location"] == at("task-list")


def test_a_page_of_notifications_is_followed_by_the_next(ann_page, ann):
    for _ in range(26):
        make_notification(make_task(State.COMPLETED, owner=ann))
    text = text_of(ann_page.get(at("notification-list")))
    older = re.search(r'href="(\?after=\d+)" rel="next"', text)[1]
    assert text_of(ann_page.get(at("notification-list") + older)).count("Mark read<") == 1
    assert ann_page.get(at("notification-list"), {"after": "x"}).status_code == 302


def test_a_waiting_task_says_why_it_waits(client, ann):
    task = make_task(State.PENDING, owner=ann)

    def page(user):
        client.force_login(user)
        return text_of(client.get(at("task-detail", task.pk)))

    plain = page(ann)
    assert "Nothing can run it at the moment." in plain
    assert "You can leave this page" in plain
    assert "rqworker" not in plain
    assert "manage.py rqworker default" in page(make_staff(permissions=("view_task",)))
    Queue.objects.create(name="default", paused_at=timezone.now(), paused_reason="Stocktaking")
    assert "It is held back for now: Stocktaking" in page(ann)


@pytest.mark.parametrize("state", sorted(State))
def test_every_state_has_a_page(ann_page, ann, state):
    task = make_task(state, owner=ann, title="Sales 2026")
    response = ann_page.get(at("task-detail", task.pk))
    assert response.status_code == 200
    assert "Sales 2026" in text_of(response)


def test_what_is_not_visible_is_not_found(ann_page):
    task = make_task(State.FAILED, owner=make_user())
    report = make_report(task)
    missing = uuid4()
    for key in (task.pk, missing):
        assert ann_page.get(at("task-detail", key)).status_code == 404
        assert ann_page.post(at("task-cancel", key)).status_code == 404
        assert ann_page.post(at("task-retry", key)).status_code == 404
    assert ann_page.get(at("report-detail", report.pk)).status_code == 404
    assert ann_page.get(at("report-download", report.pk, "json")).status_code == 404
    task.refresh_from_db()
    assert task.state == State.FAILED


def test_a_failed_task_says_what_went_wrong_and_keeps_the_traceback_for_staff(client, ann):
    task = make_task(State.FAILED, owner=ann)
    make_event(task, TaskEvent.Kind.FAILED, "ValueError: line 41", data={"traceback": "Traceback: secret/path.py"})
    client.force_login(ann)
    text = text_of(client.get(at("task-detail", task.pk)))
    assert "line 41 has 9 fields, expected 8" in text
    assert "secret/path.py" not in text
    client.force_login(make_staff(permissions=("view_task",)))
    assert "secret/path.py" in text_of(client.get(at("task-detail", task.pk)))


def test_hostile_text_is_shown_as_text(ann_page, ann):
    task = make_task(State.FAILED, owner=ann, title=HOSTILE, error_message=HOSTILE, error_type=HOSTILE)
    make_event(task, TaskEvent.Kind.LOG, HOSTILE, actor=ann)
    report = make_report(task, title=HOSTILE, data={"summary": HOSTILE, HOSTILE: {"x": HOSTILE}})
    make_notification(task, text=HOSTILE)
    addresses = [at("task-list"), at("task-detail", task.pk), at("report-detail", report.pk), at("notification-list")]
    for address in addresses:
        text = text_of(ann_page.get(address))
        assert HOSTILE not in text
        assert "&lt;script&gt;alert" in text


def test_looking_at_the_outcome_marks_its_notification_read(ann_page, ann):
    done, other = (make_task(State.COMPLETED, owner=ann) for _ in range(2))
    make_notification(done)
    make_notification(other)
    ann_page.get(at("task-detail", done.pk))
    assert list(Notification.objects.unread().values_list("task", flat=True)) == [other.pk]


def test_the_owner_cancels_a_waiting_task(ann_page, ann):
    task = make_task(State.PENDING, owner=ann)
    response = ann_page.post(at("task-cancel", task.pk), {"reason": "Wrong file"}, follow=True)
    task.refresh_from_db()
    assert task.state == State.CANCELLED
    assert response.redirect_chain == [(at("task-detail", task.pk), 302)]
    assert "Cancelled before it ran." in text_of(response)
    event = task.events.get()
    assert (event.text, event.actor) == ("Wrong file", ann)


def test_the_history_tells_of_the_cancel_once(ann_page, ann):
    task = make_task(State.PENDING, owner=ann)
    ann_page.post(at("task-cancel", task.pk), {"reason": "Wrong file"})
    history = text_of(ann_page.get(at("task-detail", task.pk))).partition("tc-timeline")[2]
    assert history.count("<strong>Cancelled</strong> by ann") == 1
    assert history.count("<strong>Cancelled</strong>") == 1


def test_a_script_gets_the_new_state_as_json(ann_page, ann):
    task = make_task(State.PROCESSING, owner=ann)
    answer = ann_page.post(at("task-cancel", task.pk), **JSON).json()
    assert answer["task"]["id"] == str(task.pk)
    assert answer["task"]["shown"] in {"cancelling", "lost"}
    assert answer["task"]["rev"] == task.rev + 1
    assert answer["moved"] is True
    assert answer["text"]


def test_asking_too_late_is_answered_and_changes_nothing(ann_page, ann):
    task = make_task(State.COMPLETED, owner=ann)
    for name in ("task-cancel", "task-retry"):
        answer = ann_page.post(at(name, task.pk), **JSON).json()
        assert answer["moved"] is False
        assert "completed" in answer["text"]
    task.refresh_from_db()
    assert task.state == State.COMPLETED


def test_the_owner_retries_a_failed_task(ann_page, ann):
    task = make_task(State.FAILED, owner=ann)
    ann_page.post(at("task-retry", task.pk))
    task.refresh_from_db()
    assert (task.state, task.failures) == (State.PENDING, 0)


def test_the_same_page_retries_one_failure_once(ann_page, ann):
    task = make_task(State.FAILED, owner=ann)
    once = re.search(r'name="once" value="([^"]+)"', text_of(ann_page.get(at("task-detail", task.pk))))[1]
    for _ in range(2):
        ann_page.post(at("task-retry", task.pk), {"once": once})
        # It fails again before the second click comes.
        Task.objects.filter(pk=task.pk).update(state=State.FAILED, finished_at=timezone.now())
    assert Task.objects.get().events.filter(kind="retried").count() == 1


@pytest.mark.parametrize(("name", "permission"), [("task-cancel", "cancel_task"), ("task-retry", "retry_task")])
def test_others_need_the_permission_beside_the_sight(client, name, permission):
    task = make_task(State.PENDING if name == "task-cancel" else State.FAILED, owner=make_user())
    client.force_login(make_user(permissions=("view_task",)))
    assert client.post(at(name, task.pk)).status_code == 403
    assert client.post(at(name, task.pk), **JSON).status_code == 403
    client.force_login(make_user(permissions=(permission,)))
    assert client.post(at(name, task.pk)).status_code == 404
    client.force_login(make_user(permissions=("view_task", permission)))
    assert client.post(at(name, task.pk)).status_code == 302
    assert Task.objects.get().rev == task.rev + 1


def test_changing_anything_needs_post_and_the_csrf_token(ann):
    task = make_task(State.PENDING, owner=ann)
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(ann)
    for name in ("task-cancel", "task-retry"):
        assert browser.get(at(name, task.pk)).status_code == 405
        assert browser.post(at(name, task.pk)).status_code == 403
    assert browser.post(at("notification-list"), {"all": "1"}).status_code == 403
    task.refresh_from_db()
    assert task.state == State.PENDING


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", ""])
def test_only_addresses_of_this_site_are_returned_to(ann_page, ann, target):
    task = make_task(State.PENDING, owner=ann)
    response = ann_page.post(at("task-cancel", task.pk), {"next": target})
    assert response["Location"] == at("task-detail", task.pk)


def test_a_form_may_say_where_to_return_to(ann_page, ann):
    task = make_task(State.PENDING, owner=ann)
    response = ann_page.post(at("task-cancel", task.pk), {"next": "/tasks/?page=2"})
    assert response["Location"] == "/tasks/?page=2"


def test_strangers_are_sent_to_sign_in_and_scripts_are_told(client):
    task = make_task(State.COMPLETED, owner=make_user())
    report = make_report(task)
    pages = [at("task-list"), at("task-detail", task.pk), at("report-detail", report.pk), at("notification-list")]
    for address in pages:
        response = client.get(address)
        assert response.status_code == 302
        assert "sign-in" in response["Location"]
        assert client.get(address, **JSON).status_code == 401


def test_a_report_is_a_page_with_its_charts(ann_page, ann):
    chart = {"kind": "bar", "title": "By month", "labels": ["Jan"], "values": [1]}
    report = make_report(make_task(State.COMPLETED, owner=ann), data={"summary": "All is well.", "charts": [chart]})
    text = text_of(ann_page.get(at("report-detail", report.pk)))
    assert "All is well." in text
    assert "<svg" in text
    assert "By month" in text


def test_a_draft_is_not_a_report(ann_page, ann):
    draft = make_report(make_task(State.PROCESSING, owner=ann), is_final=False)
    assert ann_page.get(at("report-detail", draft.pk)).status_code == 404


def test_a_report_outlives_its_task(ann_page, ann):
    report = make_report(make_task(State.COMPLETED, owner=ann))
    Task.objects.all().delete()
    assert ann_page.get(at("report-detail", report.pk)).status_code == 200
    ann_page.force_login(make_user())
    assert ann_page.get(at("report-detail", report.pk)).status_code == 404


def test_the_sites_rule_of_sight_holds_for_reports_too(ann_page, ann, settings):
    report = make_report(make_task(State.COMPLETED, owner=ann))
    settings.TASKCENTER = {"VISIBLE": "tests.integration.test_views.nothing"}
    for address in (at("report-detail", report.pk), at("report-download", report.pk, "html")):
        assert ann_page.get(address).status_code == 404


def nothing(user, queryset):
    return queryset.none()


def test_downloads_are_attachments_that_can_do_nothing(ann_page, ann):
    report = make_report(make_task(State.COMPLETED, owner=ann), title='Umsätze "2026"/../x\r\nSet-Cookie: a=b')
    for kind, content_type in (("html", "text/html; charset=utf-8"), ("json", "application/json")):
        response = ann_page.get(at("report-download", report.pk, kind))
        assert response["Content-Type"] == content_type
        assert response["X-Content-Type-Options"] == "nosniff"
        assert response["Content-Security-Policy"].startswith("default-src 'none'; style-src 'unsafe-inline'")
        assert "Set-Cookie: a=b" not in response["Content-Disposition"]
        assert re.fullmatch(rf'attachment; filename="[a-z0-9-]+-{report.pk}\.{kind}"', response["Content-Disposition"])
    assert json.loads(ann_page.get(at("report-download", report.pk, "json")).content) == report.data


@pytest.mark.parametrize("kind", ["pdf", "exe", "HTML"])
def test_an_unknown_kind_of_download_is_not_found(ann_page, ann, kind):
    report = make_report(make_task(State.COMPLETED, owner=ann))
    assert ann_page.get(at("report-download", report.pk, kind)).status_code == 404


def test_notifications_are_listed_and_marked_read_one_by_one_or_all(ann_page, ann):
    first, second, third = (make_notification(make_task(State.COMPLETED, owner=ann)) for _ in range(3))
    theirs = make_notification(make_task(State.COMPLETED, owner=make_user(), title="Theirs"))
    text = text_of(ann_page.get(at("notification-list")))
    assert text.count("Mark read") == 3
    assert "Theirs" not in text
    ann_page.post(at("notification-list"), {"id": [first.pk, theirs.pk]})
    assert set(Notification.objects.unread()) == {second, third, theirs}
    assert ann_page.post(at("notification-list"), {"all": "1"}, **JSON).json() == {"unread": 0}
    assert set(Notification.objects.unread()) == {theirs}


def test_a_notification_id_that_is_no_number_is_refused(ann_page):
    assert ann_page.post(at("notification-list"), {"id": "x"}).status_code == 400


def test_an_empty_list_of_notifications_says_so(ann_page):
    assert "Nothing yet" in text_of(ann_page.get(at("notification-list")))


def long_waiting(**fields):
    return make_task(State.PENDING, created_at=timezone.now() - timedelta(minutes=5), **fields)


def test_health_is_green_while_nothing_waits(client):
    answer = client.get(at("health"))
    assert answer.status_code == 200
    assert answer.json()["database"] is True
    assert answer.json()["oldest_due_seconds"] is None


def test_health_is_red_while_due_tasks_wait_and_no_worker_lives(client):
    long_waiting()
    make_worker(silent=3600)
    answer = client.get(at("health"))
    assert answer.status_code == 503
    assert answer.json()["workers"] == 0
    assert answer.json()["oldest_due_seconds"] > 290
    assert answer.json()["reasons"]


def test_health_is_green_when_a_living_worker_serves_the_queue(client):
    long_waiting()
    make_worker()
    assert client.get(at("health")).status_code == 200


def test_health_is_red_when_living_workers_serve_only_other_queues(client):
    long_waiting(queue="analysis")
    make_worker(queues=["default"])
    assert client.get(at("health")).status_code == 503


def test_health_does_not_blame_a_paused_queue(client):
    long_waiting()
    Queue.objects.create(name="default", paused_at=timezone.now())
    assert client.get(at("health")).status_code == 200


def test_health_gives_a_new_task_time_to_be_found(client):
    make_task(State.PENDING, created_at=timezone.now())
    assert client.get(at("health")).status_code == 200


def test_health_sees_scheduled_tasks_that_nobody_promoted(client):
    make_task(State.SCHEDULED, run_after=timezone.now() - timedelta(minutes=5))
    assert client.get(at("health")).status_code == 503


def test_health_is_red_while_lost_tasks_have_no_one_to_recover_them(client):
    make_task(State.PROCESSING, worker=make_worker(silent=3600))
    answer = client.get(at("health"))
    assert answer.status_code == 503
    assert answer.json()["lost_tasks"] == 1


def test_health_says_when_the_database_is_away(client, monkeypatch):
    def away(*args):
        raise DatabaseError("gone")

    monkeypatch.setattr("taskcenter.views.health._look", away)
    answer = client.get(at("health"))
    assert answer.status_code == 503
    assert answer.json()["database"] is False
    assert "gone" not in text_of(answer)


def test_ready_says_whether_every_migration_is_applied(client, monkeypatch):
    assert client.get(at("ready")).json() == {"ok": True, "database": True, "migrated": True}
    from taskcenter.views import health

    health._migrated.cache_clear()
    monkeypatch.setattr(health.MigrationExecutor, "migration_plan", lambda *_: ["0002"])
    assert client.get(at("ready")).status_code == 503
    monkeypatch.undo()
    assert client.get(at("ready")).status_code == 200


@pytest.mark.parametrize("state", sorted(FINAL))
def test_a_finished_task_offers_no_cancel_button(ann_page, ann, state):
    task = make_task(state, owner=ann)
    assert at("task-cancel", task.pk) + '"><input' not in text_of(ann_page.get(at("task-detail", task.pk)))


def test_the_owner_reads_the_history_in_plain_words_and_staff_in_ours(client, ann):
    task = make_task(State.FAILED, owner=ann, attempt=2, started_at=timezone.now() - timedelta(minutes=3))
    make_event(task, TaskEvent.Kind.RECOVERED, "The worker died.")
    make_event(task, TaskEvent.Kind.STACK, "2 threads")
    make_event(task, TaskEvent.Kind.LOG, "Read 3 files", actor=ann)

    def history(user):
        client.force_login(user)
        return text_of(client.get(at("task-detail", task.pk))).partition("tc-timeline")[2]

    plain, ours = history(ann), history(make_staff(permissions=("view_task",)))
    for word in ("Asked for", "Begun", "Begun again, try 2", "Taken up again", "Read 3 files", "Failed"):
        assert f"<strong>{word}</strong>" in plain
    for word in ("queue", "Attempt", "Stack", "Log<"):
        assert word not in plain
    for word in ("Enqueued", "Attempt 2 began", "Recovered", "Stack dumped", "Log"):
        assert f"<strong>{word}</strong>" in ours
