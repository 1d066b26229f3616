"""The options of `manage.py rqworker` that say when a slot is replaced."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from taskcenter.models import Task, TaskEvent
from tests.ledger.book import Book
from tests.ledger.probes import hoard, leave_a_child, swell, waits_allowed, whoami
from tests.ledger.tasks import add
from tests.processes import Process, wait_for

pytestmark = pytest.mark.django_db(transaction=True)

LIMIT = 250
"""MB: far more than the code alone takes, so that what a test adds decides."""

BARE = """
from tests.settings import *
RQ_QUEUES = None
ROOT_URLCONF = "taskcenter.urls"
INSTALLED_APPS = [app for app in INSTALLED_APPS if not app.startswith("analysis")]  # its tasks name a queue
"""

needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what a process takes")


@pytest.fixture
def rqworker(process: Callable[..., Process], tmp_path: Path) -> Callable[..., Process]:
    """Starts a worker that knows the probes."""

    def start(*options: str) -> Process:
        ledger = Book(tmp_path / "ledger.sqlite3").path
        return process("rqworker", *options, DJANGO_SETTINGS_MODULE="tests.worker_settings", LEDGER_PATH=str(ledger))

    return start


def slots(worker: Process) -> list[int]:
    return [child.pid for child in psutil.Process(worker.pid).children()]


def ended(result: Any) -> Task | None:
    return Task.objects.finished().filter(id=result.id).first()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--max-tasks-per-slot", "0"), "--max-tasks-per-slot must be at least 1."),
        (("--max-tasks-per-slot", "-3"), "--max-tasks-per-slot must be at least 1."),
        (("--max-tasks-per-slot", "some"), "--max-tasks-per-slot: invalid int value: 'some'"),
        (("--max-memory", "0"), "--max-memory must be at least 1."),
        (("--max-memory", "1.5"), "--max-memory: invalid int value: '1.5'"),
        (("--max-memory", "1"), "--max-memory leaves no room for tasks: the code alone takes"),
        (("--grace", "nan"), "--grace cannot be negative."),
    ],
    ids=" ".join,
)
def test_a_number_that_cannot_be_meant_is_answered_with_a_sentence(options: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(CommandError) as caught:
        call_command("rqworker", *options)
    assert sentence in str(caught.value)


def test_queues_in_two_servers_need_two_workers(settings: Any) -> None:
    settings.RQ_QUEUES = {"default": settings.RQ_QUEUES["default"], "mail": {"URL": "redis://elsewhere:6379/0"}}
    with pytest.raises(CommandError, match="'default' and 'mail' are in different Redis servers"):
        call_command("rqworker")


def test_a_worker_needs_no_rq_queues(process: Callable[..., Process], tmp_path: Path) -> None:
    """REDIS_URL alone gives one queue."""
    module = tmp_path / "bare_settings.py"
    module.write_text(BARE)
    task = add.enqueue(1, 2)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    worker = process("rqworker", "--burst", DJANGO_SETTINGS_MODULE="bare_settings", PYTHONPATH=path)
    assert worker.wait(60) == 0, worker.output()
    assert Task.objects.get(id=task.id).result == 3


@pytest.mark.parametrize("share", [1, 3])
def test_a_slot_is_replaced_after_its_share_of_tasks(rqworker: Callable[..., Process], share: int) -> None:
    tasks = [whoami.enqueue() for _ in range(7)]
    worker = rqworker("--burst", "--max-tasks-per-slot", str(share))
    assert worker.wait(90) == 0

    pids = Counter(Task.objects.values_list("result", flat=True))
    assert sorted(pids.values(), reverse=True) == ([1] * 7 if share == 1 else [3, 3, 1])
    assert {Task.objects.get(id=task.id).attempt for task in tasks} == {1}
    assert "died" not in worker.output()


@needs_proc
def test_a_slot_above_the_limit_is_replaced_after_its_task(rqworker: Callable[..., Process]) -> None:
    worker = rqworker("--max-memory", str(LIMIT))
    task = swell.enqueue(LIMIT)
    first = worker.wait_until(lambda: ended(task), "the task has ended", 60)
    assert (first.state, first.crashes) == ("completed", 0), first.error_message
    worker.wait_until(lambda: slots(worker) and first.result not in slots(worker), "the slot was replaced", 60)
    after = whoami.enqueue()
    second = worker.wait_until(lambda: ended(after), "its successor works", 60)
    assert second.result != first.result
    assert "died" not in worker.output()


@needs_proc
def test_a_task_that_takes_twice_the_limit_is_killed_as_a_crash(rqworker: Callable[..., Process]) -> None:
    worker = rqworker("--max-memory", str(LIMIT))
    task = hoard.using(max_crashes=1).enqueue(2 * LIMIT)
    after = whoami.enqueue()
    row = worker.wait_until(lambda: ended(task), "it was ended", 60)
    assert (row.state, row.crashes, row.failures) == ("failed", 1, 0)
    assert f"more than twice its limit of {LIMIT} MB (--max-memory)" in row.error_message
    assert TaskEvent.objects.filter(task_id=row.id, kind=TaskEvent.Kind.CRASHED).exists()
    worker.wait_until(lambda: ended(after), "the next task is run", 60)
    assert worker.popen.poll() is None


@needs_proc
def test_without_the_option_memory_is_nobodys_business(rqworker: Callable[..., Process]) -> None:
    worker = rqworker()
    task = swell.enqueue(LIMIT)
    first = worker.wait_until(lambda: ended(task), "the task has ended", 60)
    after = whoami.enqueue()
    assert worker.wait_until(lambda: ended(after), "the next has ended", 60).result == first.result


def test_tasks_may_wait_as_long_as_the_settings_say(rqworker: Callable[..., Process]) -> None:
    """The parent's connection gives up within seconds; its slots do not inherit that."""
    task = waits_allowed.enqueue()
    assert rqworker("--burst").wait(60) == 0
    found = wait_for(lambda: ended(task), 5, "it has ended").result
    assert found == (["0", "0"] if connection.vendor == "postgresql" else ["20"])


def test_what_a_crashed_task_had_started_does_not_work_on(rqworker: Callable[..., Process], tmp_path: Path) -> None:
    """The next attempt must not meet the processes of the last one."""
    note = tmp_path / "pid"
    task = leave_a_child.using(max_crashes=1).enqueue(str(note))
    worker = rqworker()
    row = worker.wait_until(lambda: ended(task), "it was ended", 60)
    assert (row.state, row.error_message) == ("failed", "Its process died: exit code 7.")
    wait_for(lambda: gone(int(note.read_text())), 10, "what it had started is gone")


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
