"""Where we touch RQ: what we override is as we know it, and RQ's own workers understand us."""

from __future__ import annotations

import inspect
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from rq import Queue, SimpleWorker
from rq import Worker as RQWorker
from rq.job import Job
from rq.registry import FailedJobRegistry
from rq.serializers import JSONSerializer

from taskcenter.models import Task, Worker
from taskcenter.pointers import pointer_id, push
from taskcenter.worker import foreign
from taskcenter.worker.horse import Rider
from taskcenter.worker.parent import TaskCenterWorker
from tests.ledger.tasks import add, boom
from tests.processes import Process

pytestmark = pytest.mark.django_db(transaction=True)

OVERRIDDEN: dict[type, dict[str, list[str]]] = {
    TaskCenterWorker: {
        "work": ["self", "burst", "logging_level"],
        "subscribe": ["self"],
        "request_stop": ["self", "signum", "frame"],
        "_install_signal_handlers": ["self"],
        "handle_payload": ["self", "message"],
    },
    Rider: {
        "wait_for_horse": ["self"],
        "main_work_horse": ["self", "job", "queue"],
        "prepare_execution": ["self", "job"],
    },
}
"""Methods of ours that RQ, or somebody who only knows RQ, calls; and the arguments they call them with."""

CALLED = {
    "register_death": ["self"],
    "set_state": ["self", "state"],
    "heartbeat": ["self", "timeout", "pipeline"],
    "serialize": ["self"],
    "queue_names": ["self"],
    "execute_job": ["self", "job", "queue"],
    "run_maintenance_tasks": ["self"],
    "handle_payload": ["self", "message"],
}
"""Methods of RQ that we call, and with what."""

CASES = [(ours, method) for ours, methods in OVERRIDDEN.items() for method in methods]


def parameters(method: str, of: type = RQWorker) -> list[str]:
    return list(inspect.signature(getattr(of, method)).parameters)


@pytest.mark.parametrize(("ours", "method"), CASES)
def test_what_we_override_takes_what_rq_gives(ours: type, method: str) -> None:
    known = OVERRIDDEN[ours][method]
    assert parameters(method)[: len(known)] == known
    assert parameters(method, ours)[: len(known)] == known


@pytest.mark.parametrize("ours", OVERRIDDEN)
def test_we_override_no_other_method_of_rq(ours: type) -> None:
    inherited = {name for base in ours.__mro__[1:] for name in vars(base)}
    own = {name for name, value in vars(ours).items() if inspect.isfunction(value)}
    assert own & inherited - {"__init__"} == set(OVERRIDDEN[ours])


@pytest.mark.parametrize("method", CALLED)
def test_what_we_call_takes_what_we_give(method: str) -> None:
    known = CALLED[method]
    assert parameters(method)[: len(known)] == known


def test_the_attributes_we_lean_on_are_there(redis_client: redis.Redis) -> None:
    worker = RQWorker(["default"], connection=redis_client, serializer=JSONSerializer)
    for name in ("key", "name", "connection", "pubsub", "pubsub_channel_name", "_stop_requested", "birth_date"):
        assert hasattr(worker, name)
    for name in ("last_heartbeat", "executions_key", "horse_pid", "maintenance_interval", "pid"):
        assert hasattr(worker, name)


@pytest.fixture
def stock_worker(redis_client: redis.Redis) -> Iterator[SimpleWorker]:
    """RQ's own worker, which knows nothing of us; its signal handlers go when the test does."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)}
    queue = Queue("default", connection=redis_client, serializer=JSONSerializer)
    yield SimpleWorker([queue], connection=redis_client, serializer=JSONSerializer)
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_stock_rq_worker_runs_our_pointers(stock_worker: SimpleWorker) -> None:
    good, bad = add.enqueue(1, 2), boom.enqueue()
    assert stock_worker.work(burst=True, logging_level="WARNING")
    assert Task.objects.get(id=good.id).result == 3
    assert Task.objects.get(id=bad.id).state == "failed"
    assert Worker.objects.filter(stopped_at=None).count() == 0, "it stands in only while it runs"


def test_a_pointer_that_finds_its_task_taken_runs_the_best_of_its_queue(stock_worker: SimpleWorker) -> None:
    first = add.enqueue(1, 2)
    urgent = add.using(priority=9).enqueue(3, 4)
    Task.objects.filter(id=first.id).update(priority=-1)
    stock_worker.work(burst=True, logging_level="WARNING", max_jobs=1)
    states = {str(task.id): task.state for task in Task.objects.all()}
    assert states == {first.id: "pending", urgent.id: "completed"}


def test_a_pointer_pushed_twice_runs_its_task_once(stock_worker: SimpleWorker) -> None:
    result = add.enqueue(1, 2)
    push([(Task.objects.get(id=result.id).id, "default")])
    stock_worker.work(burst=True, logging_level="WARNING")
    assert Task.objects.get(id=result.id).attempt == 1


def test_rq_can_read_a_pointer(redis_client: redis.Redis) -> None:
    result = add.enqueue(1, 2)
    task = Task.objects.get(id=result.id)
    job = Job.fetch(pointer_id(task.id), connection=redis_client, serializer=JSONSerializer)
    assert (job.func_name, list(job.args), job.origin) == ("taskcenter.worker.run_pointer", [result.id], "default")
    assert job.timeout == -1


def test_a_job_that_is_not_ours_is_refused_with_a_reason_and_kept(
    process: Callable[..., Process], redis_client: redis.Redis, tmp_path: Any
) -> None:
    queue = Queue("default", connection=redis_client, serializer=JSONSerializer)
    harm = tmp_path / "made-by-a-foreign-job"
    job = queue.enqueue("os.mkdir", str(harm))
    ours = add.enqueue(1, 2)
    assert process("rqworker", "--burst").wait(60) == 0

    assert not harm.exists()
    assert Task.objects.get(id=ours.id).state == "completed"
    assert job.id in FailedJobRegistry("default", connection=redis_client)
    kept = Job.fetch(job.id, connection=redis_client, serializer=JSONSerializer)
    assert kept.func_name == "os.mkdir"
    assert kept.get_status().value == "failed"
    # What django-rq's page of a job shows; RQ's public property is deprecated.
    assert foreign.REASON in str(kept._exc_info)
