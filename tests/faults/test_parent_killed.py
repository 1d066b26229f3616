"""The worker's parent is killed -9 while its slot runs a task."""

from __future__ import annotations

import os
import signal

import psutil

from tests.faults.stack import Stack, is_gone, require_fired, wait_until
from tests.ledger.tasks import hold, mark


def kill_parent_while_it_runs(stack: Stack, task_id: str) -> list[psutil.Process]:
    worker = stack.worker()
    stack.wait_begun(task_id)
    slots = worker.slots()
    require_fired(slots and stack.book.ended(task_id) == [], "no slot was running the task")
    os.kill(worker.pid, signal.SIGKILL)
    require_fired(worker.popen.wait(10) == -signal.SIGKILL, "the parent did not die of SIGKILL")
    return slots


def test_a_slot_dies_with_its_parent(stack: Stack) -> None:
    task_id = stack.enqueue(hold)
    slots = kill_parent_while_it_runs(stack, task_id)

    wait_until(lambda: all(map(is_gone, slots)), "the orphaned slot is gone")
    stack.book.open_gate(1)  # nobody is left to walk through

    assert stack.book.ended(task_id) == []


def test_a_second_worker_runs_the_task_of_a_killed_one(stack: Stack) -> None:
    task_id, waiting = stack.enqueue(hold), [stack.enqueue(mark, n) for n in range(5)]
    kill_parent_while_it_runs(stack, task_id)

    stack.book.open_gate(2)
    stack.worker()
    stack.wait_final(task_id, *waiting)

    stack.assert_completed([task_id, *waiting])
    assert stack.book.begun(task_id) == [1, 2]
    assert stack.book.ended(task_id) == [2]
    assert "recovered" in stack.events(task_id)
