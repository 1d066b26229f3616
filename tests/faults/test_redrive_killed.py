"""kill -9 of the slot that is in the middle of a redrive: it goes on, and no task is retried twice."""

from __future__ import annotations

from taskcenter import redrive
from taskcenter.models import FailureGroup, Task, TaskEvent
from tests.faults.company import fresh
from tests.faults.stack import Stack, WorkerProcess, require_fired, wait_until
from tests.ledger.tasks import broken

TASKS = 80


def test_a_redrive_whose_slot_is_killed_goes_on_and_retries_none_twice(stack: Stack) -> None:
    worker = stack.worker()
    ids = [str(result.id) for result in broken.using(owner=stack.owner).enqueue_many([{"number": 1}] * TASKS)]
    stack.wait_final(*ids)
    stack.book.open_gate(0)
    group = FailureGroup.objects.get()
    started = redrive.start(group, reason="mended")
    redriven = str(started.task_id)

    kills = [kill_amid_a_wave(stack, worker, redriven, at_least) for at_least in (2, 15)]
    stack.wait_final(redriven, *ids)

    require_fired(any(kills), "no kill hit a redrive that was retrying")
    task = fresh(redriven)
    assert task.state == "completed", task.error_message
    require_fired(task.crashes, "no attempt of the redrive died")
    assert {key: task.result[key] for key in ("stopped", "tasks", "retried", "completed", "failed")} == {
        "stopped": False,
        "tasks": TASKS,
        "retried": TASKS,
        "completed": TASKS,
        "failed": 0,
    }
    retried = TaskEvent.objects.filter(kind=TaskEvent.Kind.RETRIED).values_list("task_id", flat=True)
    assert sorted(map(str, retried)) == sorted(ids), "a task was retried twice, or never"
    assert all(fresh(one).state == "completed" and len(stack.book.begun(one)) >= 2 for one in ids)
    group.refresh_from_db()
    assert group.count == TASKS


def kill_amid_a_wave(stack: Stack, worker: WorkerProcess, redriven: str, at_least: int) -> bool:
    """Kill the worker's slot as soon as so many have been retried; whether the redrive was at it."""
    told = TaskEvent.objects.filter(kind=TaskEvent.Kind.RETRIED)
    wait_until(lambda: told.count() >= at_least, lambda: f"{at_least} tasks have been retried; logs:\n" + stack.logs())
    for slot in worker.slots():
        slot.kill()
    return told.count() < TASKS and Task.objects.processing().filter(id=redriven).exists()
