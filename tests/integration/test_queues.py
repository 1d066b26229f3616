"""A queue is paused, resumed and limited: by its face, by the commands, in the admin."""

from __future__ import annotations

import io
from typing import Any

import pytest
import redis
from asgiref.sync import async_to_sync
from django.core.management import CommandError, call_command
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from taskcenter import UnknownQueue, pointers
from taskcenter.models import Queue
from taskcenter.queues import TaskQueue
from tests.factories import make_staff, make_task

pytestmark = pytest.mark.django_db(transaction=True)


def said(*arguments: str) -> str:
    out = io.StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def row(name: str = "default") -> Queue:
    return Queue.objects.get(name=name)


def woken(client: redis.Redis, queue: str = "default") -> int:
    return int(client.llen(pointers.queue_key(queue)))  # type: ignore[arg-type]


def test_a_queue_is_paused_once_and_keeps_its_reason() -> None:
    queue = TaskQueue("default")
    assert queue.pause("The bank is closed")
    since = row().paused_at
    assert not queue.pause("Another reason")
    assert (row().paused_at, row().paused_reason) == (since, "The bank is closed")
    assert list(Queue.objects.paused()) == [row()]


def test_a_long_reason_is_cut() -> None:
    assert TaskQueue().pause("x" * 1000)
    assert row().paused_reason == "x" * 255


def test_resuming_opens_the_queue_and_wakes_it(redis_client: redis.Redis) -> None:
    make_task()
    make_task(queue="analysis")
    TaskQueue().pause("")
    assert woken(redis_client) == 0
    assert TaskQueue().resume()
    assert (row().paused_at, row().paused_reason) == (None, "")
    assert (woken(redis_client), woken(redis_client, "analysis")) == (1, 0)
    assert not TaskQueue().resume()
    assert woken(redis_client) == 1, "nothing happened, so nobody is woken"


def test_a_long_line_is_woken_not_mirrored(redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pointers, "ENOUGH", 2)
    tasks = [make_task(priority=priority) for priority in (1, 3, 2)]
    TaskQueue().pause()
    TaskQueue().resume()
    assert pointers.listed("default") == [tasks[1].id, tasks[2].id]


def test_workers_are_woken_when_the_resumption_is_committed(redis_client: redis.Redis) -> None:
    make_task()
    TaskQueue().pause()
    with transaction.atomic():
        TaskQueue().resume()
        assert woken(redis_client) == 0
    assert woken(redis_client) == 1


def test_a_queue_never_seen_is_not_paused() -> None:
    assert not TaskQueue().resume()
    assert not Queue.objects.exists()


def test_a_limit_is_set_changed_and_lifted(redis_client: redis.Redis) -> None:
    make_task()
    queue = TaskQueue()
    assert not queue.limit(None)
    for limit in (3, 1, None):
        assert queue.limit(limit)
        assert not queue.limit(limit)
        assert row().max_running == limit
    assert woken(redis_client) == 3


@pytest.mark.parametrize("limit", [0, -1, 2**31])
def test_a_limit_that_is_none_is_refused(limit: int) -> None:
    with pytest.raises(ValueError, match="pause it"):
        TaskQueue().limit(limit)
    assert not Queue.objects.exists()


def test_the_async_twins_do_the_same() -> None:
    queue = TaskQueue()
    assert async_to_sync(queue.apause)("why")
    assert async_to_sync(queue.alimit)(2)
    assert (row().paused_reason, row().max_running) == ("why", 2)
    assert async_to_sync(queue.aresume)()


def test_a_queue_that_no_setting_names_is_refused_everywhere() -> None:
    with pytest.raises(UnknownQueue, match="nowhere"):
        TaskQueue("nowhere")
    for command in ("pause_queue", "resume_queue"):
        with pytest.raises(CommandError, match=r"There is no queue 'nowhere'. RQ_QUEUES names: analysis, default\."):
            call_command(command, "nowhere")
    assert not Queue.objects.exists()


def test_the_commands_say_what_they_did() -> None:
    assert said("resume_queue", "default") == "Queue default was not paused.\n"
    assert "resume_queue default" in said("pause_queue", "default", "--reason", "Maintenance")
    assert row().paused_reason == "Maintenance"
    since = f"{timezone.localtime(row().paused_at):%Y-%m-%d %H:%M}"
    assert said("pause_queue", "default") == f"Queue default was paused before, since {since}: Maintenance\n"
    assert said("resume_queue", "default", "--reason", "Over") == "Queue default is open again.\n"
    assert row().paused_at is None


# The admin.


def at(name: str, *args: Any) -> str:
    return reverse(f"admin:taskcenter_queue_{name}", args=args)


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(make_staff(permissions=("pause_queue",)))
    return client


def test_the_admin_resumes_with_the_same_verb(operator: Client, redis_client: redis.Redis) -> None:
    make_task()
    TaskQueue().pause("Night")
    assert b"Night" in operator.get(at("changelist")).content
    operator.post(at("resume"), {"name": "default"})
    assert row().paused_at is None
    assert woken(redis_client) == 1


def test_the_admin_sets_the_limit(operator: Client) -> None:
    TaskQueue().pause("Night")
    assert operator.get(at("change", "default")).status_code == 200
    assert operator.post(at("change", "default"), {"max_running": "4"}).status_code == 302
    assert (row().max_running, row().paused_reason) == (4, "Night")
    page = operator.post(at("change", "default"), {"max_running": "0"})
    assert b"greater than or equal to 1" in page.content
    assert operator.post(at("change", "default"), {"max_running": "", "paused_reason": "hacked"}).status_code == 302
    assert (row().max_running, row().paused_reason) == (None, "Night")


def test_whoever_may_only_look_cannot_limit(client: Client) -> None:
    Queue.objects.create(name="default")
    client.force_login(make_staff(permissions=("view_queue",)))
    assert client.get(at("change", "default")).status_code == 200
    assert client.post(at("change", "default"), {"max_running": "4"}).status_code == 403
    assert row().max_running is None


def test_a_queue_that_settings_have_lost_is_only_shown(operator: Client) -> None:
    Queue.objects.create(name="gone")
    assert b"gone" in operator.get(at("changelist")).content
    assert b"No queue paused" in operator.post(at("pause"), {"name": "gone"}, follow=True).content
    assert operator.post(at("change", "gone"), {"max_running": "4"}).status_code == 403
    assert (row("gone").paused_at, row("gone").max_running) == (None, None)
