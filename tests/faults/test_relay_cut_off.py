"""A web process is told more than it can take, and Redis cuts it off. There is no channel layer that could be full:
in its place is one subscription, of which whatever got lost is read from the rows."""

from __future__ import annotations

import psutil
from django.conf import settings

from taskcenter.models import Task
from taskcenter.progress import announce
from taskcenter.wire import progress_channel
from tests.factories import make_task
from tests.faults.pages import Readers, assert_true, watching
from tests.faults.stack import Stack, require_fired, wait_until

FLOOD = 20_000


def subscriptions(stack: Stack, *task_ids: str) -> int:
    with stack.redis() as client:
        return sum(count for _, count in client.pubsub_numsub(*map(progress_channel, task_ids)))


def flood(stack: Stack, task_id: str) -> None:
    """Messages that are none, hints, and progress of an attempt that nobody knows."""
    with stack.redis() as client:
        for text in ("x" * 200, f'{{"id": "{task_id}", "rev": 9}}', '{"attempt": 7, "seq": 1, "progress": 0.5}'):
            pipe = client.pipeline(transaction=False)
            for _ in range(FLOOD // 3):
                pipe.publish(progress_channel(task_id), text)
            pipe.execute()


def finish(task_id: str) -> None:
    Task.objects.filter(id=task_id).update(state="completed", rev=3, finished_at="2026-01-01T00:00:00Z", progress=1)


def test_nothing_needs_a_channel_layer_and_a_flood_is_read_as_one_change(stack: Stack) -> None:
    require_fired(not hasattr(settings, "CHANNEL_LAYERS"), "there is a channel layer")
    task_id = str(make_task("processing", owner=stack.owner).id)
    with watching(stack) as readers:
        page = readers.open(stack.owner, task_id)
        before = page.frames
        flood(stack, task_id)
        finish(task_id)
        announce(task_id, 3)
        wait_until(lambda: page.state(task_id) == "completed", "the page knows the end")
        require_fired(subscriptions(stack, task_id) == 1, "nobody listened to the flood")
        assert page.frames - before < 100, "a message is not a frame"
        assert_true(page, task_id)


def test_a_relay_that_redis_cuts_off_finds_everything_it_missed(stack: Stack) -> None:
    task_id = str(make_task("processing", owner=stack.owner).id)
    with watching(stack) as readers:
        page = readers.open(stack.owner, task_id)
        cut_off(stack, readers, task_id)
        wait_until(lambda: page.state(task_id) == "completed", "the page knows the end")
        wait_until(lambda: subscriptions(stack, task_id) == 1, "the relay listens again")
        assert_true(page, task_id)
        assert page.opened == 1, "the page noticed nothing"


def cut_off(stack: Stack, readers: Readers, task_id: str) -> None:
    """The web process stands still while more is told than Redis keeps for it."""
    with stack.redis() as client:
        client.config_set("client-output-buffer-limit", "pubsub 65536 65536 1")
    wait_until(lambda: subscriptions(stack, task_id) == 1, "the relay listens")
    server = psutil.Process(readers.site.process.pid)
    server.suspend()
    try:
        for _ in range(50):
            flood(stack, task_id)
            if not subscriptions(stack, task_id):
                break
        finish(task_id)
        require_fired(not subscriptions(stack, task_id), "Redis kept the line")
    finally:
        server.resume()
