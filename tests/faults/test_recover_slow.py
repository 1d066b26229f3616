"""Recovery beside a worker that lives but does not get on: it is left alone, however long that takes."""

from __future__ import annotations

import psutil
import pytest

from taskcenter.models import Task, TaskEvent
from taskcenter.recovery import TaskRecovery
from tests.faults.stack import PATIENCE, Stack, WorkerProcess, require_fired, wait_until
from tests.ledger.tasks import hold
from tests.processes import Process, manage

BEATS = 5
"""Of a heartbeat that may be silent for three."""


def stalled(stack: Stack) -> tuple[str, WorkerProcess, psutil.Process]:
    """A task whose slot is stopped in the middle: no progress, no answer; its parent beats on."""
    worker = stack.worker()
    task_id = stack.enqueue(hold)
    stack.wait_begun(task_id)
    [slot] = worker.slots()
    slot.suspend()
    wait_until(lambda: slot.status() == psutil.STATUS_STOPPED, "the slot is stopped")
    return task_id, worker, slot


def finish(stack: Stack, task_id: str, slot: psutil.Process) -> None:
    require_fired(slot.status() == psutil.STATUS_STOPPED, "it was not slow")
    slot.resume()
    stack.book.open_gate(1)
    stack.wait_final(task_id)
    stack.assert_completed([task_id])
    assert stack.book.begun(task_id) == [1]
    assert not TaskEvent.objects.filter(kind="recovered").exists()


def test_sweeps_and_other_workers_leave_it_alone(stack: Stack) -> None:
    task_id, worker, slot = stalled(stack)
    stack.worker()
    for _ in range(BEATS):
        stack.worker_beats(worker.rows()[0], 1)
        assert TaskRecovery().recover_stuck_tasks().recovered == []
    assert Task.objects.get(id=task_id).attempt == 1
    finish(stack, task_id, slot)


@pytest.mark.parametrize("alone", [True, False], ids=["that task", "all"])
def test_the_command_leaves_it_alone_and_says_why(stack: Stack, alone: bool) -> None:
    task_id, worker, slot = stalled(stack)
    stack.worker_beats(worker.rows()[0], BEATS)
    command = manage("recover_tasks", *(["--task", task_id] if alone else []))
    process = Process(command, log=stack.directory / "recover.log", REDIS_URL=stack.url)

    assert process.wait(PATIENCE) == 0
    assert "alive" in process.output() or "living worker" in process.output()
    assert Task.objects.get(id=task_id).attempt == 1
    finish(stack, task_id, slot)
