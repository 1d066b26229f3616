"""The admin: the list and the page of tasks, what may be done to them and by whom, queues, records."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from taskcenter.models import Duty, Queue, Task, TaskEvent
from taskcenter.states import LIVE, State
from taskcenter.views.paging import CappedPaginator
from tests.factories import make_event, make_notification, make_report, make_staff, make_task, make_user, make_worker

pytestmark = pytest.mark.django_db

HOSTILE = "<script>alert(1)</script>"
VERBS = ("retry", "cancel", "recover", "delete")
ALL = ("view_task", "retry_task", "cancel_task", "recover_task", "delete_task")


def at(name, *args):
    return reverse(f"admin:taskcenter_{name}", args=args)


LIST = "/admin/taskcenter/task/"


@pytest.fixture
def boss():
    """Staff who may do everything to tasks."""
    return make_staff("boss", permissions=ALL)


@pytest.fixture
def admin_page(client, boss):
    client.force_login(boss)
    return client


@pytest.fixture
def viewer():
    """A browser of staff who may only look."""
    client = Client()
    client.force_login(make_staff("viewer", permissions=("view_task",)))
    return client


def text_of(response):
    return response.content.decode()


def titles(response):
    return re.findall(r'class="tc-cell-title"[^>]*>([^<]*)<', text_of(response))


# The list.


def test_the_list_shows_every_state_newest_first(admin_page):
    for state in State:
        make_task(state, title=f"Task {state}")
    assert titles(admin_page.get(LIST)) == [f"Task {state}" for state in reversed(State)]


def test_the_list_needs_as_many_queries_for_fifty_tasks_as_for_one(admin_page, django_assert_max_num_queries):
    owner = make_user()
    for number in range(60):
        state = State.PROCESSING if number % 2 else State.COMPLETED
        make_report(make_task(state, owner=owner, worker=make_worker() if number % 7 else None))
    # Session, user and the two permission queries come on top of the eight.
    with django_assert_max_num_queries(8 + 4):
        text = text_of(admin_page.get(LIST))
    assert text.count("<task-progress") == 50


def test_the_page_of_a_task_needs_few_queries_whatever_happened_to_it(admin_page, django_assert_max_num_queries):
    task = make_task(State.FAILED, owner=make_user(), worker=make_worker(), attempt=9)
    for attempt in range(1, 10):
        make_event(task, TaskEvent.Kind.FAILED, f"Attempt {attempt}", attempt=attempt, actor=make_user())
    make_report(task)
    with django_assert_max_num_queries(12 + 4):
        assert admin_page.get(at("task_change", task.pk)).status_code == 200


def test_hostile_text_is_shown_as_text(admin_page):
    owner = make_user("evil")
    owner.username = HOSTILE
    owner.save()
    task = make_task(
        State.FAILED,
        title=HOSTILE,
        error_type=HOSTILE,
        error_message=HOSTILE,
        owner=owner,
        kwargs={HOSTILE: HOSTILE},
        result={HOSTILE: HOSTILE},
        tags=[HOSTILE],
    )
    make_event(task, TaskEvent.Kind.FAILED, HOSTILE, attempt=1, data={"traceback": HOSTILE}, actor=owner)
    make_report(task, title=HOSTILE)
    pages = [LIST, at("task_change", task.pk), at("task_retry", task.pk), at("report_changelist")]
    for address in [*pages, at("task_history", task.pk)]:
        response = admin_page.get(address)
        assert HOSTILE not in text_of(response)
    assert "&lt;script&gt;alert" in text_of(admin_page.get(at("task_change", task.pk)))


def test_pages_hold_nothing_inline(admin_page):
    task = make_task(State.FAILED)
    make_event(task, TaskEvent.Kind.FAILED, "x", attempt=1, data={"traceback": "x"})
    for address in (LIST, at("task_change", task.pk), at("task_retry", task.pk)):
        text = text_of(admin_page.get(address))
        assert not re.search(r"<script(?![^>]*\ssrc=)(?![^>]*type=\"application/json\")", text)
        assert not re.search(r"\son[a-z]+=|\sstyle=|javascript:", text)


def test_the_list_loads_the_widget(admin_page):
    text = text_of(admin_page.get(LIST))
    assert re.search(r'<script src="[^"]*task-progress[^"]*\.js" type="module">', text)
    assert "taskcenter/taskcenter.css" in text


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"state": "failed"}, {"failed"}),
        ({"state": "live"}, {"waiting", "again", "lost", "running"}),
        ({"state": "retrying"}, {"again"}),
        ({"state": "lost"}, {"lost"}),
        ({"queue": "analysis"}, {"waiting"}),
    ],
)
def test_filters_narrow_the_list(admin_page, query, expected):
    make_task(State.FAILED, title="failed")
    make_task(State.PENDING, title="waiting", queue="analysis")
    make_task(State.SCHEDULED, title="again", attempt=1, failures=1)
    make_task(State.PROCESSING, title="lost", worker=make_worker(silent=3600))
    make_task(State.PROCESSING, title="running", worker=make_worker())
    assert set(titles(admin_page.get(LIST, query))) == expected


def test_the_list_never_scans_for_distinct_values(admin_page, django_assert_max_num_queries):
    with django_assert_max_num_queries(20) as captured:
        admin_page.get(LIST)
    assert not [query["sql"] for query in captured if "DISTINCT" in query["sql"] and "taskcenter_task" in query["sql"]]


@pytest.mark.parametrize("term", ["id", "Sales", "sales", "tests.tasks.sample"])
def test_search_finds_by_id_title_or_definition(admin_page, term):
    task = make_task(title="Sales 2026")
    make_task(title="Other", definition="other.thing")
    found = titles(admin_page.get(LIST, {"q": str(task.pk) if term == "id" else term}))
    assert found == ["Sales 2026"]


@pytest.mark.parametrize("term", ["2026", "%", "_", "'", "\\", "00000000-0000-0000-0000-000000000000"])
def test_search_finds_nothing_by_what_it_does_not_promise(admin_page, term):
    make_task(title="Sales 2026")
    assert titles(admin_page.get(LIST, {"q": term})) == []


def test_a_long_list_is_counted_to_a_limit(admin_page, monkeypatch):
    monkeypatch.setattr(CappedPaginator, "limit", 5)
    for _ in range(8):
        make_task()
    assert "5+" in text_of(admin_page.get(LIST))
    paginator = CappedPaginator(Task.objects.order_by("id"), 2)
    assert str(paginator.count) == "5+"
    assert paginator.num_pages == 3


# Who may do what.


def test_staff_without_the_right_to_view_tasks_see_none(client):
    client.force_login(make_staff())
    task = make_task(State.FAILED)
    addresses = [LIST, at("task_change", task.pk), *(at(f"task_{verb}", task.pk) for verb in VERBS)]
    assert [client.get(address).status_code for address in addresses] == [403] * 6


def test_people_who_are_not_staff_are_sent_to_sign_in(client):
    client.force_login(make_user(permissions=ALL))
    assert client.get(LIST).status_code == 302
    assert client.post(at("task_bulk", "cancel"), {"ids": str(make_task().pk)}).status_code == 302
    assert Task.objects.get().state == State.PENDING


@pytest.mark.parametrize("verb", VERBS)
def test_a_viewer_is_offered_nothing_and_refused_everywhere(viewer, verb):
    states = {"retry": State.FAILED, "cancel": State.PENDING, "recover": State.PROCESSING, "delete": State.FAILED}
    task = make_task(states[verb])
    for address in (LIST, at("task_change", task.pk)):
        text = text_of(viewer.get(address))
        assert at(f"task_{verb}", task.pk) not in text
        assert "action-select" not in text
    assert viewer.get(at(f"task_{verb}", task.pk)).status_code == 403
    assert viewer.post(at(f"task_{verb}", task.pk)).status_code == 403
    assert viewer.post(at("task_bulk", verb), {"ids": str(task.pk)}).status_code == 403
    viewer.post(LIST, {"action": f"{verb}_selected", "_selected_action": [task.pk]})
    assert Task.objects.get().rev == task.rev


def test_a_permission_without_sight_of_the_task_does_nothing(client):
    task = make_task(State.PENDING, owner=make_user())
    client.force_login(make_staff(permissions=("cancel_task",)))
    assert client.post(at("task_cancel", task.pk)).status_code == 403
    assert client.post(at("task_bulk", "cancel"), {"ids": str(task.pk)}).status_code == 403
    assert Task.objects.get().state == State.PENDING


def test_each_permission_opens_only_its_own_button(client):
    client.force_login(make_staff(permissions=("view_task", "cancel_task")))
    task = make_task(State.PROCESSING)
    text = text_of(client.get(at("task_change", task.pk)))
    assert at("task_cancel", task.pk) in text
    assert at("task_recover", task.pk) not in text


def test_nobody_adds_or_edits_a_task(client):
    client.force_login(make_staff(is_superuser=True))
    task = make_task(State.PENDING, title="As it was")
    assert client.get(at("task_add")).status_code == 403
    assert client.post(at("task_change", task.pk), {"title": "Changed"}).status_code == 403
    assert Task.objects.get().title == "As it was"


@pytest.mark.parametrize("state", sorted(State))
def test_only_finished_tasks_are_deleted(client, state):
    client.force_login(make_staff(is_superuser=True))
    one, other = make_task(state), make_task(state)
    client.post(at("task_delete", one.pk), {"reason": "Spam"})
    client.post(at("task_bulk", "delete"), {"ids": str(other.pk), "reason": "Spam"})
    assert Task.objects.count() == (2 if state in LIVE else 0)


def test_deleting_asks_first_wants_a_reason_and_leaves_a_line_in_the_log(client):
    boss = make_staff(permissions=("view_task", "delete_task"))
    client.force_login(boss)
    one, *others = [make_task(State.FAILED, title=f"Task {number}") for number in range(3)]
    make_event(one, TaskEvent.Kind.FAILED, "x", attempt=1)
    make_report(one)
    assert at("task_delete", one.pk) in text_of(client.get(at("task_change", one.pk)))
    assert at("task_delete", one.pk) not in text_of(client.get(LIST))
    assert "removed for good" in text_of(client.get(at("task_delete", one.pk)))
    assert "Say why" in text_of(client.post(at("task_delete", one.pk)))
    question = text_of(select(client, "delete_selected", others))
    assert "Delete 2 tasks?" in question
    assert Task.objects.count() == 3
    assert client.post(at("task_delete", one.pk), {"reason": "Spam"}).headers["Location"] == LIST
    client.post(at("task_bulk", "delete"), {"ids": ",".join(str(task.pk) for task in others), "reason": "Old"})
    assert not Task.objects.exists()
    entries = LogEntry.objects.order_by("pk").values_list("action_flag", "object_repr", "change_message")
    assert list(entries) == [
        (DELETION, "Task 0", "Delete: Deleted. Spam"),
        (CHANGE, "2 tasks", "Delete: 2 deleted. Reason: Old"),
    ]


def test_every_change_needs_the_csrf_token(boss):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(boss)
    task = make_task(State.PENDING)
    assert browser.post(at("task_cancel", task.pk)).status_code == 403
    assert browser.post(at("task_bulk", "cancel"), {"ids": str(task.pk)}).status_code == 403
    assert Task.objects.get().state == State.PENDING


# One task.


@pytest.mark.parametrize("state", sorted(State))
def test_every_state_has_a_page(admin_page, state):
    assert admin_page.get(at("task_change", make_task(state).pk)).status_code == 200


def test_the_page_tells_the_story(admin_page):
    task = make_task(State.FAILED, attempt=2, failures=2, kwargs={"path": "a.csv", "api_token": "s3cret"})
    make_event(task, TaskEvent.Kind.FAILED, "ValueError: x", attempt=1, data={"traceback": "File old.py"})
    make_event(task, TaskEvent.Kind.FAILED, "ValueError: y", attempt=2, data={"traceback": "File new.py"})
    make_report(task, title="What was found")
    text = text_of(admin_page.get(at("task_change", task.pk)))
    assert "line 41 has 9 fields, expected 8" in text
    assert re.search(r'id="try-2" open>.*File new\.py.*id="try-1">.*File old\.py', text, re.DOTALL)
    assert "What was found" in text
    assert "a.csv" in text
    assert "s3cret" not in text


def test_long_input_is_cut(admin_page):
    task = make_task(kwargs={"text": "x" * 20_000})
    text = text_of(admin_page.get(at("task_change", task.pk)))
    assert "more characters" in text
    assert "x" * 9000 not in text


def test_a_long_history_is_cut_to_the_latest_lines(admin_page):
    task = make_task(State.COMPLETED)
    lines = [TaskEvent(task=task, seq=number, kind="log", text=f"line {number};") for number in range(1, 251)]
    TaskEvent.objects.bulk_create(lines)
    text = text_of(admin_page.get(at("task_change", task.pk)))
    assert "50 earlier events are not shown" in text
    assert "line 51;" in text
    assert "line 50;" not in text


def test_a_task_that_is_gone_is_not_found(admin_page):
    task = make_task(State.FAILED)
    address = at("task_retry", task.pk)
    task.delete()
    assert admin_page.get(address).status_code == 404


def test_a_button_asks_first_and_changes_nothing_by_asking(admin_page):
    task = make_task(State.FAILED, title="Sales 2026")
    text = text_of(admin_page.get(at("task_retry", task.pk)))
    assert "Sales 2026" in text
    assert "runs again with the same input" in text
    assert Task.objects.get().state == State.FAILED


@pytest.mark.parametrize(
    ("verb", "before", "after", "event"),
    [
        ("retry", State.FAILED, State.PENDING, TaskEvent.Kind.RETRIED),
        ("cancel", State.PENDING, State.CANCELLED, TaskEvent.Kind.CANCELLED),
        ("cancel", State.PROCESSING, State.PROCESSING, TaskEvent.Kind.CANCEL_ASKED),
        ("recover", State.PROCESSING, State.PENDING, TaskEvent.Kind.RECOVERED),
    ],
)
def test_confirming_does_it_and_keeps_who_and_why(admin_page, boss, verb, before, after, event):
    task = make_task(before, worker=make_worker(silent=3600))
    response = admin_page.post(at(f"task_{verb}", task.pk), {"reason": "Disk was\nfull"}, follow=True)
    assert response.redirect_chain == [(at("task_change", task.pk), 302)]
    row = Task.objects.get()
    assert row.state == after
    line = row.events.get(kind=event)
    assert (line.actor, line.text) == (boss, "Disk was full")
    entry = LogEntry.objects.get()
    assert entry.user == boss
    assert "Disk was full" in entry.get_change_message()
    assert "Disk was full" in text_of(admin_page.get(at("task_history", task.pk)))


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (State.PROCESSING, "is alive and runs it"),
        (State.SCHEDULED, "waits for its time"),
        (State.COMPLETED, "completed"),
    ],
)
def test_recover_says_why_nothing_was_to_be_done(admin_page, state, text):
    task = make_task(state, worker=make_worker())
    response = admin_page.post(at("task_recover", task.pk), follow=True)
    assert text in text_of(response)
    assert Task.objects.get().state == state
    assert not LogEntry.objects.exists()


def test_confirming_too_late_is_harmless(admin_page):
    task = make_task(State.COMPLETED)
    for verb in ("retry", "cancel", "recover"):
        assert admin_page.post(at(f"task_{verb}", task.pk), {"reason": "x"}).status_code == 302
    assert Task.objects.get().rev == task.rev


# Many tasks.


def select(client, action, tasks, **more):
    return client.post(LIST, {"action": action, "_selected_action": [task.pk for task in tasks], **more})


def test_an_action_says_what_it_will_do_and_what_it_will_skip(admin_page):
    failed = [make_task(State.FAILED, title=f"Failed {number:02}") for number in range(25)]
    done = make_task(State.COMPLETED, title="Done before")
    text = text_of(select(admin_page, "retry_selected", [*failed, done]))
    assert "Retry 25 tasks?" in text
    assert "and 5 more" in text
    assert "<strong>25</strong> will be retried" in text
    assert "<strong>1</strong> because it is completed" in text
    assert "Done before: it is completed" in text
    assert Task.objects.filter(state=State.FAILED).count() == 25


def test_a_confirmed_action_reports_how_many_it_did_and_skipped(admin_page, boss):
    tasks = [make_task(State.FAILED) for _ in range(5)]
    text = text_of(select(admin_page, "retry_selected", tasks))
    ids = re.search(r'name="ids" value="([^"]+)"', text)[1]
    # Between the question and the answer somebody else retried one.
    Task.objects.filter(pk=tasks[0].pk).update(state=State.PENDING, finished_at=None)
    response = admin_page.post(at("task_bulk", "retry"), {"ids": ids, "reason": "Fixed"}, follow=True)
    assert "4 retried, 1 left alone (1: it is pending)." in text_of(response)
    assert Task.objects.filter(state=State.PENDING).count() == 5
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_id, entry.object_repr) == (boss, None, "4 tasks")
    assert entry.change_message == "Retry: 4 retried, 1 left alone (1: it is pending). Reason: Fixed"
    assert TaskEvent.objects.filter(kind=TaskEvent.Kind.RETRIED, text="Fixed", actor=boss).count() == 4


def test_the_permission_is_asked_again_for_each_object(admin_page, monkeypatch):
    from taskcenter.admin import TaskAdmin

    mine, theirs = make_task(title="Mine"), make_task(title="Theirs")
    monkeypatch.setattr(TaskAdmin, "may", lambda *given: len(given) < 4 or given[3].title == "Mine")
    admin_page.post(at("task_bulk", "cancel"), {"ids": f"{mine.pk},{theirs.pk}", "reason": "x"})
    assert set(Task.objects.values_list("title", "state")) == {("Mine", "cancelled"), ("Theirs", "pending")}


def test_tasks_out_of_sight_are_left_alone_in_bulk(client, settings):
    settings.TASKCENTER = {"VISIBLE": "tests.integration.test_admin.only_default"}
    client.force_login(make_staff(permissions=ALL))
    seen, hidden = make_task(), make_task(queue="analysis")
    client.post(at("task_bulk", "cancel"), {"ids": f"{seen.pk},{hidden.pk}", "reason": "x"})
    assert Task.objects.get(pk=seen.pk).state == State.CANCELLED
    assert Task.objects.get(pk=hidden.pk).state == State.PENDING
    assert client.get(at("task_cancel", hidden.pk)).status_code == 404


def only_default(user, queryset):
    return queryset.filter(queue="default")


def test_all_of_a_list_that_cannot_be_frozen_is_taken_up_to_a_limit(admin_page, monkeypatch):
    monkeypatch.setattr("taskcenter.admin.tasks.IDS_LIMIT", 3)
    tasks = [make_task() for _ in range(5)]
    chosen = {"action": "cancel_selected", "_selected_action": [tasks[0].pk], "select_across": "1"}
    text = text_of(admin_page.post(f"{LIST}?priority=0", chosen))
    assert "Cancel 3 tasks?" in text
    assert "2 more were selected" in text


@pytest.mark.parametrize("ids", ["", "x", "1,2"])
def test_what_is_no_list_of_ids_is_refused(admin_page, ids):
    assert admin_page.post(at("task_bulk", "cancel"), {"ids": ids}).status_code == 400


def test_the_bulk_address_takes_only_post_and_known_verbs(admin_page):
    assert admin_page.get(at("task_bulk", "cancel")).status_code == 405
    assert admin_page.post(at("task_bulk", "explode"), {"ids": "x"}).status_code == 404


# Queues and records.


def test_a_queue_is_paused_and_resumed_with_a_reason(client):
    boss = make_staff(permissions=("pause_queue",))
    client.force_login(boss)
    listed = text_of(client.get(at("queue_changelist")))
    assert "default" in listed
    question = client.post(at("queue_changelist"), {"action": "pause_selected", "_selected_action": ["default"]})
    assert "Pause queues?" in text_of(question)
    client.post(at("queue_pause"), {"name": "default", "reason": "Maintenance"})
    queue = Queue.objects.get(name="default")
    assert queue.paused_at is not None
    assert queue.paused_reason == "Maintenance"
    assert "Maintenance" in LogEntry.objects.get(user=boss).get_change_message()
    client.post(at("queue_resume"), {"name": "default"})
    queue.refresh_from_db()
    assert (queue.paused_at, queue.paused_reason) == (None, "")


def test_pausing_needs_its_permission(client):
    Queue.objects.create(name="default")
    client.force_login(make_staff(permissions=("view_queue",)))
    text = text_of(client.get(at("queue_changelist")))
    assert "default" in text
    assert "action-select" not in text
    assert client.post(at("queue_pause"), {"name": "default"}).status_code == 403
    assert not Queue.objects.paused().exists()


def test_workers_are_shown_with_their_state_and_load(client):
    client.force_login(make_staff(permissions=("view_worker",)))
    busy = make_worker(host="busy")
    make_worker(host="silent", silent=3600)
    make_worker(host="stopped", stopped_at=timezone.now())
    for _ in range(3):
        make_task(State.PROCESSING, worker=busy)
    text = text_of(client.get(at("worker_changelist")))
    assert re.search(r"busy:4242.*Alive.*field-running\">3<", text.replace("\n", ""))
    assert re.search(r"silent:4242.*Silent", text.replace("\n", ""))
    assert re.search(r"stopped:4242.*Stopped", text.replace("\n", ""))
    assert client.get(at("worker_change", busy.pk)).status_code == 200
    assert client.post(at("worker_delete", busy.pk), {"post": "yes"}).status_code == 403


def test_duties_and_reports_are_only_looked_at(client):
    client.force_login(make_staff(permissions=("view_duty", "view_report")))
    duty = Duty.objects.create(name="clean-up", next_due=timezone.now() + timedelta(hours=1))
    report = make_report(make_task(State.COMPLETED, title="Its task"))
    assert "clean-up" in text_of(client.get(at("duty_changelist")))
    text = text_of(client.get(at("report_changelist")))
    assert "Its task" in text
    assert reverse("taskcenter:report-detail", args=[report.pk]) in text
    for name, row in (("duty", duty), ("report", report)):
        assert client.get(at(f"{name}_change", row.pk)).status_code == 200
        assert client.post(at(f"{name}_change", row.pk), {}).status_code == 403
        assert client.get(at(f"{name}_add")).status_code == 403


def test_a_queue_tells_its_line_and_where_it_stands(client):
    make_task(State.PENDING, queue="analysis")
    make_task(State.PROCESSING, queue="analysis", worker=make_worker())
    client.force_login(make_staff(permissions=("pause_queue",)))
    text = text_of(client.get(at("queue_changelist")))
    assert re.search(r'state=pending&amp;queue=analysis">1<', text)
    assert re.search(r'state=processing&amp;queue=analysis">1<', text)
    assert re.findall(r'field-workers">([^<]*)<', text) == ["none", "1"]


def test_a_link_asks_before_a_queue_is_paused(client):
    client.force_login(make_staff(permissions=("pause_queue",)))
    text = text_of(client.get(f"{at('queue_pause')}?name=default"))
    assert "Pause queues?" in text
    assert not Queue.objects.paused().exists()
    assert client.get(f"{at('queue_pause')}?name=no-such-queue").status_code == 404
    client.force_login(make_staff(permissions=("view_queue",)))
    assert client.get(f"{at('queue_pause')}?name=default").status_code == 403


def test_a_limit_is_logged_with_its_reason(client):
    boss = make_staff(permissions=("pause_queue",))
    Queue.objects.create(name="default")
    client.force_login(boss)
    client.post(at("queue_change", "default"), {"max_running": "3", "reason": "the API allows three"})
    assert Queue.objects.get(name="default").max_running == 3
    message = LogEntry.objects.get(user=boss).get_change_message()
    assert message == "Most running at once: 3. the API allows three"


def test_a_worker_s_page_tells_what_it_runs_and_what_it_knows(client):
    worker = make_worker(definitions=["shop.tasks.parse"])
    make_task(State.PROCESSING, worker=worker, title="A long one")
    client.force_login(make_staff(permissions=("view_worker", "view_task")))
    text = text_of(client.get(at("worker_change", worker.pk)))
    assert "A long one" in text
    assert "shop.tasks.parse" in text
    client.force_login(make_staff(permissions=("view_worker",)))
    text = text_of(client.get(at("worker_change", worker.pk)))
    assert "A long one" not in text
    assert "1 task that you may not see" in text


@pytest.mark.parametrize("state", ["alive", "silent", "stopped"])
def test_workers_are_narrowed_by_whether_they_live(client, state):
    make_worker(host="alive")
    make_worker(host="silent", silent=3600)
    make_worker(host="stopped", stopped_at=timezone.now())
    client.force_login(make_staff(permissions=("view_worker",)))
    text = text_of(client.get(f"{at('worker_changelist')}?state={state}"))
    assert re.findall(r"(\w+):4242", text) == [state]


def test_a_report_is_read_in_the_admin_with_its_charts_and_its_size(client):
    data = {"summary": "All is well.", "charts": [{"kind": "bar", "title": "Pieces", "labels": ["a"], "values": [3]}]}
    report = make_report(make_task(State.COMPLETED), data=data)
    client.force_login(make_staff(permissions=("view_report",)))
    assert "bytes" in text_of(client.get(at("report_changelist")))
    text = text_of(client.get(at("report_change", report.pk)))
    assert "All is well." in text
    assert "tc-chart-bar" in text
    draft = make_report(make_task(State.PROCESSING), is_final=False, title="Half of it")
    for value, titles_shown in (("1", {"Sales 2026"}), ("0", {"Half of it"})):
        text = text_of(client.get(f"{at('report_changelist')}?is_final={value}"))
        assert {one for one in ("Sales 2026", "Half of it") if one in text} == titles_shown
    assert "A draft" in text_of(client.get(at("report_change", draft.pk)))


def test_notifications_are_only_looked_at(client):
    ann = make_user("ann")
    told = make_notification(make_task(State.COMPLETED, owner=ann, title="Sales"))
    client.force_login(make_staff(permissions=("view_notification",)))
    assert "Sales is ready" in text_of(client.get(at("notification_changelist")))
    assert "Sales is ready" in text_of(client.get(f"{at('notification_changelist')}?read=0"))
    assert "Sales is ready" not in text_of(client.get(f"{at('notification_changelist')}?read=1"))
    assert client.get(at("notification_change", told.pk)).status_code == 200
    assert client.post(at("notification_change", told.pk), {}).status_code == 403
    assert client.get(at("notification_add")).status_code == 403


@pytest.mark.parametrize("name", ["queue", "worker", "report", "notification", "duty", "failuregroup"])
def test_every_list_needs_its_permission_and_is_whole_when_empty(client, name):
    client.force_login(make_staff())
    assert client.get(at(f"{name}_changelist")).status_code == 403
    client.force_login(make_staff(permissions=(f"view_{name}",)))
    assert client.get(at(f"{name}_changelist")).status_code == 200
