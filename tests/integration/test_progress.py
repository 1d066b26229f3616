"""Progress against a real Valkey and a real database."""

from __future__ import annotations

import json
import logging
import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import redis
from asgiref.sync import async_to_sync
from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from django.utils import timezone

from taskcenter.models import Task
from taskcenter.progress import (
    ProgressTracker,
    TaskProgress,
    announce,
    announce_many,
    frames,
    live,
    snapshots,
    visible,
)
from taskcenter.states import State
from taskcenter.wire import progress_channel, progress_key
from tests.factories import make_report, make_task, make_user, make_worker
from tests.live import no_redis, own_valkey, until  # noqa: F401 fixtures

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import ValkeyServer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def client(redis_client: redis.Redis, redis_url: str) -> Iterator[redis.Redis]:
    """The run's Redis, emptied, answering in text."""
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


def heard(pubsub: Any) -> dict[str, Any]:
    """The next message of a subscription."""
    message = until(lambda: pubsub.get_message(ignore_subscribe_messages=True, timeout=0.1))
    told: dict[str, Any] = json.loads(message["data"])
    return told


def test_the_tracker_remembers_and_forgets_after_a_day(client: redis.Redis) -> None:
    tracker, task = ProgressTracker(), make_task(State.PROCESSING)
    tracker.update_progress(task.id, 0.25, "processing", {"message": "reading", "rows": 7})
    known = tracker.get_progress(task.id)
    assert known is not None
    assert (known["progress"], known["status"], known["attempt"], known["seq"]) == (0.25, "processing", 1, 1)
    assert known["metadata"] == {"message": "reading", "rows": 7}
    kept = client.hgetall(f"progress:{task.id}")
    assert kept.keys() == {"progress", "status", "metadata", "updated_at", "attempt", "seq"}
    assert 86_000 < client.ttl(progress_key(task.id)) <= 86_400


def test_the_tracker_knows_nothing_of_unknown_tasks(client: redis.Redis) -> None:
    tracker = ProgressTracker()
    assert tracker.get_progress(uuid4()) is None
    assert tracker.get_progress("no id at all") is None


def test_the_tracker_takes_ids_that_are_no_tasks(client: redis.Redis) -> None:
    tracker = ProgressTracker()
    tracker.update_progress("import-7", 0.5, "processing", {})
    assert tracker.get_progress("import-7")["progress"] == 0.5  # type: ignore[index]


def test_the_tracker_tells_the_state_of_the_row_once_the_task_has_ended(client: redis.Redis) -> None:
    tracker, task = ProgressTracker(), make_task(State.COMPLETED)
    tracker.update_progress(task.id, 0.5, "processing", {})
    known = tracker.get_progress(task.id)
    assert known is not None
    assert (known["status"], known["progress"]) == ("completed", 1.0)


def test_the_tracker_logs_and_never_raises(client: redis.Redis, caplog: pytest.LogCaptureFixture) -> None:
    tracker = ProgressTracker()
    with caplog.at_level(logging.WARNING, "taskcenter"):
        tracker.update_progress("x", 0.5, "processing", {"thing": object()})
        tracker.update_progress("x", float("nan"), "processing", {})
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
    assert tracker.get_progress("x") is None


def test_the_async_twins_do_the_same(client: redis.Redis) -> None:
    tracker = ProgressTracker()
    async_to_sync(tracker.aupdate_progress)("x", 0.5, "processing", {"a": 1})
    assert async_to_sync(tracker.aget_progress)("x") == tracker.get_progress("x")


def test_the_row_answers_when_redis_has_forgotten_or_is_away(own_valkey: ValkeyServer) -> None:  # noqa: F811 the fixture
    tracker, task = ProgressTracker(), make_task(State.PROCESSING)
    tracker.update_progress(task.id, 0.25, "processing", {"message": "reading"})
    redis.Redis.from_url(own_valkey.url).flushall()
    assert tracker.get_progress(task.id)["progress"] == 0.25  # type: ignore[index]
    own_valkey.kill9()
    tracker.update_progress(task.id, 0.5, "processing", {"message": "on"})
    known = tracker.get_progress(task.id)
    assert known is not None
    assert (known["progress"], known["seq"]) == (0.5, 2)


def test_each_write_is_published_whole(client: redis.Redis) -> None:
    task = make_task(State.PROCESSING)
    pubsub = client.pubsub()
    pubsub.subscribe(progress_channel(task.id))
    until(lambda: pubsub.get_message(timeout=0.1))
    TaskProgress(task.id, 1).set(0.5, 'say "hi"', done=5, total=10, unit="rows")
    told = heard(pubsub)
    assert told.keys() == {
        "id", "attempt", "seq", "progress", "message", "stage", "stages", "done", "total", "unit", "eta_s", "rate",
        "updated_at", "moved_at",
    }  # fmt: skip
    assert (told["id"], told["attempt"], told["seq"]) == (str(task.id), 1, 1)
    assert (told["progress"], told["message"], told["done"], told["total"]) == (0.5, 'say "hi"', 5, 10)
    announce(task.id, 7)
    assert heard(pubsub) == {"id": str(task.id), "rev": 7}


def test_announce_many_tells_each_channel(client: redis.Redis) -> None:
    ids = [uuid4() for _ in range(3)]
    pubsub = client.pubsub()
    pubsub.subscribe(*map(progress_channel, ids))
    announce_many([(key, at) for at, key in enumerate(ids)])
    assert sorted(heard(pubsub)["rev"] for _ in ids) == [0, 1, 2]
    announce_many([])


def test_seq_goes_on_rising_when_redis_has_forgotten(client: redis.Redis, settings: Any) -> None:
    settings.TASKCENTER = {"PROGRESS_PER_SECOND": 100_000}
    task = make_task(State.PROCESSING)
    meter = TaskProgress(task.id, 1)
    for step in range(5):
        meter.set(step / 10)
    client.flushall()
    meter.set(0.9)
    assert client.hget(progress_key(task.id), "seq") == "6"


def test_a_late_write_of_an_older_attempt_covers_nothing(client: redis.Redis) -> None:
    task = make_task(State.PROCESSING)
    old, new = TaskProgress(task.id, 1), TaskProgress(task.id, 2)
    old.set(0.9, "old")
    Task.objects.filter(id=task.id).update(attempt=2)
    new.set(0.1, "new")
    old.stage("zombie")
    old.flush()
    new.flush()
    kept = client.hgetall(progress_key(task.id))
    assert (kept["attempt"], kept["progress"]) == ("2", "0.1")
    task.refresh_from_db()
    assert (task.progress, task.progress_state["metadata"]["message"]) == (0.1, "new")


@pytest.mark.parametrize("state", [State.COMPLETED, State.PENDING])
def test_the_rows_copy_is_fenced_and_moves_neither_state_nor_rev(client: redis.Redis, state: str) -> None:
    running, other = make_task(State.PROCESSING), make_task(state, progress=None)
    for task in (running, other):
        meter = TaskProgress(task.id, 1)
        meter.set(0.5)
        meter.flush()
        task.refresh_from_db()
    assert (running.progress, running.state, running.rev) == (0.5, State.PROCESSING, 1)
    assert (other.progress, other.progress_state, other.state, other.rev) == (None, {}, state, 1)


def test_the_row_is_copied_now_and_then_but_not_inside_the_tasks_own_transaction(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    monkeypatch.setattr(live, "ROW_GAP", 0.0)
    settings.TASKCENTER = {"PROGRESS_PER_SECOND": 100_000}
    task = make_task(State.PROCESSING)
    meter = TaskProgress(task.id, 1)
    with transaction.atomic():
        meter.set(0.1)
        task.refresh_from_db()
        assert task.progress is None
    meter.set(0.2)
    task.refresh_from_db()
    assert task.progress == 0.2


def test_a_coroutine_task_may_tell_its_progress(client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "ROW_GAP", 0.0)
    task = make_task(State.PROCESSING)
    meter = TaskProgress(task.id, 1)

    async def body() -> None:
        meter.set(0.3)
        await meter.astage("write", 0.6)

    async_to_sync(body)()
    meter.flush()
    task.refresh_from_db()
    assert task.progress == 0.6


@pytest.mark.usefixtures("no_redis")
def test_without_redis_a_task_is_held_up_once_and_the_row_still_knows() -> None:
    task = make_task(State.PROCESSING)
    meter = TaskProgress(task.id, 1)
    started = time.monotonic()
    for step in range(1000):
        meter.set(step / 1000)
    meter.flush()
    assert time.monotonic() - started < 2
    task.refresh_from_db()
    assert task.progress == 0.999


def test_frames_of_many_tasks_cost_the_same_few_queries(client: redis.Redis, django_assert_num_queries: Any) -> None:
    user = make_user()
    alive = make_worker()
    began = timezone.now()  # of those that have been silent for long one more thing is asked
    tasks = [make_task(State.PROCESSING, worker=alive, owner=user, attempted_at=began) for _ in range(5)]
    TaskProgress(tasks[0].id, 1).set(0.5, "reading")
    done = make_task(State.COMPLETED, owner=user)
    report = make_report(done)
    user.has_perm("taskcenter.view_task")
    with django_assert_num_queries(3):
        found = frames(user, Task.objects.order_by("id"))
    assert [one["id"] for one in found] == [str(task.id) for task in [*tasks, done]]
    assert (found[0]["progress"], found[0]["message"], found[0]["shown"]) == (0.5, "reading", "processing")
    assert found[0]["can"] == ["cancel"]
    assert found[-1]["report_url"].endswith(f"/{report.pk}/")
    assert json.loads(json.dumps(found)) == found


def test_a_task_on_a_silent_worker_is_shown_as_lost(client: redis.Redis) -> None:
    task = make_task(State.PROCESSING, worker=make_worker(silent=999))
    assert snapshots(Task.objects.filter(id=task.id))[0].worker_alive is False


def test_each_person_sees_their_own_tasks_and_nobody_else_any() -> None:
    ann, ben = make_user(), make_user()
    operator = make_user(permissions=("view_task",))
    mine = make_task(owner=ann)
    assert [visible(who).filter(id=mine.id).count() for who in (ann, ben, operator, AnonymousUser())] == [1, 0, 1, 0]


def test_a_report_is_offered_only_to_who_may_open_it(client: redis.Redis) -> None:
    ann, operator = make_user(), make_user(permissions=("view_task", "cancel_task"))
    task = make_task(State.COMPLETED, owner=ann)
    make_report(task)
    rows = Task.objects.filter(id=task.id)
    assert frames(ann, rows)[0]["report_url"]
    assert frames(operator, rows)[0]["report_url"] is None


def test_many_changes_are_told_to_those_who_listen_and_to_nobody_else(redis_client: redis.Redis) -> None:
    ids = [uuid4() for _ in range(40)]
    with redis_client.pubsub(ignore_subscribe_messages=True) as listener:
        listener.subscribe(progress_channel(ids[7]))
        assert listener.get_message(timeout=5) is None, "that was the answer to subscribing"
        before = redis_client.info("commandstats").get("cmdstat_publish", {"calls": 0})["calls"]
        announce_many([(task_id, 3) for task_id in ids])
        heard = listener.get_message(timeout=5)
    assert heard is not None
    assert json.loads(heard["data"]) == {"id": str(ids[7]), "rev": 3}
    assert redis_client.info("commandstats")["cmdstat_publish"]["calls"] == before + 1
