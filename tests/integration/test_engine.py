"""Stories of whole tasks: enqueued, run by a real worker, ended."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from django.utils import timezone
from rq.command import send_shutdown_command

from taskcenter import lifecycle
from taskcenter.models import Notification, Report, Task, TaskEvent, Worker
from tests.factories import make_user
from tests.ledger import tasks
from tests.ledger.book import Book
from tests.processes import Process, wait_for

PATIENCE = 60.0


class House:
    """A worker's surroundings: how to start one, and its ledger."""

    def __init__(self, process: Callable[..., Process], directory: Path) -> None:
        self.book = Book(directory / "ledger.sqlite3")
        self._process = process

    def worker(self, *arguments: str) -> Process:
        return self._process("rqworker", *arguments, LEDGER_PATH=str(self.book.path))

    def work_off(self, *arguments: str) -> None:
        """Run a worker until nothing is left to do."""
        assert self.worker("--burst", *arguments).wait(PATIENCE) == 0


@pytest.fixture
def house(process: Callable[..., Process], tmp_path: Path) -> House:
    return House(process, tmp_path)


def row(task_id: Any) -> Task:
    return Task.objects.get(id=task_id)


def kinds(task_id: Any) -> list[str]:
    return list(TaskEvent.objects.filter(task_id=task_id).told().values_list("kind", flat=True))


def wait_state(task_id: Any, state: str) -> Task:
    wait_for(lambda: row(task_id).state == state, PATIENCE, f"the task is {state}")
    return row(task_id)


def test_each_kind_of_task_comes_to_its_right_end(house: House, redis_client: redis.Redis) -> None:
    owner = make_user()
    added = tasks.add.using(owner=owner).enqueue(1, b=2)
    reported = tasks.mark.using(owner=owner, title="Sales").enqueue(5)
    awaited, plain = tasks.add_async.enqueue(3, 4), tasks.plain.enqueue(1)
    raised, left = tasks.boom.using(owner=owner).enqueue("no\x07pe"), tasks.leave.enqueue()
    unkept, ran_out = tasks.unkeepable.enqueue(), tasks.endless.enqueue()
    again, rests = tasks.flaky.enqueue(), tasks.naps.enqueue()
    house.work_off("--concurrency", "2")

    results = {it.id: row(it.id).result for it in (added, awaited, plain)}
    assert results == {added.id: 3, awaited.id: 7, plain.id: 2}
    assert row(reported.id).result == {"attempt": 1, "number": 5}
    report = Report.objects.get()
    assert (report.title, report.owner, report.is_final) == ("Mark", owner, True)
    assert sorted(Notification.objects.values_list("kind", flat=True)) == ["completed", "completed", "failed"]

    failed = {str(task.id): task.error_type for task in Task.objects.filter(state="failed")}
    assert failed == {
        raised.id: "builtins.ValueError",
        left.id: "builtins.SystemExit",
        unkept.id: "taskcenter.exceptions.NotJSON",
        ran_out.id: "taskcenter.exceptions.SoftTimeout",
    }
    assert row(raised.id).error_message == "no\x07pe"
    assert "raise ValueError(message)" in row(raised.id).events.get().data["traceback"]
    assert kinds(ran_out.id) == ["timed_out"]

    waiting = {str(task.id): task.shown() for task in Task.objects.filter(state="scheduled")}
    assert waiting == {again.id: "retrying", rests.id: "scheduled"}
    assert timedelta(seconds=5) < row(again.id).run_after - row(again.id).attempted_at < timedelta(seconds=9)
    assert not Task.objects.exclude(state__in=["completed", "failed", "scheduled"]).exists()

    # Nothing is left lying about.
    assert not list(redis_client.scan_iter("rq:job:*"))
    assert redis_client.llen("rq:queue:default") == 0
    assert Worker.objects.alive().count() == 0


def test_a_task_that_keeps_failing_is_tried_as_often_as_allowed(house: House) -> None:
    task_id = tasks.flaky.enqueue().id
    for _ in range(2):
        house.work_off()
        assert row(task_id).state == "scheduled"
        Task.objects.filter(id=task_id).update(run_after=timezone.now())
    house.work_off()
    task = row(task_id)
    assert (task.state, task.attempt, task.failures) == ("failed", 3, 3)
    assert kinds(task_id) == ["failed", "retry_planned", "failed", "retry_planned", "failed"]


def test_a_snoozed_task_is_finished_by_its_second_attempt(house: House) -> None:
    task_id = tasks.naps.enqueue().id
    house.work_off()
    assert row(task_id).state == "scheduled"
    Task.objects.filter(id=task_id).update(run_after=timezone.now())
    house.work_off()
    task = row(task_id)
    assert (task.state, task.result, task.attempt, task.failures) == ("completed", "rested", 2, 0)


def test_a_retry_by_hand_runs_the_task_again(house: House) -> None:
    task_id = tasks.boom.enqueue().id
    house.work_off()
    assert lifecycle.retry(row(task_id).id, actor=make_user(), reason="fixed the file")
    house.work_off()
    assert (row(task_id).state, row(task_id).attempt, row(task_id).failures) == ("failed", 2, 1)


def test_a_worker_takes_only_from_the_queues_it_was_given(house: House) -> None:
    mine, other = tasks.add.using(queue_name="analysis").enqueue(1, 2).id, tasks.add.enqueue(1, 2).id
    house.work_off("analysis")
    assert (row(mine).state, row(other).state) == ("completed", "pending")


def test_a_running_task_ends_at_its_next_checkpoint_when_cancelled(house: House) -> None:
    task_id = tasks.listen.enqueue().id
    house.worker()
    wait_for(lambda: house.book.begun(task_id), PATIENCE, "the task has begun")
    assert lifecycle.request_cancel(row(task_id).id).state == "processing"
    task = wait_state(task_id, "cancelled")
    assert (task.interrupted, task.crashes, task.failures) == (1, 0, 0)
    assert kinds(task_id) == ["cancel_asked", "cancelled"]


def test_a_task_deaf_to_cancel_is_stopped_after_the_grace(house: House) -> None:
    task_id, after = tasks.hold.enqueue().id, tasks.add.enqueue(1, 2).id
    worker = house.worker("--grace", "0.5")
    wait_for(lambda: house.book.begun(task_id), PATIENCE, "the task has begun")
    assert lifecycle.request_cancel(row(task_id).id)
    assert wait_state(task_id, "cancelled").crashes == 0
    wait_state(after, "completed")
    assert worker.popen.poll() is None


def test_a_task_deaf_to_its_time_limit_is_killed(house: House) -> None:
    task_id, after = tasks.deaf.enqueue().id, tasks.add.enqueue(1, 2).id
    house.worker("--grace", "0.5")
    task = wait_state(task_id, "failed")
    assert (task.failures, task.crashes) == (1, 0)
    assert kinds(task_id) == ["timed_out"]
    assert "0.2 seconds" in task.error_message
    wait_state(after, "completed")


def test_rq_s_shutdown_command_ends_a_worker_in_order(house: House, redis_client: redis.Redis) -> None:
    worker = house.worker("--name", "the-one")
    wait_for(lambda: redis_client.exists("rq:worker:the-one") and Worker.objects.alive().exists(), PATIENCE, "it is up")
    send_shutdown_command(redis_client, "the-one")
    assert worker.wait(PATIENCE) == 0
    assert Worker.objects.get().stopped_at is not None
    assert not redis_client.sismember("rq:workers", "rq:worker:the-one")
