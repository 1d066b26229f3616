"""RQ's own workers, as real processes, run our pointers: the same claim, the same ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
import redis
from django.utils import timezone
from rq.job import Job
from rq.registry import FinishedJobRegistry
from rq.serializers import JSONSerializer

from taskcenter import lifecycle
from taskcenter.models import Task, TaskEvent, Worker
from taskcenter.pointers import pointer_id, push, queue_key
from taskcenter.recovery import TaskRecovery
from taskcenter.worker import run_pointer
from tests.ledger.book import Book
from tests.ledger.tasks import add, boom, deaf, endless, flaky, hold, listen, mark, plain
from tests.processes import Process, wait_for

pytestmark = pytest.mark.django_db(transaction=True)

Start = Callable[..., Process]


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path / "ledger.sqlite3")


@pytest.fixture(params=["rq.Worker", "rq.SimpleWorker"])
def stock(request: pytest.FixtureRequest, database_url: str, tmp_path: Path, book: Book) -> Iterator[Start]:
    """Starts a stock worker of that class."""
    started: list[Process] = []

    def start(*arguments: str) -> Process:
        command = [sys.executable, "-m", "tests.stock_worker", request.param, "default", *arguments]
        log = tmp_path / f"stock-{len(started)}.log"
        started.append(Process(command, log=log, LEDGER_PATH=str(book.path)))
        return started[-1]

    yield start
    for one in started:
        one.kill9()


def fresh(result: object) -> Task:
    return Task.objects.get(id=result.id)  # type: ignore[attr-defined]


def said_by(client: redis.Redis, task_id: object) -> object:
    """What RQ keeps as the pointer's result."""
    job = Job.fetch(pointer_id(Task(id=task_id).id), connection=client, serializer=JSONSerializer)
    return job.return_value()


def test_tasks_complete_and_fail_as_under_our_own_worker(stock: Start) -> None:
    good, bad, slow = add.enqueue(1, 2), boom.enqueue("why"), endless.enqueue()
    assert stock("--burst").wait(60) == 0

    assert (fresh(good).state, fresh(good).result) == ("completed", 3)
    assert (fresh(bad).state, fresh(bad).error_message, fresh(bad).failures) == ("failed", "why", 1)
    assert fresh(slow).state == "failed"
    assert "limit" in fresh(slow).error_message
    assert not Worker.objects.filter(stopped_at=None).exists(), "it stands in only while it runs"


def test_a_retry_is_planned_and_made_by_the_next_pointer(stock: Start) -> None:
    task = flaky.enqueue()
    assert stock("--burst").wait(60) == 0
    assert (fresh(task).state, fresh(task).failures, fresh(task).attempt) == ("scheduled", 1, 1)

    Task.objects.update(run_after=timezone.now() - timedelta(seconds=1))
    lifecycle.promote()
    assert stock("--burst").wait(60) == 0
    assert (fresh(task).state, fresh(task).failures, fresh(task).attempt) == ("scheduled", 2, 2)


def test_a_running_task_stops_when_it_is_cancelled(stock: Start, book: Book) -> None:
    task = listen.enqueue()
    worker = stock()
    worker.wait_until(lambda: book.begun(task.id), "the task has begun", 60)
    assert lifecycle.request_cancel(fresh(task).id).moved
    worker.wait_until(lambda: fresh(task).state == "cancelled", "it stopped", 60)
    assert worker.popen.poll() is None, "the worker died of a cancel"


def test_a_task_cancelled_before_it_ran_leaves_an_idle_pointer(stock: Start, redis_client: redis.Redis) -> None:
    task = add.enqueue(1, 2)
    lifecycle.request_cancel(fresh(task).id)
    assert stock("--burst").wait(60) == 0
    assert (fresh(task).state, fresh(task).attempt) == ("cancelled", 0)
    assert said_by(redis_client, fresh(task).id) == "Nothing was waiting."


def test_duplicates_of_a_pointer_run_its_task_once(stock: Start, book: Book) -> None:
    task = mark.enqueue()
    push([(fresh(task).id, "default")] * 3)
    assert stock("--burst").wait(60) == 0
    assert book.begun(task.id) == [1]
    assert (fresh(task).state, fresh(task).attempt) == ("completed", 1)


def test_a_pointer_whose_task_is_gone_is_finished_and_harmless(stock: Start, redis_client: redis.Redis) -> None:
    gone = fresh(add.enqueue(1, 2)).id
    Task.objects.all().delete()
    good = add.enqueue(3, 4)
    assert stock("--burst").wait(60) == 0
    assert pointer_id(gone) in FinishedJobRegistry("default", connection=redis_client)
    assert said_by(redis_client, gone) == "The task is gone."
    assert fresh(good).result == 7
    assert redis_client.llen(queue_key("default")) == 0


def test_a_stock_worker_that_is_killed_leaves_a_lost_task(stock: Start, book: Book) -> None:
    """Its heartbeat comes from the process that runs the task, and ends with it."""
    task = hold.enqueue()
    worker = stock()
    worker.wait_until(lambda: book.begun(task.id), "the task has begun", 60)
    row = Worker.objects.get(stopped_at=None)
    beaten = row.heartbeat_at
    worker.wait_until(lambda: Worker.objects.get(id=row.id).heartbeat_at > beaten, "it beats", 60)
    assert not TaskRecovery().recover_stuck_tasks().recovered, "a living one is left alone"

    runner = psutil.Process(row.pid)
    worker.kill9()
    wait_for(lambda: not runner.is_running(), 20, "the process that ran it is gone")
    wait_for(lambda: TaskRecovery().recover_stuck_tasks().recovered, 20, "its task was found")
    assert (fresh(task).state, fresh(task).crashes) == ("pending", 1)
    assert Worker.objects.get(id=row.id).stopped_at is not None


def test_rqs_hard_kill_of_a_deaf_task_is_recovered_too(stock: Start, book: Book) -> None:
    """RQ knows no limit for a pointer; our own limit is soft there, and nobody else watches."""
    task = deaf.enqueue()
    worker = stock()
    worker.wait_until(lambda: book.begun(task.id), "the task has begun", 60)
    runner = psutil.Process(Worker.objects.get(stopped_at=None).pid)
    assert runner.pid in {worker.pid, *[child.pid for child in psutil.Process(worker.pid).children()]}
    os.kill(runner.pid, 9)
    wait_for(lambda: TaskRecovery().recover_stuck_tasks().recovered, 20, "its task was found")
    kinds = set(TaskEvent.objects.filter(task_id=task.id).values_list("kind", flat=True))
    assert {"crashed", "recovered"} <= kinds


def test_the_last_pointer_taken_brings_the_next_ones(redis_client: redis.Redis) -> None:
    """Each wakes a stock worker once, and a queue is given a thousand at most."""
    ids = [plain.enqueue(1).id for _ in range(3)]
    redis_client.flushall()
    run_pointer(ids[0])
    assert redis_client.llen(queue_key("default")) == 2
    run_pointer(ids[1])
    assert redis_client.llen(queue_key("default")) == 2, "while there are some none is brought"
