"""The process that enqueues is killed between its commit and the push of the pointer."""

from __future__ import annotations

import os
import signal
import sys

from taskcenter.models import Task
from tests.faults.stack import Stack, require_fired
from tests.processes import Process

PROGRAM = """
import os, signal
import django
django.setup()
from taskcenter import pointers
from tests.ledger.tasks import mark

pointers.push = pointers.wake = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
{call}
print("not killed")
"""

ONE = "mark.enqueue(7)"
IN_A_TRANSACTION = """
from django.db import transaction
with transaction.atomic():
    mark.enqueue(7)
    mark.enqueue(8)
"""
MANY = 'mark.enqueue_many([{"number": number} for number in range(20)])'


def killed(stack: Stack, call: str) -> None:
    command = [sys.executable, "-c", PROGRAM.format(call=call)]
    paths = os.pathsep.join(path for path in sys.path if path)
    process = Process(command, log=stack.directory / "enqueue.log", REDIS_URL=stack.url, PYTHONPATH=paths)
    try:
        process.popen.wait(60)
        require_fired(process.popen.returncode == -signal.SIGKILL, f"it was not killed: {process.output()}")
    finally:
        process.kill9()


def run_later(stack: Stack, count: int) -> None:
    task_ids = [str(task_id) for task_id in Task.objects.values_list("id", flat=True)]
    assert len(task_ids) == count, "what was committed is there"
    assert stack.waiting_pointers() == 0
    Task.objects.update(owner=stack.owner)
    stack.worker()
    stack.wait_final(*task_ids)
    stack.assert_completed(task_ids)


def test_a_committed_task_runs_though_nobody_was_told(stack: Stack) -> None:
    killed(stack, ONE)
    run_later(stack, 1)


def test_so_do_the_tasks_of_a_transaction(stack: Stack) -> None:
    """The first push dies; the pointers of both are lost."""
    killed(stack, IN_A_TRANSACTION)
    run_later(stack, 2)


def test_so_do_many(stack: Stack) -> None:
    killed(stack, MANY)
    run_later(stack, 20)
