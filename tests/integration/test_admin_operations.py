"""What an operator confirms in the admin: the count before, the reason, once, and many as a task."""

from __future__ import annotations

import html
import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from taskcenter.admin import TaskAdmin
from taskcenter.models import Queue, Task, TaskEvent
from taskcenter.states import State
from taskcenter.testing import run_pending
from tests.factories import make_staff, make_task, make_worker
from tests.integration.rivals import at_once

pytestmark = pytest.mark.django_db

ALL = ("view_task", "retry_task", "cancel_task", "recover_task", "pause_queue")
LIST = "/admin/taskcenter/task/"
OPERATE = "taskcenter.tasks.operate"
HOSTILE = "<script>alert(1)</script>"


def at(name: str, *args: Any) -> str:
    return reverse(f"admin:taskcenter_{name}", args=args)


@pytest.fixture
def boss() -> Any:
    return make_staff("boss", permissions=ALL)


@pytest.fixture
def admin_page(client: Client, boss: Any) -> Client:
    client.force_login(boss)
    return client


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three tasks are many."""
    monkeypatch.setattr("taskcenter.operations.BY_ITSELF", 2)


def text_of(response: Any) -> str:
    return html.unescape(response.content.decode())


def form_of(response: Any) -> dict[str, str]:
    """The hidden fields of a confirmation admin_page."""
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', response.content.decode())
    return {name: html.unescape(value) for name, value in found if name != "csrfmiddlewaretoken"}


def ask(admin_page: Client, verb: str, tasks: list[Task], query: str = "", **more: str) -> Any:
    chosen = {"action": f"{verb}_selected", "_selected_action": [task.pk for task in tasks[:50]], **more}
    return admin_page.post(f"{LIST}{query}", chosen)


def ask_for_all(admin_page: Client, verb: str, tasks: list[Task], query: str = "") -> Any:
    return ask(admin_page, verb, tasks, query, select_across="1")


def fail_again(*tasks: Task) -> None:
    Task.objects.filter(pk__in=[task.pk for task in tasks]).update(state=State.FAILED, finished_at=timezone.now())


# The reason.


@pytest.mark.parametrize("reason", ["", "  \n ", "\0"])
def test_many_are_not_touched_without_a_reason(admin_page: Client, reason: str) -> None:
    tasks = [make_task(State.FAILED) for _ in range(2)]
    form = form_of(ask(admin_page, "retry", tasks))
    again = admin_page.post(at("task_bulk", "retry"), {**form, "reason": reason})
    assert "Say why" in text_of(again)
    assert form_of(again) == form, "the same question, and the same confirmation"
    assert Task.objects.filter(state=State.FAILED).count() == 2
    admin_page.post(at("task_bulk", "retry"), {**form_of(again), "reason": "Fixed"})
    assert Task.objects.filter(state=State.PENDING).count() == 2


def test_one_is_cancelled_only_with_a_reason_and_retried_also_without(admin_page: Client) -> None:
    waiting, failed = make_task(), make_task(State.FAILED)
    assert "Say why" in text_of(admin_page.post(at("task_cancel", waiting.pk)))
    assert admin_page.post(at("task_retry", failed.pk)).status_code == 302
    assert dict(Task.objects.values_list("pk", "state")) == {waiting.pk: "pending", failed.pk: "pending"}
    admin_page.post(at("task_cancel", waiting.pk), {"reason": "Not needed"})
    assert Task.objects.get(pk=waiting.pk).state == State.CANCELLED


def test_a_queue_is_paused_only_with_a_reason(admin_page: Client) -> None:
    make_task()
    make_task(State.PROCESSING)
    admin_page.get(at("queue_changelist"))
    asked = admin_page.post(at("queue_changelist"), {"action": "pause_selected", "_selected_action": ["default"]})
    assert "default, 1 waiting, 1 running" in text_of(asked)
    assert "Say why" in text_of(admin_page.post(at("queue_pause"), {"name": "default"}))
    assert not Queue.objects.paused().exists()
    admin_page.post(at("queue_pause"), {"name": "default", "reason": "Night"})
    second = admin_page.post(at("queue_pause"), {"name": "default", "reason": "Morning"}, follow=True)
    assert "Left alone, since it was so before: default" in text_of(second)
    assert Queue.objects.get(name="default").paused_reason == "Night"
    assert LogEntry.objects.count() == 1


def test_a_reason_is_shown_as_text(admin_page: Client) -> None:
    form = form_of(ask(admin_page, "retry", [make_task(State.FAILED), make_task(State.FAILED)]))
    admin_page.post(at("task_bulk", "retry"), {**form, "reason": HOSTILE})
    for address in (at("task_change", Task.objects.first().pk), "/admin/"):
        assert HOSTILE not in admin_page.get(address).content.decode()


# The count before.


def test_the_page_counts_what_will_come_of_each(admin_page: Client) -> None:
    tasks = [make_task(), make_task(State.SCHEDULED), make_task(State.FAILED)]
    tasks += [make_task(State.PROCESSING), make_task(State.PROCESSING, cancel_requested_at=timezone.now())]
    text = text_of(ask(admin_page, "cancel", tasks))
    assert "Cancel 3 tasks?" in text
    assert "<strong>2</strong> will be cancelled<" in text
    assert "<strong>1</strong> will be asked to stop<" in text
    assert "2 left alone:" in text
    assert "<strong>1</strong> because it is failed already<" in text
    assert "<strong>1</strong> because it was asked to stop before<" in text


def test_a_retry_of_what_no_living_worker_knows_is_warned_of(admin_page: Client) -> None:
    gone = [make_task(State.FAILED, definition="shop.tasks.gone") for _ in range(2)]
    known = make_task(State.FAILED)
    assert "No living worker knows" not in text_of(ask(admin_page, "retry", [*gone, known])), "nobody could know"
    make_worker(definitions=["tests.tasks.sample"])
    text = text_of(ask(admin_page, "retry", [*gone, known]))
    assert re.search(r"No living worker knows <code>shop\.tasks\.gone</code></strong> \(2 tasks\)", text)
    assert "tests.tasks.sample</code></strong>" not in text
    assert "No living worker knows" in text_of(admin_page.get(at("task_retry", gone[0].pk)))


def test_the_page_needs_as_many_queries_for_many_as_for_few(
    admin_page: Client, django_assert_max_num_queries: Any
) -> None:
    tasks = [make_task(State.FAILED, owner=make_staff()) for _ in range(50)]
    with django_assert_max_num_queries(15):
        ask_for_all(admin_page, "retry", tasks)


# Once.


@pytest.mark.parametrize("verb", ["retry", "cancel"])
def test_the_form_of_many_does_it_once_however_often_it_is_sent(admin_page: Client, verb: str) -> None:
    tasks = [make_task(State.FAILED if verb == "retry" else State.PENDING) for _ in range(2)]
    form = {**form_of(ask(admin_page, verb, tasks)), "reason": "Fixed"}
    admin_page.post(at("task_bulk", verb), form)
    for task in tasks:  # all is as it was when the second click comes
        Task.objects.filter(pk=task.pk).update(state=task.state, finished_at=task.finished_at)
    text = text_of(admin_page.post(at("task_bulk", verb), form, follow=True))
    assert "2 left alone (2: the same confirmation has done it before)" in text
    assert {task.state for task in Task.objects.all()} == {tasks[0].state}
    assert LogEntry.objects.count() == 1
    # Who looks again confirms anew.
    admin_page.post(at("task_bulk", verb), {**form_of(ask(admin_page, verb, tasks)), "reason": "Fixed"})
    assert LogEntry.objects.count() == 2


def test_two_people_who_look_at_the_same_failure_retry_it_once(admin_page: Client) -> None:
    other = Client()
    other.force_login(make_staff("other", permissions=ALL))
    task = make_task(State.FAILED)
    forms = [form_of(browser.get(at("task_retry", task.pk))) for browser in (admin_page, other)]
    admin_page.post(at("task_retry", task.pk), forms[0])
    second = text_of(other.post(at("task_retry", task.pk), forms[1], follow=True))
    assert "was not done a second time" in second
    fail_again(task)  # a quick task may fail again between the two clicks
    other.post(at("task_retry", task.pk), forms[1])
    assert Task.objects.get().state == State.FAILED
    assert TaskEvent.objects.filter(kind="retried").count() == 1
    admin_page.post(at("task_retry", task.pk), form_of(admin_page.get(at("task_retry", task.pk))))
    assert Task.objects.get().state == State.PENDING, "this failure is another one"


def test_a_second_form_of_the_same_person_says_who_was_first(admin_page: Client) -> None:
    task = make_task(State.FAILED)
    admin_page.post(at("task_retry", task.pk))
    assert "it was retried before by boss, at " in text_of(admin_page.post(at("task_retry", task.pk), follow=True))
    assert LogEntry.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("many", [False, True], ids=["at once", "as a task"])
def test_one_form_sent_from_many_threads_does_it_once(boss: Any, many: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskcenter.operations.BY_ITSELF", 2 if many else 200)
    admin_page = Client()
    admin_page.force_login(boss)
    tasks = [make_task(State.FAILED) for _ in range(3)]
    form = {**form_of(ask(admin_page, "retry", tasks)), "reason": "Fixed"}

    def click(_: int) -> int:
        browser = Client()
        browser.cookies = admin_page.cookies
        return browser.post(at("task_bulk", "retry"), form).status_code

    assert at_once(4, click) == [302] * 4
    if many:
        assert Task.objects.filter(definition=OPERATE).count() == 1
        run_pending(definitions=[OPERATE])
    assert TaskEvent.objects.filter(kind="retried").count() == 3
    assert LogEntry.objects.count() == (2 if many else 1), "asked and done, or done"


# Many are a task.


def test_more_than_the_limit_are_a_task_with_its_own_page(admin_page: Client, boss: Any, small: None) -> None:
    tasks = [make_task(State.FAILED) for _ in range(3)]
    asked = ask(admin_page, "retry", tasks)
    assert "a task of its own" in text_of(asked)
    form = {**form_of(asked), "reason": "Fixed"}
    answer = admin_page.post(at("task_bulk", "retry"), form, follow=True)
    operation = Task.objects.get(definition=OPERATE)
    assert answer.redirect_chain == [(at("task_change", operation.pk), 302)]
    assert "Retry 3 tasks: a task of its own does it." in text_of(answer)
    assert "No worker is alive" in text_of(answer)
    assert operation.owner == boss
    assert Task.objects.filter(state=State.FAILED).count() == 3, "nothing is done in the request"
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_id) == (boss, str(operation.pk))
    assert "would be 3 retried. Reason: Fixed" in entry.change_message
    second = admin_page.post(at("task_bulk", "retry"), form, follow=True)
    assert "this was confirmed before, and is done once" in text_of(second)
    assert second.redirect_chain == answer.redirect_chain
    run_pending(definitions=[OPERATE])
    fail_again(*tasks)
    admin_page.post(at("task_bulk", "retry"), form)
    run_pending(definitions=[OPERATE])
    assert {Task.objects.get(pk=task.pk).state for task in tasks} == {"failed"}, "the same form, after its end"


def test_a_whole_list_is_its_filters_and_not_its_ids(admin_page: Client, small: None) -> None:
    wanted = [make_task(State.FAILED, title=f"Sales {number}") for number in range(60)]
    others = [make_task(State.FAILED, title="Costs"), make_task(title="Sales x"), make_task(State.COMPLETED)]
    form = form_of(ask_for_all(admin_page, "retry", wanted, "?state=failed&q=Sales&o=1&p=1"))
    assert json.loads(form["filters"])["filters"] == {"state": "failed", "q": "Sales"}
    admin_page.post(at("task_bulk", "retry"), {**form, "reason": "Fixed"})
    operation = Task.objects.get(definition=OPERATE)
    assert len(json.dumps(operation.kwargs)) < 500
    assert operation.label == "Retry 60 tasks"
    run_pending(definitions=[OPERATE])
    assert Task.objects.get(pk=operation.pk).result == {"done": {"retried": 60}, "left": {}}
    assert [Task.objects.get(pk=one.pk).rev for one in others] == [one.rev for one in others]


def test_a_short_list_is_done_at_once_however_long_the_rest_is(admin_page: Client) -> None:
    failed = make_task(State.FAILED)
    for _ in range(4):
        make_task(State.COMPLETED)
    asked = ask_for_all(admin_page, "retry", [failed])
    assert "Retry 1 task?" in text_of(asked)
    assert "<strong>4</strong> because it is completed<" in text_of(asked)
    admin_page.post(at("task_bulk", "retry"), {**form_of(asked), "reason": "Fixed"})
    assert Task.objects.get(pk=failed.pk).state == State.PENDING
    assert not Task.objects.filter(definition=OPERATE).exists()


def test_what_came_after_the_look_is_left_alone(admin_page: Client) -> None:
    make_task(State.FAILED)
    form = form_of(ask_for_all(admin_page, "retry", [Task.objects.get()], "?state=failed"))
    new = make_task(State.FAILED, created_at=timezone.now() + timedelta(seconds=1))
    admin_page.post(at("task_bulk", "retry"), {**form, "reason": "Fixed"})
    assert Task.objects.get(pk=new.pk).state == State.FAILED


@pytest.mark.parametrize(
    "filters", ["", "x", "[]", "{}", '{"filters": {"owner": "1"}, "before": "2026-01-01T00:00:00+00:00"}']
)
def test_what_are_no_filters_is_refused(admin_page: Client, filters: str) -> None:
    assert admin_page.post(at("task_bulk", "cancel"), {"filters": filters, "reason": "x"}).status_code == 400


def test_a_class_with_rules_of_its_own_names_each_task(
    admin_page: Client, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rule in code cannot be asked again by a task: so its answers are taken along."""
    mine, theirs = ([make_task(State.FAILED, title=title) for _ in range(3)] for title in ("Mine", "Theirs"))
    monkeypatch.setattr(
        TaskAdmin, "may", lambda *given: given[-1] is None or getattr(given[-1], "title", "Mine") == "Mine"
    )
    form = form_of(ask_for_all(admin_page, "retry", mine))
    assert len(form["ids"].split(",")) == 6
    admin_page.post(at("task_bulk", "retry"), {**form, "reason": "Fixed"})
    run_pending(definitions=[OPERATE])
    assert {Task.objects.get(pk=one.pk).state for one in mine} == {"pending"}
    assert {Task.objects.get(pk=one.pk).state for one in theirs} == {"failed"}
    forged = {"filters": json.dumps({"filters": {}, "before": timezone.now().isoformat()}), "reason": "x"}
    assert admin_page.post(at("task_bulk", "retry"), forged).status_code == 403


def test_too_long_a_list_of_ids_for_the_settings_is_said(admin_page: Client, small: None, settings: Any) -> None:
    settings.TASKCENTER = {"ARGS_LIMIT": 200}
    tasks = [make_task(State.FAILED) for _ in range(5)]
    form = form_of(ask(admin_page, "retry", tasks))
    answer = admin_page.post(at("task_bulk", "retry"), {**form, "reason": "Fixed"}, follow=True)
    assert "Nothing was done: The arguments takes" in text_of(answer)
    assert Task.objects.filter(state=State.FAILED).count() == 5
