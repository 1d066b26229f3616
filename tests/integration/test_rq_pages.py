"""django-rq's pages: each of them, and each of their buttons, asks for django-rq's permission."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client, override_settings
from django.urls import URLPattern, get_resolver, include, path, reverse
from django_rq import urls as rq_urls
from django_rq.queues import get_queue
from django_rq.settings import get_queues_map

from taskcenter import rq_pages, urls_rq
from taskcenter.checks import check_rq_pages
from tests.factories import make_staff

pytestmark = pytest.mark.django_db

ADMIN, OUTSIDE = "/admin/django_rq/dashboard/", "/django-rq/"
VALUES = {
    "queue_index": "0", "scheduler_index": "0", "connection_index": "0", "job_id": "x", "result_id": "x", "key": "x",
    "scheduler_name": "x", "cron_job_name": "x", "token": "x",
}  # fmt: skip


def address(pattern: URLPattern) -> str:
    """Some address that this pattern takes."""
    text = re.sub(r"\(\?P<(\w+)>[^)]*\)\??", lambda found: VALUES[found[1]], str(pattern.pattern))
    text = re.sub(r"<(?:\w+:)?(\w+)>", lambda found: VALUES[found[1]], text)
    return text.strip("^$").replace("/?", "/").replace("\\.", ".")


def addresses() -> Iterator[str]:
    for pattern in rq_urls.urlpatterns:
        yield from (f"{root}{address(pattern)}" for root in (ADMIN, OUTSIDE))


@pytest.fixture
def staff() -> Client:
    """Staff without any permission."""
    client = Client()
    client.force_login(make_staff("anyone"))
    return client


@pytest.fixture
def keeper(redis_client: Any) -> Client:
    """Staff with django-rq's permission."""
    client = Client()
    user = make_staff("keeper")
    user.user_permissions.add(Permission.objects.get(content_type__app_label="django_rq", codename="admin"))
    client.force_login(user)
    return client


def test_there_are_as_many_addresses_as_django_rq_has() -> None:
    assert len(set(addresses())) >= 2 * (len(rq_urls.urlpatterns) - 1) >= 40


@pytest.mark.parametrize("where", sorted(set(addresses())))
def test_staff_without_the_permission_are_refused_everywhere(where: str, staff: Client) -> None:
    assert staff.get(where).status_code == 403
    assert staff.post(where, {"action": "delete", "job_ids": ["x"]}).status_code == 403


@pytest.mark.parametrize("root", [ADMIN, OUTSIDE])
def test_a_queue_is_not_emptied_by_whoever_may_not(root: str, staff: Client, keeper: Client) -> None:
    queue, number = get_queue("default"), get_queues_map()["default"]
    queue.push_job_id("kept")
    staff.post(f"{root}queues/{number}/empty/")
    staff.post(f"{root}queues/{number}/kept/delete/", {"post": "yes"})
    staff.post(f"{root}queues/actions/{number}/", {"action": "delete", "job_ids": ["kept"]})
    assert queue.job_ids == ["kept"]
    keeper.post(f"{root}queues/{number}/empty/", {"post": "yes"})
    assert queue.job_ids == []


def test_the_permission_opens_them(keeper: Client) -> None:
    assert keeper.get(ADMIN).status_code == 200
    assert keeper.get(OUTSIDE).status_code == 200
    assert keeper.get(f"{ADMIN}queues/0/").status_code == 200
    assert ADMIN in keeper.get("/admin/").content.decode()


def test_they_are_in_nobody_else_s_menu(staff: Client) -> None:
    assert ADMIN not in staff.get("/admin/").content.decode()


def test_strangers_are_sent_to_sign_in(client: Client) -> None:
    for root in (ADMIN, OUTSIDE):
        assert client.get(root).status_code == 302
        assert client.post(f"{root}queues/0/empty/").status_code == 302


def test_a_monitor_still_shows_its_token(client: Client, redis_client: Any) -> None:
    where = reverse("django_rq:home_json")
    assert client.get(where).status_code == 401
    with override_settings(RQ_API_TOKEN="of the monitor"):
        assert client.get(where, headers={"Authorization": "Bearer of the monitor"}).status_code == 200


# The check.

urlpatterns = [path("open/", include("django_rq.urls")), path("guarded/", include("taskcenter.urls_rq"))]


def test_our_site_serves_none_unguarded() -> None:
    assert check_rq_pages() == []


@override_settings(ROOT_URLCONF=__name__)
def test_a_site_that_leaves_them_open_is_warned() -> None:
    (warning,) = check_rq_pages()
    assert warning.id == "taskcenter.W004"
    assert "/open/" in warning.msg
    assert "guarded" not in warning.msg


def test_nothing_of_django_rq_is_left_out() -> None:
    assert [one.name for one in urls_rq.urlpatterns] == [one.name for one in rq_urls.urlpatterns]
    assert all(not rq_pages._is_bare(one.callback) for one in urls_rq.urlpatterns)
    assert get_resolver() is not None
