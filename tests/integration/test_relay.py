"""The relay against a real Valkey: what is watched is told, what was missed is read, nothing is left over."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import redis
from asgiref.sync import sync_to_async
from django.db import connection
from django.test.utils import CaptureQueriesContext

from taskcenter.models import Task
from taskcenter.progress import TaskProgress, Viewer, announce, announce_line, announce_many, snapshots
from taskcenter.relay import Inbox, Relay, line, readings, relay
from taskcenter.states import State
from taskcenter.wire import notice_channel, progress_channel
from tests.factories import make_task
from tests.live import auntil, no_redis, own_valkey  # noqa: F401 fixtures

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from taskcenter.progress import Snapshot
    from tests.servers import ValkeyServer

pytestmark = pytest.mark.django_db(transaction=True)

amake_task = sync_to_async(make_task)
aannounce = sync_to_async(announce)


def subscribers(server: ValkeyServer, *channels: str) -> list[int]:
    with redis.Redis.from_url(server.url) as client:
        return [count for _, count in client.pubsub_numsub(*channels)]


def change(task: Task, **fields: Any) -> None:
    """A change of the row, and the hint of it."""
    rev = task.rev + 1
    Task.objects.filter(id=task.id).update(rev=rev, **fields)
    task.rev = rev


@pytest.fixture
async def relayed(own_valkey: ValkeyServer) -> AsyncIterator[Relay]:  # noqa: F811 the fixture
    one = relay()
    inboxes: list[Inbox] = []
    join = one.join

    def joined() -> Inbox:
        inboxes.append(join())
        return inboxes[-1]

    one.join = joined  # type: ignore[method-assign]
    yield one
    for inbox in inboxes:
        one.leave(inbox)
    await auntil(lambda: one.is_quiet)


async def told(inbox: Inbox, task: Task) -> Snapshot:
    """The next snapshot of that task."""
    while True:
        await asyncio.wait_for(inbox.ready.wait(), 15)
        changed = inbox.take({str(task.id)}).changed
        if changed:
            return changed[0]


async def test_a_loop_has_one_relay_and_lets_it_go_when_all_have_left() -> None:
    first = relay()
    assert relay() is first
    inbox, other = first.join(), first.join()
    first.leave(inbox)
    assert relay() is first
    first.leave(other)
    assert relay() is not first


async def test_a_change_of_the_row_reaches_all_who_watch_and_nobody_else(relayed: Relay) -> None:
    task, other = await amake_task(), await amake_task()
    watching, also, elsewhere = relayed.join(), relayed.join(), relayed.join()
    for inbox in (watching, also):
        await relayed.watch(inbox, [progress_channel(task.id)])
    await relayed.watch(elsewhere, [progress_channel(other.id)])
    await sync_to_async(change)(task, state=State.CANCELLED, finished_at=task.created_at)
    await aannounce(task.id, task.rev)
    for inbox in (watching, also):
        assert (await told(inbox, task)).task.state == State.CANCELLED
    assert not elsewhere.ready.is_set()


async def test_a_burst_of_changes_is_read_in_one_go(relayed: Relay) -> None:
    tasks = [await amake_task() for _ in range(20)]
    inboxes = [relayed.join() for _ in range(3)]
    for inbox in inboxes:
        await relayed.watch(inbox, [progress_channel(task.id) for task in tasks])
    sizes: list[int] = []

    def counted(keys: list[str]) -> list[Snapshot]:
        sizes.append(len(keys))
        return snapshots(Task.objects.filter(id__in=keys))

    original, readings._snapshots_of = readings._snapshots_of, counted  # type: ignore[assignment]
    try:
        await sync_to_async(announce_many)([(task.id, 2) for task in tasks])
        for inbox in inboxes:
            await auntil(lambda inbox=inbox: len(inbox._changed) == len(tasks))
    finally:
        readings._snapshots_of = original
    assert sum(sizes) == 20
    assert len(sizes) <= 3


async def test_progress_of_the_known_attempt_is_told_without_reading_the_row(relayed: Relay) -> None:
    task = await amake_task(State.PROCESSING)
    inbox = relayed.join()
    await relayed.watch(inbox, [progress_channel(task.id)])
    relayed.seed(await sync_to_async(snapshots)(Task.objects.filter(id=task.id)))

    def work() -> list[dict[str, str]]:
        with CaptureQueriesContext(connection) as queries:
            TaskProgress(task.id, 1).set(0.5, "reading")
        return queries.captured_queries

    assert await sync_to_async(work)() == []
    snapshot = await told(inbox, task)
    assert snapshot.stored is not None
    assert (snapshot.stored.progress, snapshot.stored.metadata["message"]) == (0.5, "reading")
    assert relayed._readings.is_quiet


async def test_progress_of_an_attempt_nobody_knew_of_sends_the_relay_to_the_row(relayed: Relay) -> None:
    task = await amake_task()
    inbox = relayed.join()
    await relayed.watch(inbox, [progress_channel(task.id)])
    relayed.seed(await sync_to_async(snapshots)(Task.objects.filter(id=task.id)))

    def begin() -> None:
        # A claim of many tasks at once does not announce each of them.
        change(task, state=State.PROCESSING, attempt=1, attempted_at=task.created_at)
        TaskProgress(task.id, 1).set(0.1)

    await sync_to_async(begin)()
    snapshot = await told(inbox, task)
    assert (snapshot.task.state, snapshot.order) == (State.PROCESSING, (2, 1, 1))


async def test_late_progress_of_a_lost_attempt_is_not_told(relayed: Relay) -> None:
    task = await amake_task(State.PROCESSING, attempt=2)
    inbox = relayed.join()
    await relayed.watch(inbox, [progress_channel(task.id)])
    relayed.seed(await sync_to_async(snapshots)(Task.objects.filter(id=task.id)))
    await sync_to_async(TaskProgress(task.id, 1).set)(0.9)
    await sync_to_async(TaskProgress(task.id, 2).set)(0.2)
    snapshot = await told(inbox, task)
    assert snapshot.stored is not None
    assert snapshot.stored.progress == 0.2


async def test_only_what_is_watched_is_subscribed(
    relayed: Relay,
    own_valkey: ValkeyServer,  # noqa: F811 the fixture
) -> None:
    channels = [progress_channel(uuid4()) for _ in range(2)]
    first, second = relayed.join(), relayed.join()
    await relayed.watch(first, channels)
    await relayed.watch(second, channels[:1])
    assert subscribers(own_valkey, *channels) == [1, 1]
    relayed.leave(first)
    await auntil(lambda: subscribers(own_valkey, *channels) == [1, 0])
    relayed.leave(second)
    await auntil(lambda: relayed.is_quiet)
    await auntil(lambda: subscribers(own_valkey, *channels) == [0, 0])
    assert (relayed._watchers, relayed._known) == ({}, {})
    assert (relayed._line._confirmations, relayed._line._missed) == ({}, set())


async def test_a_slow_reader_keeps_one_snapshot_per_task(relayed: Relay) -> None:
    task = await amake_task(State.PROCESSING)
    inbox = relayed.join()
    await relayed.watch(inbox, [progress_channel(task.id)])
    relayed.seed(await sync_to_async(snapshots)(Task.objects.filter(id=task.id)))

    def work() -> None:
        meter = TaskProgress(task.id, 1)
        for step in range(50):
            meter.stage(f"stage {step}")

    await sync_to_async(work)()
    await auntil(lambda: relayed._known[str(task.id)].order == (1, 1, 50))
    changed = inbox.take({str(task.id)}).changed
    assert [one.stored.seq for one in changed if one.stored] == [50]


async def test_what_is_not_ours_on_a_channel_is_ignored(
    relayed: Relay,
    own_valkey: ValkeyServer,  # noqa: F811 the fixture
) -> None:
    task = await amake_task()
    inbox = relayed.join()
    await relayed.watch(inbox, [progress_channel(task.id), notice_channel(1)])
    with redis.Redis.from_url(own_valkey.url) as client:
        for nonsense in ("", "{", "[]", "7", '{"attempt": "x"}', '{"attempt": 1}', b"\xff"):
            client.publish(progress_channel(task.id), nonsense)
            client.publish(notice_channel(1), nonsense)
    await aannounce(task.id, 2)
    assert (await told(inbox, task)).task.id == task.id


async def test_a_hint_that_got_lost_is_made_good_by_reading_unfinished_rows_for_all(
    relayed: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readings, "LOOK_AGAIN", 0.1)
    task = await amake_task(State.PROCESSING)
    inboxes = [relayed.join() for _ in range(2)]
    for inbox in inboxes:
        await relayed.watch(inbox, [progress_channel(task.id)])
    await sync_to_async(change)(task, state=State.COMPLETED, finished_at=task.created_at)
    for inbox in inboxes:
        while (await told(inbox, task)).task.state != State.COMPLETED:
            pass
    assert relayed._unfinished() == set()


async def test_a_new_line_of_history_is_told_without_reading_the_row(relayed: Relay) -> None:
    task = await amake_task(State.PROCESSING)
    inbox = relayed.join()
    await relayed.watch(inbox, [progress_channel(task.id)])
    await sync_to_async(announce_line)(task.id)
    await asyncio.wait_for(inbox.ready.wait(), 15)
    assert inbox.take(()).lines == {str(task.id)}
    assert relayed._readings.is_quiet


async def test_watchers_of_the_same_rights_share_one_text(relayed: Relay) -> None:
    task = await amake_task(State.PROCESSING)
    (snapshot,) = await sync_to_async(snapshots)(Task.objects.filter(id=task.id))
    assert snapshot.text(Viewer(pk=1)) is snapshot.text(Viewer(pk=2))
    assert snapshot.text(Viewer(pk=1)) != snapshot.text(Viewer(pk=1, cancels_any=True))


async def test_a_deleted_row_sends_its_watchers_to_look(relayed: Relay) -> None:
    task = await amake_task()
    inbox = relayed.join()
    await relayed.watch(inbox, [progress_channel(task.id)])
    await Task.objects.all().adelete()
    await aannounce(task.id, 2)
    await auntil(lambda: inbox.take(()).has_gone)


async def test_rows_are_read_while_redis_is_down_and_again_when_it_is_back(
    relayed: Relay,
    own_valkey: ValkeyServer,  # noqa: F811 the fixture
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(readings, "BLIND", 0.1)
    task = await amake_task()
    inbox = relayed.join()
    await relayed.watch(inbox, [progress_channel(task.id), notice_channel(1)])
    await auntil(lambda: relayed.is_up)

    own_valkey.kill9()
    await sync_to_async(change)(task, state=State.PROCESSING, attempt=1, attempted_at=task.created_at)
    await auntil(lambda: not relayed.is_up)
    while (await told(inbox, task)).task.state != State.PROCESSING:
        pass
    assert not inbox._has_missed_notices

    await asyncio.to_thread(own_valkey.restart)
    # From here only what Redis tells, or the catching up, can bring news.
    monkeypatch.setattr(readings, "BLIND", 1000)
    await sync_to_async(change)(task, state=State.COMPLETED, finished_at=task.created_at)
    await auntil(lambda: relayed.is_up and inbox._has_missed_notices)
    while (await told(inbox, task)).task.state != State.COMPLETED:
        pass
    await auntil(lambda: subscribers(own_valkey, progress_channel(task.id)) == [1])


@pytest.mark.usefixtures("no_redis")
async def test_without_redis_watching_neither_fails_nor_keeps_anybody_waiting() -> None:
    one = relay()
    inbox = one.join()
    started = time.monotonic()
    for _ in range(5):
        await one.watch(inbox, [progress_channel(uuid4())])
    assert time.monotonic() - started < 3
    one.leave(inbox)
    await auntil(lambda: one.is_quiet)


async def test_a_line_that_fell_silent_counts_as_cut(
    relayed: Relay,
    own_valkey: ValkeyServer,  # noqa: F811 the fixture
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(line, "PING", 0.05)
    monkeypatch.setattr(line, "SILENCE", 0.2)
    inbox = relayed.join()
    await relayed.watch(inbox, [progress_channel(uuid4())])
    await auntil(lambda: relayed.is_up)
    # Stopped, not dead: the connection stays open and nobody answers.
    import os
    import signal

    os.kill(own_valkey.pid, signal.SIGSTOP)
    try:
        await auntil(lambda: not relayed.is_up)
    finally:
        os.kill(own_valkey.pid, signal.SIGCONT)
    await auntil(lambda: relayed.is_up)
