"""Recovery: what it takes for lost, what it leaves alone, what it does and says."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
import redis
from asgiref.sync import async_to_sync
from django.utils import timezone

from taskcenter import pointers
from taskcenter.models import Notification, Queue, Task, Worker
from taskcenter.recovery import TaskRecovery
from taskcenter.states import State
from tests.factories import make_task, make_user, make_worker
from tests.servers import free_port

pytestmark = pytest.mark.django_db(transaction=True)

HOUR = timedelta(hours=1)


def begun(worker_id: uuid.UUID | None, *, ago: timedelta = HOUR, **fields: Any) -> Task:
    return make_task(State.PROCESSING, worker_id=worker_id, attempted_at=timezone.now() - ago, **fields)


def sweep() -> list[uuid.UUID]:
    return [task_id for task_id, _ in TaskRecovery().recover_stuck_tasks().recovered]


def fresh(task: Task) -> Task:
    return Task.objects.get(id=task.id)


def test_a_long_task_on_a_living_worker_is_left_alone() -> None:
    task = begun(make_worker().id, ago=timedelta(days=3))
    assert sweep() == []
    assert fresh(task).state == "processing"


def test_a_task_of_a_silent_worker_runs_again_and_the_worker_is_retired() -> None:
    worker = make_worker(silent=60)
    task = begun(worker.id)
    assert sweep() == [task.id]
    row = fresh(task)
    assert (row.state, row.crashes, row.failures, row.worker_id) == ("pending", 1, 0, None)
    assert Worker.objects.get(id=worker.id).stopped_at is not None
    assert [event.kind for event in row.events.told()] == ["crashed", "recovered"]


def test_a_task_of_a_stopped_worker_is_lost_at_once() -> None:
    worker = make_worker(stopped_at=timezone.now())
    task = begun(worker.id, ago=timedelta(0))
    assert sweep() == [task.id]


def test_a_task_whose_worker_has_no_row_is_lost_when_it_is_old_enough() -> None:
    old, young = begun(uuid.uuid4()), begun(uuid.uuid4(), ago=timedelta(0))
    nobody = begun(None, ago=timedelta(0))
    assert set(sweep()) == {old.id, nobody.id}
    assert fresh(young).state == "processing"


def test_an_attempt_younger_than_its_worker_s_silence_is_left_alone() -> None:
    """A worker that wakes from a long stop may claim before it touches its row."""
    task = begun(make_worker(silent=60).id, ago=timedelta(0))
    assert sweep() == []
    assert fresh(task).state == "processing"


def test_a_silent_worker_is_not_retired_while_it_holds_a_task() -> None:
    worker = make_worker(silent=60)
    begun(worker.id, ago=timedelta(0))
    sweep()
    assert Worker.objects.get(id=worker.id).stopped_at is None


def test_a_task_with_no_crashes_left_is_failed_and_its_owner_told() -> None:
    task = begun(None, attempt=3, crashes=2, max_crashes=3, owner=make_user())
    sweep()
    assert fresh(task).state == "failed"
    assert Notification.objects.get(task=task).kind == "failed"


def test_a_lost_task_that_was_asked_to_stop_is_cancelled() -> None:
    task = begun(None, cancel_requested_at=timezone.now())
    sweep()
    assert fresh(task).state == "cancelled"


def test_one_bad_task_never_stops_a_sweep(caplog: pytest.LogCaptureFixture) -> None:
    """A row that has crashed as often as it was begun cannot be given one crash more: the database refuses."""
    bad, good = begun(None, ago=2 * HOUR, attempt=1, crashes=1), begun(None)
    swept = TaskRecovery().recover_stuck_tasks()
    assert [task_id for task_id, _ in swept.recovered] == [good.id]
    assert swept.errors == 1
    assert f"Task {bad.id} could not be recovered" in caplog.text
    assert fresh(bad).state == "processing"


def test_a_second_sweep_finds_nothing() -> None:
    begun(None)
    assert TaskRecovery().recover_stuck_tasks().did_anything
    again = TaskRecovery().recover_stuck_tasks()
    assert not again.did_anything


def test_a_sweep_promotes_what_is_due() -> None:
    task = make_task(State.SCHEDULED, run_after=timezone.now() - HOUR)
    assert TaskRecovery().recover_stuck_tasks().promoted == 1
    assert fresh(task).state == "pending"


def test_missing_pointers_are_put_back_and_others_not_doubled(redis_client: redis.Redis) -> None:
    tasks = [make_task() for _ in range(3)]
    pointers.push([(tasks[1].id, "default")])
    assert TaskRecovery().push_missing_pointers() == 2
    listed = pointers.listed("default")
    assert listed is not None
    assert sorted(listed) == sorted(task.id for task in tasks)
    assert TaskRecovery().push_missing_pointers() == 0


def test_pointers_of_tasks_that_are_over_or_gone_are_deleted(redis_client: redis.Redis) -> None:
    waiting, over = make_task(), make_task(State.COMPLETED)
    gone = uuid.uuid4()
    pointers.push([(task_id, "default") for task_id in (waiting.id, over.id, gone)])
    redis_client.set("rq:job:somebody-else", 1)
    assert TaskRecovery().delete_orphans() == 2
    assert pointers.listed("default") == [waiting.id]
    assert redis_client.exists("rq:job:somebody-else")


def test_recovery_needs_no_redis(settings: Any) -> None:
    settings.RQ_QUEUES = {"default": {"URL": f"redis://127.0.0.1:{free_port()}/0"}}
    task, waiting = begun(None), make_task()
    swept = TaskRecovery().recover_stuck_tasks()
    assert [task_id for task_id, _ in swept.recovered] == [task.id]
    assert swept.pointers_pushed == 0
    assert TaskRecovery().delete_orphans() == 0
    assert "Redis does not answer" in TaskRecovery().recover_task(waiting.id).text


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        (State.COMPLETED, "the task is completed"),
        (State.FAILED, "the task is failed"),
        (State.CANCELLED, "the task is cancelled"),
        (State.SCHEDULED, "waits for its time"),
        (State.PENDING, "waits for a free worker"),
    ],
)
def test_recovering_what_is_not_lost_says_why_nothing_was_done(state: State, sentence: str) -> None:
    task = make_task(state)
    outcome = TaskRecovery().recover_task(task.id)
    assert not outcome.moved
    assert sentence in outcome.text
    assert fresh(task).rev == 1


def test_recovering_a_task_of_a_living_worker_names_the_worker() -> None:
    worker = make_worker()
    outcome = TaskRecovery().recover_task(begun(worker.id).id)
    assert not outcome.moved
    assert str(worker) in outcome.text


def test_recovering_a_waiting_task_of_a_paused_queue_says_that_it_is_paused() -> None:
    Queue.objects.create(name="default", paused_at=timezone.now())
    assert "paused" in TaskRecovery().recover_task(make_task().id).text


def test_an_operator_s_recovery_is_signed() -> None:
    user, task = make_user(), begun(None)
    assert TaskRecovery().recover_task(task.id, actor=user, reason="power cut").moved
    event = task.events.get(kind="recovered")
    assert (event.actor, event.text) == (user, "power cut")


def test_a_task_that_is_gone_is_an_answer() -> None:
    assert not TaskRecovery().recover_task(uuid.uuid4()).moved


def test_the_async_twin_does_the_same() -> None:
    assert not async_to_sync(TaskRecovery().arecover_stuck_tasks)().did_anything
