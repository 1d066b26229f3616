"""explain() beside a real worker: what it says is so, and what it tells you to do helps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import call_command

from taskcenter.explain import explain
from taskcenter.models import Task, Worker
from taskcenter.queues import TaskQueue
from tests.ledger.book import Book
from tests.ledger.tasks import add, hold
from tests.processes import Process, wait_for

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path / "ledger.sqlite3")


@pytest.fixture
def worker(process: Callable[..., Process], book: Book) -> Process:
    """One slot on the queue default."""
    started = process("rqworker", "default", LEDGER_PATH=str(book.path))
    started.wait_until(lambda: Worker.objects.alive().exists(), "it is registered", 60)
    return started


def task_of(result: object) -> Task:
    return Task.objects.get(id=result.id)  # type: ignore[attr-defined]  # a TaskResult of either Django


def codes(task: Task) -> list[str]:
    return [reason.code for reason in explain(task).reasons]


def ends(task: Task, state: str = "completed") -> None:
    wait_for(lambda: Task.objects.get(id=task.id).state == state, what=f"the task is {state}")


def test_starting_the_worker_that_it_asks_for_runs_the_task(process: Callable[..., Process]) -> None:
    task = task_of(add.using(queue_name="analysis").enqueue(1, 2))
    [reason] = explain(task).reasons
    assert reason.code == "no_worker"
    command = reason.fix.partition("manage.py ")[2].split()
    assert command == ["rqworker", "analysis"]
    process(*command)
    wait_for(lambda: Task.objects.get(id=task.id).state == "completed", 60)


def test_paused_and_resumed(worker: Process) -> None:
    TaskQueue().pause("stocktaking")
    task = task_of(add.enqueue(1, 2))
    assert codes(task) == ["queue_paused"]
    call_command("resume_queue", "default", verbosity=0)
    ends(task)
    assert codes(task) == ["completed"]


def test_suspended_and_resumed(worker: Process) -> None:
    call_command("rqsuspend")
    worker.wait_for_line("Suspended: nothing is claimed")
    task = task_of(add.enqueue(1, 2))
    assert codes(task) == ["workers_suspended"]
    call_command("rqresume")
    ends(task)


def test_busy_until_the_slot_is_free(worker: Process, book: Book) -> None:
    long = task_of(hold.using(title="The long one").enqueue())
    wait_for(lambda: book.begun(long.id))
    assert codes(long) == ["running"]
    first, task = task_of(add.enqueue(1, 2)), task_of(add.enqueue(3, 4))
    assert codes(first) == ["workers_busy"]
    found = explain(task)
    assert [reason.code for reason in found.reasons] == ["workers_busy", "behind"]
    assert f"The long one ({long.id})" in found.reasons[0].text
    assert "One task of queue default comes first: 1 older." in found.reasons[1].text
    book.open_gate(1)
    ends(task)


def test_lost_with_its_worker_and_recovered_by_the_command_it_names(worker: Process, book: Book) -> None:
    long = task_of(hold.enqueue())
    wait_for(lambda: book.begun(long.id))
    worker.kill9()
    wait_for(lambda: codes(long) == ["lost"], what="it counts as lost")
    assert "No worker is alive to recover it" in str(explain(long))
    call_command("recover_tasks", "--task", str(long.id), verbosity=0)
    assert codes(long) == ["no_worker"]
