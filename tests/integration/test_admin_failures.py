"""Failure groups in the admin: the list, a group's page, and who may redrive."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from taskcenter import lifecycle
from taskcenter.models import FailureGroup, Task
from taskcenter.states import State
from tests.factories import make_staff, make_task, make_user, make_worker

pytestmark = pytest.mark.django_db

HOSTILE = "<script>alert(1)</script>"
ALL = ("view_failuregroup", "view_task", "retry_task")


def at(name: str, *args: Any) -> str:
    return reverse(f"admin:taskcenter_failuregroup_{name}", args=args)


def text_of(response: Any) -> str:
    return str(response.content.decode())


def fail(message: str = "no row 5", **fields: Any) -> Task:
    task = make_task(State.PROCESSING, worker=make_worker(), **fields)
    lifecycle.fail(task, lifecycle.Failure("builtins.LookupError", message, place="shop.tasks.sell"), delay=None)
    return task


@pytest.fixture
def group() -> FailureGroup:
    """Thirty tasks that failed alike."""
    for number in range(30):
        fail(f"no row {number}", title=f"Sale {number}")
    return FailureGroup.objects.get()


@pytest.fixture
def boss() -> Any:
    return make_staff("boss", permissions=ALL)


@pytest.fixture
def page(client: Client, boss: Any) -> Client:
    client.force_login(boss)
    return client


def as_staff(*permissions: str) -> Client:
    client = Client()
    client.force_login(make_staff(permissions=permissions))
    return client


def test_the_list_shows_groups_the_last_seen_first_with_their_counts(page: Client, group: FailureGroup) -> None:
    lifecycle.retry(Task.objects.earliest("id").id)
    fail("another")
    text = text_of(page.get(at("changelist")))
    assert text.index("LookupError: another") < text.index("LookupError: no row 29")
    assert '<td class="field-attempts">30</td><td class="field-failed_now">29</td>' in text
    assert "2 failure groups" in text


def test_the_list_needs_as_many_queries_for_many_groups_as_for_one(
    page: Client, django_assert_max_num_queries: Any
) -> None:
    for letter in "abcdefghij":
        fail(letter)
    with django_assert_max_num_queries(5 + 4):
        page.get(at("changelist"))


@pytest.mark.parametrize("term", ["fingerprint", "tests.tasks", "builtins.Look"])
def test_the_list_is_searched_by_fingerprint_definition_and_type(page: Client, group: FailureGroup, term: str) -> None:
    words = group.fingerprint[:9] if term == "fingerprint" else term
    assert "1 failure group" in text_of(page.get(at("changelist"), {"q": words}))
    assert "0 failure groups" in text_of(page.get(at("changelist"), {"q": "zzz"}))


def test_the_page_of_a_group_shows_it_and_its_failed_tasks(page: Client, group: FailureGroup) -> None:
    text = text_of(page.get(at("change", group.pk)))
    assert "shop.tasks.sell" in text
    assert "Failed now: 30" in text
    assert len(re.findall(r">Sale \d+</a>", text)) == 20
    assert reverse("admin:taskcenter_task_change", args=[group.task_id]) in text
    [everything] = re.findall(r'href="([^"]*)">All of them', text)
    assert "30 tasks" in text_of(page.get(everything.replace("&amp;", "&")))
    assert at("redrive", group.pk) in text
    assert 'name="_save"' not in text


def test_a_failed_task_s_page_leads_to_its_group(page: Client, group: FailureGroup) -> None:
    address = reverse("admin:taskcenter_task_change", args=[group.task_id])
    assert at("change", group.pk) in text_of(page.get(address))
    assert at("change", group.pk) not in text_of(as_staff("view_task").get(address))


def test_the_confirmation_shows_the_count_and_the_waves_and_does_nothing(page: Client, group: FailureGroup) -> None:
    text = text_of(page.get(at("redrive", group.pk)))
    assert "<strong>30 tasks</strong> are retried with the same input: one first, then 10, then 19" in text
    assert Task.objects.filter(state="failed").count() == Task.objects.count() == 30


def test_a_redrive_is_begun_logged_and_shown(page: Client, boss: Any, group: FailureGroup) -> None:
    response = page.post(at("redrive", group.pk), {"reason": "mended in 4711"}, follow=True)
    task = Task.objects.get(definition="taskcenter.redrive.redrive")
    assert response.redirect_chain[-1][0] == reverse("admin:taskcenter_task_change", args=[task.pk])
    assert "The redrive of 30 tasks begins." in text_of(response)
    assert (task.owner, task.kwargs["reason"]) == (boss, "mended in 4711")
    [entry] = LogEntry.objects.all()
    assert entry.object_id == group.pk
    assert entry.change_message == "Redrive: The redrive of 30 tasks begins. mended in 4711"


def test_a_double_click_begins_one(page: Client, group: FailureGroup) -> None:
    first, second = (page.post(at("redrive", group.pk), {"reason": "mended"}, follow=True) for _ in range(2))
    assert Task.objects.filter(definition="taskcenter.redrive.redrive").count() == 1
    assert first.redirect_chain == second.redirect_chain
    assert "A redrive of this group is under way." in text_of(second)
    assert LogEntry.objects.count() == 1


@pytest.mark.parametrize("reason", ["", "  \n", "\0"])
def test_without_a_reason_it_asks_again(page: Client, group: FailureGroup, reason: str) -> None:
    response = page.post(at("redrive", group.pk), {"reason": reason})
    assert "Say why" in text_of(response)
    assert Task.objects.count() == 30


def test_with_nothing_failed_any_more_it_says_so(page: Client, group: FailureGroup) -> None:
    Task.objects.all().delete()
    assert "there is nothing to redrive" in text_of(page.get(at("redrive", group.pk)))
    response = page.post(at("redrive", group.pk), {"reason": "mended"}, follow=True)
    assert response.redirect_chain[-1][0] == at("change", group.pk)
    assert "there is nothing to redrive" in text_of(response)
    assert at("redrive", group.pk) not in text_of(page.get(at("change", group.pk)))
    assert not Task.objects.exists()


def test_who_may_do_what(group: FailureGroup) -> None:
    nobody, viewer, retrier = as_staff("view_task"), as_staff("view_failuregroup", "view_task"), as_staff("retry_task")
    for address in (at("changelist"), at("change", group.pk), at("redrive", group.pk)):
        assert nobody.get(address).status_code == 403
    assert viewer.get(at("changelist")).status_code == 200
    assert at("redrive", group.pk) not in text_of(viewer.get(at("change", group.pk)))
    for person in (viewer, retrier):
        assert person.get(at("redrive", group.pk)).status_code == 403
        assert person.post(at("redrive", group.pk), {"reason": "mended"}).status_code == 403
    assert Task.objects.count() == 30


def test_it_is_about_the_tasks_that_one_may_see(group: FailureGroup) -> None:
    person = make_staff(permissions=("view_failuregroup", "retry_task"))
    fail("no row 99", owner=person)
    client = Client()
    client.force_login(person)
    assert "Failed now: 1" in text_of(client.get(at("change", group.pk)))
    assert "<strong>1 task</strong> is retried" in text_of(client.get(at("redrive", group.pk)))
    response = client.post(at("redrive", group.pk), {"reason": "mended"}, follow=True)
    assert "The redrive of 1 tasks begins." not in text_of(response)
    assert "The redrive of 1 task begins." in text_of(response)


def test_nobody_adds_changes_or_deletes_a_group(client: Client, group: FailureGroup) -> None:
    client.force_login(make_user("root", is_staff=True, is_superuser=True))
    assert client.get(at("add")).status_code == 403
    assert client.post(at("change", group.pk), {"message": "x"}).status_code == 403
    assert client.post(at("delete", group.pk), {"post": "yes"}).status_code == 403


def test_a_post_without_a_token_is_refused(boss: Any, group: FailureGroup) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(boss)
    assert client.post(at("redrive", group.pk), {"reason": "mended"}).status_code == 403
    assert Task.objects.count() == 30


def test_a_group_that_is_not_there_is_not_found(page: Client) -> None:
    assert page.get(at("redrive", "ab" * 16)).status_code == 404


def test_hostile_text_is_shown_as_text(page: Client) -> None:
    fail(HOSTILE, title=HOSTILE)
    group = FailureGroup.objects.get()
    for address in (at("changelist"), at("change", group.pk), at("redrive", group.pk)):
        text = text_of(page.get(address))
        assert HOSTILE not in text
        assert "&lt;script&gt;alert" in text
        assert not re.search(r"<script(?![^>]*\ssrc=)(?![^>]*type=\"application/json\")", text)
        assert not re.search(r"\son[a-z]+=|\sstyle=|javascript:", text)
