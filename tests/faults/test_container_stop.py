"""Ways in which whoever runs the worker ends it: Ctrl-C, a whole control group at once, too little time."""

from __future__ import annotations

import os
import signal

import psutil
import pytest

from taskcenter.models import Task, Worker
from tests.faults.stack import PATIENCE, Stack, WorkerProcess, is_gone, require_fired, wait_until
from tests.ledger.tasks import hold, last, mark


def in_the_middle(stack: Stack, *task_ids: str) -> WorkerProcess:
    worker = stack.worker(concurrency=len(task_ids))
    for task_id in task_ids:
        stack.wait_begun(task_id)
    require_fired(not any(map(stack.book.ended, task_ids)), "a task was over before the signal")
    return worker


def finish_elsewhere(stack: Stack, *task_ids: str) -> None:
    stack.book.open_gate(2)
    stack.worker()
    stack.wait_final(*task_ids)
    stack.assert_completed(task_ids)


def test_ctrl_c_gives_what_runs_its_grace(stack: Stack) -> None:
    """The terminal sends it to the whole group; slots are in groups of their own, and deaf to it."""
    task_id, waiting = stack.enqueue(last), stack.enqueue(mark)
    worker = in_the_middle(stack, task_id)
    os.killpg(worker.pid, signal.SIGINT)

    assert worker.popen.wait(PATIENCE) == 0
    assert Task.objects.get(id=task_id).state == "completed"
    finish_elsewhere(stack, waiting)


def test_a_signal_to_every_process_at_once_is_one_stop(stack: Stack) -> None:
    """systemd's KillMode=control-group."""
    polite, stubborn = stack.enqueue(last), stack.enqueue(hold)
    worker = in_the_middle(stack, polite, stubborn)
    family = [psutil.Process(worker.pid), *worker.slots()]
    for process in family:
        process.send_signal(signal.SIGTERM)

    assert worker.popen.wait(PATIENCE) == 0
    task = Task.objects.get(id=stubborn)
    assert (task.state, task.interrupted, task.crashes) == ("pending", 1, 0)
    assert all(map(is_gone, family))
    finish_elsewhere(stack, stubborn, polite)
    assert stack.book.begun(polite) == [1]


def test_everything_is_killed_before_the_grace_is_over(stack: Stack) -> None:
    """A container that may stop for less time than its task takes: nobody is left to say anything."""
    task_id, waiting = stack.enqueue(hold), stack.enqueue(mark)
    worker = in_the_middle(stack, task_id)
    worker.popen.send_signal(signal.SIGTERM)
    worker.kill9()

    require_fired(Task.objects.get(id=task_id).state == "processing", "the task was handed back before the kill")
    finish_elsewhere(stack, task_id, waiting)
    assert stack.book.begun(task_id) == [1, 2]
    assert Task.objects.get(id=task_id).crashes == 1
    assert stack.book.begun(waiting) == [1]
    assert Worker.objects.get(pid=worker.pid).stopped_at is not None


def test_a_slot_that_alone_is_told_to_end_is_replaced(stack: Stack) -> None:
    task_id = stack.enqueue(last)
    worker = in_the_middle(stack, task_id)
    [slot] = worker.slots()
    slot.terminate()
    stack.wait_final(task_id)
    wait_until(lambda: is_gone(slot), "the slot has ended")
    after = [stack.enqueue(mark, n) for n in range(3)]
    stack.wait_final(*after)

    stack.assert_completed([task_id, *after])
    assert worker.popen.poll() is None
    assert "died" not in worker.output()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_an_idle_slot_that_is_killed_costs_no_task(stack: Stack, number: signal.Signals) -> None:
    worker = stack.worker()
    [slot] = worker.slots()
    slot.send_signal(number)
    wait_until(lambda: is_gone(slot), "the slot is gone")
    after = [stack.enqueue(mark, n) for n in range(3)]
    stack.wait_final(*after)

    stack.assert_completed(after)
    assert set(Task.objects.values_list("attempt", "crashes")) == {(1, 0)}
    assert f"A slot died (signal {number.name})" in worker.output()
