"""Ordinary RQ jobs on our queues: refused with a reason by default, run as RQ runs them when that is asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis
from django.test import Client
from django.urls import reverse
from rq import Queue
from rq.command import send_stop_job_command
from rq.job import Job, Retry
from rq.registry import FailedJobRegistry, FinishedJobRegistry, StartedJobRegistry
from rq.serializers import DefaultSerializer, JSONSerializer

from taskcenter.models import Task
from taskcenter.pointers import queue_key
from taskcenter.worker import foreign
from tests.factories import make_user
from tests.ledger import strangers
from tests.ledger.tasks import add
from tests.processes import Process, wait_for

pytestmark = pytest.mark.django_db(transaction=True)

SERIALIZERS: dict[str, Any] = {"default": DefaultSerializer, "analysis": JSONSerializer}
"""How `tests.worker_settings` has the jobs of each queue written."""
MALFORMED = {
    "created_at": b"yesterday, \xff",
    "timeout": b"soon",
    "result_ttl": b"\x00",
    "status": b"unheard of",
    "dependency_ids": b"[",
    "data": b"\x80\x05 neither pickle nor JSON",
}


@pytest.fixture
def note(tmp_path: Path) -> Path:
    """Where foreign jobs leave a line each time they run."""
    return tmp_path / "note"


@pytest.fixture
def worker(process: Callable[..., Process]) -> Callable[..., Process]:
    """Starts a worker that does so with foreign jobs; in burst mode unless a name is given."""

    def start(foreign_jobs: str, name: str = "") -> Process:
        mode = ["--name", name, "--grace", "2"] if name else ["--burst"]
        return process("rqworker", *mode, DJANGO_SETTINGS_MODULE="tests.worker_settings", FOREIGN_JOBS=foreign_jobs)

    return start


def enqueue(client: redis.Redis, function: Any, *args: Any, queue: str = "default", **options: Any) -> Job:
    line = Queue(queue, connection=client, serializer=SERIALIZERS[queue])
    return line.enqueue(function, *map(str, args), **options)


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def kept(client: redis.Redis, job: Job, queue: str = "default") -> Job:
    return Job.fetch(job.id, connection=client, serializer=SERIALIZERS[queue])


def assert_pages_show(job: Job, queue: str = "default") -> None:
    """django-rq's list of failed jobs and the job's own page, as an operator opens them."""
    browser = Client()
    browser.force_login(make_user(is_staff=True, is_superuser=True))
    index = ["analysis", "default"].index(queue)
    page = browser.get(reverse("admin:django_rq_failed_jobs", args=[index]))
    assert job.id in page.content.decode()
    page = browser.get(reverse("admin:django_rq_job_detail", args=[index, job.id]))
    assert page.status_code == 200


@pytest.mark.parametrize("queue", SERIALIZERS)
def test_a_job_is_refused_with_a_reason_and_kept(
    worker: Callable[..., Process], redis_client: redis.Redis, note: Path, queue: str
) -> None:
    job = enqueue(redis_client, strangers.note, note, queue=queue)
    ours = add.enqueue(1, 2)
    assert worker("refuse").wait(60) == 0

    assert lines(note) == []
    assert Task.objects.get(id=ours.id).state == "completed"
    assert job.id in FailedJobRegistry(queue, connection=redis_client)
    found = kept(redis_client, job, queue)
    assert (found.get_status().value, list(found.args)) == ("failed", [str(note)])
    assert foreign.REASON in str(found._exc_info)
    assert_pages_show(job, queue)


@pytest.mark.parametrize("setting", ["refuse", "run"])
def test_malformed_jobs_are_put_where_an_operator_sees_them(
    worker: Callable[..., Process], redis_client: redis.Redis, note: Path, setting: str
) -> None:
    jobs = {field: enqueue(redis_client, strangers.note, note) for field in MALFORMED}
    for field, job in jobs.items():
        redis_client.hset(job.key, field, MALFORMED[field])
    ours = add.enqueue(1, 2)
    started = worker(setting)
    assert started.wait(60) == 0

    assert Task.objects.get(id=ours.id).state == "completed", "they cost a task of ours"
    assert "A slot" not in started.output()
    failed = FailedJobRegistry("default", connection=redis_client)
    assert set(failed.get_job_ids()) == {job.id for job in jobs.values()}
    for field, job in jobs.items():
        assert_pages_show(job)
        found = kept(redis_client, job)
        assert found.get_status().value == "failed"
        what_was_there = {*redis_client.hgetall(job.key).values(), found.data}
        assert MALFORMED[field] in what_was_there, f"the {field} has been thrown away"
    assert lines(note) == []


def test_a_job_without_a_payload_or_without_a_hash_harms_nobody(
    worker: Callable[..., Process], redis_client: redis.Redis
) -> None:
    redis_client.hset(Job.key_for("hollow"), "description", "no data")
    redis_client.set(Job.key_for("no-hash"), "a string")
    redis_client.rpush(queue_key("default"), "hollow", "no-hash", "never-was", "", b"\xf0\x9f\x92\xa9")
    ours = add.enqueue(1, 2)
    assert worker("refuse").wait(60) == 0

    assert Task.objects.get(id=ours.id).state == "completed"
    failed = FailedJobRegistry("default", connection=redis_client)
    assert {"hollow", "no-hash"} <= set(failed.get_job_ids())
    assert "never-was" not in failed


@pytest.mark.parametrize("queue", SERIALIZERS)
def test_a_job_is_run_once_when_that_is_asked_for(
    worker: Callable[..., Process], redis_client: redis.Redis, note: Path, queue: str
) -> None:
    make_user()
    job = enqueue(redis_client, strangers.note, note, queue=queue)
    ours = [add.enqueue(n, 2) for n in range(3)]
    assert worker("run").wait(60) == 0

    assert lines(note) == ["here"]
    assert kept(redis_client, job, queue).return_value() == 1, "it counted the one user"
    assert job.id in FinishedJobRegistry(queue, connection=redis_client)
    assert [Task.objects.get(id=task.id).state for task in ours] == ["completed"] * 3


def test_a_job_that_raises_fails_where_rq_puts_it(
    worker: Callable[..., Process], redis_client: redis.Redis, note: Path
) -> None:
    job = enqueue(redis_client, strangers.boom, note)
    again = enqueue(redis_client, strangers.boom, note, retry=Retry(max=1))
    after = enqueue(redis_client, strangers.note, note)
    assert worker("run").wait(60) == 0

    assert len(lines(note)) == 4, "once, once and again, once"
    result = kept(redis_client, job).latest_result()
    assert "a stranger's error" in str(result.exc_string if result else "")
    assert set(FailedJobRegistry("default", connection=redis_client).get_job_ids()) == {job.id, again.id}
    assert kept(redis_client, after).get_status().value == "finished"


def test_a_job_that_kills_its_process_costs_no_slot(
    worker: Callable[..., Process], redis_client: redis.Redis, note: Path
) -> None:
    job = enqueue(redis_client, strangers.die, note)
    ours = add.enqueue(1, 2)
    started = worker("run")
    assert started.wait(60) == 0

    assert lines(note) == ["here"]
    assert job.id in FailedJobRegistry("default", connection=redis_client)
    assert Task.objects.get(id=ours.id).state == "completed"
    assert "A slot died" not in started.output()


def test_a_running_job_is_seen_and_stopped_by_rqs_command(
    worker: Callable[..., Process], redis_client: redis.Redis, note: Path
) -> None:
    job = enqueue(redis_client, strangers.linger, note)
    started = worker("run", "w1")
    started.wait_until(lambda: lines(note), "the job runs", 60)
    started.wait_until(lambda: redis_client.hget("rq:worker:w1", "state") == b"busy", "it shows as busy")
    assert job.id in StartedJobRegistry("default", connection=redis_client)
    send_stop_job_command(redis_client, job.id, serializer=DefaultSerializer)
    started.wait_until(lambda: kept(redis_client, job).get_status().value == "stopped", "it stopped")

    ours = add.enqueue(1, 2)
    started.wait_until(lambda: Task.objects.get(id=ours.id).state == "completed", "the slot works on", 60)
    assert started.stop() == 0


def test_a_running_job_dies_with_its_worker(
    worker: Callable[..., Process], redis_client: redis.Redis, note: Path
) -> None:
    job = enqueue(redis_client, strangers.linger, note)
    started = worker("run", "w1")
    [pid] = started.wait_until(lambda: lines(note), "the job runs", 60)
    horse = psutil.Process(int(pid))
    assert started.stop(60) == 0
    wait_for(lambda: not horse.is_running() or horse.status() == psutil.STATUS_ZOMBIE, 20, "the horse is gone")
    # RQ's own cleaning finds it there later, and fails it.
    assert job.id in StartedJobRegistry("default", connection=redis_client).get_job_ids(cleanup=False)


def test_the_errors_of_an_outage_leave_the_job_in_hand(redis_client: redis.Redis, redis_url: str, note: Path) -> None:
    job = enqueue(redis_client, strangers.note, note)
    redis_client.lpop(queue_key("default"))
    away = redis.Redis(unix_socket_path="/nowhere", retry=None)
    with pytest.raises(redis.exceptions.ConnectionError):
        foreign.handle(away, job.id, "default", "w1")
    assert job.id not in FailedJobRegistry("default", connection=redis_client)
    foreign.settle(redis_client, "w1")
    assert job.id in FailedJobRegistry("default", connection=redis_client)
    assert foreign._in_hand == {}
