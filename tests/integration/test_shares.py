"""Links to one task for people without an account: what they open, and how they end."""

from __future__ import annotations

import logging
import re
from datetime import timedelta
from typing import Any

import pytest
from django.core.signing import Signer
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from taskcenter.models import Share, Task
from taskcenter.states import State
from tests.factories import make_report, make_task, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_client")]

HOUR = timedelta(hours=1)


@pytest.fixture
def ann() -> Any:
    return make_user("ann")


@pytest.fixture
def task(ann: Any) -> Task:
    return make_task(State.PROCESSING, owner=ann, title="Sales 2026")


@pytest.fixture
def share(ann: Any, task: Task) -> Share:
    return Share.objects.make(task, ann, HOUR)


@pytest.fixture
def stranger() -> Client:
    """A browser in which nobody is signed in."""
    return Client()


def at(name: str, *args: Any) -> str:
    return reverse(f"taskcenter:{name}", args=args)


def opened(client: Client, share: Share) -> tuple[int, int]:
    """What the page of a link and its poll answer."""
    page = client.get(at("shared-task", share.token))
    return page.status_code, poll(client, share.token).status_code


def poll(client: Client, token: str) -> Any:
    return client.get(at("shared-state"), headers={"X-Task-Token": token})


def test_the_owner_makes_a_link_and_a_stranger_opens_it(client: Client, ann: Any, task: Task, stranger: Client) -> None:
    client.force_login(ann)
    page = client.post(at("share-create", task.pk), {"lasts": "day"}, follow=True).content.decode()
    address = re.search(r'readonly value="http://testserver([^"]+)"', page)[1]  # type: ignore[index]
    share = Share.objects.get()
    assert share.expires_at - share.created_at == timedelta(days=1)
    answer = stranger.get(address)
    assert answer.status_code == 200
    assert "Sales 2026" in answer.content.decode()
    assert task.events.get().actor == ann


def test_the_link_shows_the_report_of_a_finished_task_and_nothing_to_press(stranger: Client, ann: Any) -> None:
    task = make_task(State.COMPLETED, owner=ann)
    make_report(task, data={"summary": "Sales rose by a third."})
    page = stranger.get(at("shared-task", Share.objects.make(task, ann, HOUR).token)).content.decode()
    assert "Sales rose by a third." in page
    assert "<form" not in page.partition("<main")[2]


def test_a_link_never_offers_what_its_reader_may_do_elsewhere(client: Client, ann: Any, share: Share) -> None:
    client.force_login(ann)
    frame = poll(client, share.token).json()["tasks"][0]
    assert (frame["can"], frame["report_url"]) == ([], None)
    assert "task-cancel" not in client.get(at("shared-task", share.token)).content.decode()


def test_nothing_of_a_shared_page_is_kept_indexed_or_told_on(stranger: Client, share: Share) -> None:
    answers = [stranger.get(at("shared-task", share.token)), poll(stranger, share.token)]
    answers += [stranger.get(at("shared-task", "x")), poll(stranger, "x")]
    for answer in answers:
        assert answer["Referrer-Policy"] == "no-referrer"
        assert "noindex" in answer["X-Robots-Tag"]
        assert answer["Cache-Control"] == "private, no-store"


def test_a_link_ends_at_its_time_or_when_it_is_taken_back(stranger: Client, ann: Any, task: Task, share: Share) -> None:
    other = Share.objects.make(task, ann, HOUR)
    assert opened(stranger, share) == (200, 200)
    assert Share.objects.filter(pk=share.pk).revoke() == 1
    assert opened(stranger, share) == (404, 404)
    Share.objects.filter(pk=other.pk).update(expires_at=timezone.now())
    assert opened(stranger, other) == (404, 404)


def test_taking_back_is_for_whoever_may_share(client: Client, ann: Any, task: Task, share: Share) -> None:
    address = at("share-revoke", task.pk, share.pk)
    client.force_login(make_user(permissions=("view_task",)))
    assert client.post(address).status_code == 403
    client.force_login(make_user())
    assert client.post(address).status_code == 404
    assert Share.objects.alive().exists()
    client.force_login(make_user(permissions=("view_task", "share_task")))
    assert client.post(address).status_code == 302
    assert not Share.objects.alive().exists()


def test_a_link_of_another_task_is_not_taken_back_through_ones_own(client: Client, share: Share) -> None:
    bob = make_user("bob")
    client.force_login(bob)
    client.post(at("share-revoke", make_task(owner=bob).pk, share.pk))
    assert Share.objects.alive().get() == share


def test_only_who_may_share_makes_links_and_sees_them(client: Client, task: Task, share: Share) -> None:
    client.force_login(make_user(permissions=("view_task",)))
    assert client.post(at("share-create", task.pk), {"lasts": "hour"}).status_code == 403
    assert share.nonce not in client.get(at("task-detail", task.pk)).content.decode()
    client.force_login(make_user())
    assert client.post(at("share-create", task.pk), {"lasts": "hour"}).status_code == 404
    assert Share.objects.count() == 1


def test_making_a_link_needs_post_its_token_and_a_length_we_offer(ann: Any, task: Task) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(ann)
    assert browser.get(at("share-create", task.pk)).status_code == 405
    assert browser.post(at("share-create", task.pk), {"lasts": "day"}).status_code == 403
    lenient = Client()
    lenient.force_login(ann)
    assert lenient.post(at("share-create", task.pk), {"lasts": "ever"}).status_code == 400
    assert not Share.objects.exists()


def test_there_is_an_end_to_the_links_of_one_task(client: Client, ann: Any, task: Task) -> None:
    client.force_login(ann)
    for _ in range(21):
        client.post(at("share-create", task.pk), {"lasts": "hour"})
    assert Share.objects.alive().count() == 20


def test_a_link_ends_when_its_maker_may_not_see_the_task_any_more(stranger: Client, task: Task) -> None:
    operator = make_user(permissions=("view_task", "share_task"))
    share = Share.objects.make(task, operator, HOUR)
    assert opened(stranger, share) == (200, 200)
    operator.user_permissions.clear()
    assert opened(stranger, share) == (404, 404)


def test_a_link_ends_with_its_makers_account(stranger: Client, ann: Any, share: Share) -> None:
    ann.is_active = False
    ann.save()
    assert opened(stranger, share) == (404, 404)


def test_a_row_alone_opens_nothing(stranger: Client, share: Share, settings: Any) -> None:
    """Who reads the database but not the site's key has no link."""
    forged = Signer(sep=".", salt="taskcenter.share", key="another").sign(share.nonce)
    for token in (share.nonce, forged, f"{share.nonce}.", share.token[:-1], f"{share.pk}"):
        assert stranger.get(at("shared-task", token)).status_code == 404
        assert poll(stranger, token).status_code == 404
    assert poll(stranger, "").status_code == 404


def test_guessing_does_not_even_reach_the_database(stranger: Client, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        assert Share.objects.opened_by("guess.AAAA") is None
    assert len({Share().nonce for _ in range(100)}) == 100
    assert len(Share().nonce) >= 22, "128 bits"


def test_a_page_may_name_the_task_before_its_token(stranger: Client, task: Task, share: Share) -> None:
    assert poll(stranger, f"{task.pk}:{share.token}").json()["tasks"][0]["id"] == str(task.pk)


def test_the_token_does_not_reach_the_log(stranger: Client, share: Share, caplog: Any) -> None:
    caplog.set_level(logging.DEBUG)
    opened(stranger, share)
    Share.objects.revoke()
    opened(stranger, share)
    assert not [line for line in caplog.messages if share.nonce in line]


def test_a_failed_task_is_told_without_its_inner_names(stranger: Client, ann: Any) -> None:
    task = make_task(State.FAILED, owner=ann, error_type="builtins.ValueError")
    page = stranger.get(at("shared-task", Share.objects.make(task, ann, HOUR).token)).content.decode()
    assert "line 41 has 9 fields" in page
    assert "What went wrong" in page
