"""A worker as RQ and django-rq's pages see it, and what it does on their commands."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from rq import Queue
from rq import Worker as RQWorker
from rq.command import send_command, send_kill_horse_command, send_shutdown_command, send_stop_job_command
from rq.job import Job
from rq.suspension import resume, suspend

from taskcenter.models import Task, TaskEvent, Worker
from taskcenter.pointers import pointer_id, push
from tests.factories import make_user
from tests.ledger.book import Book
from tests.ledger.tasks import add, hold, listen
from tests.processes import Process, wait_for

pytestmark = pytest.mark.django_db(transaction=True)

NAME = "ours"
KEY = f"rq:worker:{NAME}"


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path / "ledger.sqlite3")


@pytest.fixture
def worker(process: Callable[..., Process], book: Book, redis_client: redis.Redis) -> Process:
    """A worker that RQ knows by NAME."""
    started = process("rqworker", "--name", NAME, LEDGER_PATH=str(book.path))
    started.wait_until(lambda: seen(redis_client) and state(redis_client) == "idle", "RQ sees it idle", 60)
    return started


@pytest.fixture
def page() -> Iterator[Callable[..., str]]:
    """Fetches one of django-rq's pages as an operator."""
    browser = Client()
    browser.force_login(make_user(is_staff=True, is_superuser=True))

    def fetch(name: str, *args: Any) -> str:
        answer = browser.get(reverse(f"admin:django_rq_{name}", args=args))
        assert answer.status_code == 200
        return answer.content.decode()

    return fetch


def seen(client: redis.Redis) -> RQWorker | None:
    """Our worker as RQ reads it, from the list of all workers and from those of both its queues."""
    both = [RQWorker.all(queue=Queue(name, connection=client)) for name in ("default", "analysis")]
    lists = [RQWorker.all(connection=client), *both]
    return lists[0][0] if all([it.name for it in found] == [NAME] for found in lists) else None


def state(client: redis.Redis) -> str:
    return (client.hget(KEY, "state") or b"").decode()


def state_of(result: Any) -> str:
    return Task.objects.get(id=result.id).state


def test_rq_and_its_pages_list_the_worker_while_it_lives(
    worker: Process, redis_client: redis.Redis, page: Callable[..., str]
) -> None:
    found = seen(redis_client)
    assert found is not None
    assert (found.pid, set(found.queue_names())) == (worker.pid, {"default", "analysis"})
    assert 30 < redis_client.ttl(KEY) <= 90
    assert NAME in page("workers", 1)
    assert str(worker.pid) in page("worker_details", 1, KEY)
    assert Worker.objects.get(stopped_at=None).name == NAME

    beaten = found.last_heartbeat
    worker.wait_until(lambda: seen(redis_client).last_heartbeat > beaten, "its heartbeat moves on")  # type: ignore[union-attr,operator]  # rq's attributes begin as None

    assert worker.stop() == 0
    assert RQWorker.all(connection=redis_client) == []
    assert NAME not in page("workers", 1)


def test_it_shows_whether_it_is_busy(worker: Process, redis_client: redis.Redis, book: Book) -> None:
    task = hold.enqueue()
    worker.wait_until(lambda: state(redis_client) == "busy", "it is busy")
    book.open_gate(1)
    worker.wait_until(lambda: state(redis_client) == "idle", "it is idle again")
    assert state_of(task) == "completed"


def test_after_flushall_it_is_seen_again(worker: Process, redis_client: redis.Redis) -> None:
    redis_client.flushall()
    assert RQWorker.all(connection=redis_client) == []
    found = worker.wait_until(lambda: seen(redis_client), "it is seen again")
    assert found.birth_date is not None
    worker.wait_until(lambda: state(redis_client) == "idle", "with its state")
    assert redis_client.ttl(KEY) > 0


@pytest.mark.parametrize("by", ["rq", "django-rq"])
def test_suspended_it_claims_nothing_and_resumed_it_goes_on(
    worker: Process, redis_client: redis.Redis, book: Book, by: str
) -> None:
    running = hold.enqueue()
    worker.wait_until(lambda: book.begun(running.id), "a task runs")
    suspend(redis_client) if by == "rq" else call_command("rqsuspend")
    worker.wait_for_line("Suspended")
    assert state(redis_client) == "busy", "what runs runs on"
    book.open_gate(1)
    worker.wait_until(lambda: state(redis_client) == "suspended", "it shows that it is suspended")
    waiting = add.enqueue(1, 2)
    row = Worker.objects.get(name=NAME)
    worker.wait_until(lambda: Worker.objects.get(id=row.id).heartbeat_at > row.heartbeat_at, "it beats on")
    assert (state_of(running), state_of(waiting)) == ("completed", "pending")

    resume(redis_client) if by == "rq" else call_command("rqresume")
    worker.wait_until(lambda: state_of(waiting) == "completed", "it goes on")
    worker.wait_until(lambda: state(redis_client) == "idle", "it shows that it goes on")


def test_a_worker_that_starts_suspended_claims_nothing(
    process: Callable[..., Process], redis_client: redis.Redis
) -> None:
    suspend(redis_client)
    task = add.enqueue(1, 2)
    assert process("rqworker", "--burst").wait(60) == 0
    assert state_of(task) == "pending"


def test_the_shutdown_command_ends_it_in_order(worker: Process, redis_client: redis.Redis) -> None:
    send_shutdown_command(redis_client, NAME)
    assert worker.wait() == 0
    assert RQWorker.all(connection=redis_client) == []
    assert not Worker.objects.filter(stopped_at=None).exists()


def test_the_stop_command_cancels_the_task_behind_a_pointer(
    worker: Process, redis_client: redis.Redis, book: Book
) -> None:
    task = listen.enqueue()
    worker.wait_until(lambda: book.begun(task.id), "the task runs")
    # RQ asks the job's hash which worker runs it; a pointer's names one only under a stock worker.
    task_id = Task.objects.get(id=task.id).id
    push([(task_id, "default")])
    redis_client.hset(Job.key_for(pointer_id(task_id)), mapping={"worker_name": NAME, "data": b""})
    send_stop_job_command(redis_client, pointer_id(task_id))

    worker.wait_until(lambda: state_of(task) == "cancelled", "it is cancelled")
    asked = TaskEvent.objects.get(task_id=task_id, kind=TaskEvent.Kind.CANCEL_ASKED)
    assert asked.text == "Stopped by a command from RQ."


def test_commands_that_make_no_sense_here_harm_nobody(worker: Process, redis_client: redis.Redis, book: Book) -> None:
    task = hold.enqueue()
    worker.wait_until(lambda: book.begun(task.id), "the task runs")
    for rubbish in (b"\xff", b"[]", b"null", b'"stop-job"', b"{}", b'{"command": 7}'):
        redis_client.publish(f"rq:pubsub:{NAME}", rubbish)
    send_command(redis_client, NAME, "stop-job")
    send_command(redis_client, NAME, "stop-job", job_id=["task-"])
    send_command(redis_client, NAME, "stop-execution", job_id="task-7", execution_id="7")
    send_kill_horse_command(redis_client, NAME)
    worker.wait_for_line("kill-horse is refused")
    book.open_gate(1)
    worker.wait_until(lambda: state_of(task) == "completed", "its task ends well")
    assert Task.objects.get(id=task.id).attempt == 1


def test_commands_are_heard_again_after_redis_was_restarted(
    process: Callable[..., Process], valkey: Any, settings: Any
) -> None:
    started = process("rqworker", "--name", NAME, REDIS_URL=valkey.url)
    with redis.Redis.from_url(valkey.url) as client:
        started.wait_until(lambda: state(client) == "idle", "it is up", 60)
        valkey.kill9()
        started.wait_for_line("Redis does not answer the worker's parent")
        valkey.restart()
        started.wait_for_line("Redis answers the worker's parent again")
        started.wait_until(lambda: seen(client), "RQ sees it again")
        started.wait_until(lambda: client.pubsub_numsub(f"rq:pubsub:{NAME}")[0][1], "it listens again")
        send_shutdown_command(client, NAME)
    assert started.wait() == 0
    assert started.output().count("Redis does not answer the worker's parent") == 1, started.output()
    assert started.output().count("Redis answers the worker's parent again") == 1


def test_a_name_belongs_to_one_living_worker(
    worker: Process, process: Callable[..., Process], redis_client: redis.Redis
) -> None:
    second = process("rqworker", "--name", NAME, "--burst")
    assert second.wait(60) == 1
    assert second.output().strip().endswith(f"A worker named '{NAME}' is alive. Stop it, or choose another --name.")
    assert seen(redis_client) is not None, "the second took the first one's place"

    worker.kill9()
    assert redis_client.exists(KEY), "kill -9 leaves the key"
    third = start_until_it_works(process)
    third.wait_until(lambda: (it := seen(redis_client)) and it.pid == third.pid, "it took the name over", 60)


def start_until_it_works(process: Callable[..., Process]) -> Process:
    """As a supervisor does, until the dead one has been silent for long enough."""
    while True:
        started = process("rqworker", "--name", NAME)
        wait_for(lambda it=started: re.search("is alive|listening", it.output()), 60, "it has looked at the name")
        if "listening" in started.output():
            return started
