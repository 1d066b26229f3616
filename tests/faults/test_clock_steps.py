"""Clocks that are wrong: one host minutes behind or ahead of the others, and one that is set while tasks run.

By Debian's `faketime`, which lies to a process about the time, as a file says that may change at any moment.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from taskcenter.models import Task, TaskEvent, Worker
from tests.faults.plugs import needs_postgres
from tests.faults.stack import Stack, WorkerProcess, require_fired, wait_until
from tests.ledger.tasks import hold
from tests.ledger.villains import tell_time, trip

MINUTES = 120
"""Seconds that a clock is off: many times longer than a heartbeat may be silent."""
skewed = pytest.mark.parametrize("seconds", [-MINUTES, MINUTES], ids=["behind", "ahead"])


@pytest.fixture(scope="module")
def library() -> str:
    """What has to be loaded first into a process that is to be lied to."""
    if shutil.which("faketime") is None:
        message = "faketime is missing: apt-get install faketime"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    command = ["faketime", "-m", "-f", "+0", "printenv", "LD_PRELOAD"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


class WrongClock:
    """The clock of one host; workers that live there take `environment`."""

    def __init__(self, library: str, path: Path) -> None:
        self._path = path
        self.set(0)
        self.environment = {
            "DJANGO_SETTINGS_MODULE": "tests.faults.wrong_clock",
            "LD_PRELOAD": library,
            "FAKETIME_TIMESTAMP_FILE": str(path),
            "FAKETIME_CACHE_DURATION": "1",  # at each question it would be read anew, which takes its time
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",  # no real clock takes that one along
        }

    def set(self, seconds: int) -> None:
        """So many seconds off from now on."""
        new = self._path.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.replace(self._path)


MakeClock = Callable[[int], WrongClock]


@pytest.fixture
def make_clock(library: str, tmp_path: Path) -> MakeClock:
    def make(seconds: int) -> WrongClock:
        clock = WrongClock(library, tmp_path / "clock")
        clock.set(seconds)
        return clock

    return make


def fresh(task_id: str) -> Task:
    return Task.objects.get(id=task_id)


def start_wrong(stack: Stack, make_clock: MakeClock, seconds: int) -> WorkerProcess:
    """A worker whose clock is really off, as a task says that ran there."""
    worker = stack.worker(**make_clock(seconds).environment)
    require_off(stack, seconds)
    return worker


def require_off(stack: Stack, seconds: int) -> None:
    task_id = stack.enqueue(tell_time)
    stack.wait_final(task_id)
    told = fresh(task_id).result["time"] - time.time()
    require_fired(abs(told - seconds) < MINUTES / 2, f"its clock is {told:.0f} s off instead of {seconds}")


def hold_on(stack: Stack, worker: WorkerProcess) -> str:
    """A task that runs there."""
    task_id = stack.enqueue(hold)
    stack.wait_begun(task_id)
    assert fresh(task_id).worker_id == worker.rows()[-1].id
    return task_id


def assert_nobody_was_taken_for_dead(stack: Stack, *workers: WorkerProcess) -> None:
    assert [len(worker.rows()) for worker in workers] == [1] * len(workers)
    assert not TaskEvent.objects.filter(kind="recovered").exists()
    stack.assert_nothing_ran_twice()


# Hosts of which one is wrong: they share a PostgreSQL, for SQLite serves one host.


@needs_postgres
@skewed
def test_a_wrong_worker_neither_loses_its_task_nor_takes_another_s(
    stack: Stack, make_clock: MakeClock, seconds: int
) -> None:
    wrong = start_wrong(stack, make_clock, seconds)
    its = hold_on(stack, wrong)
    right = stack.worker()
    other = hold_on(stack, right)
    for worker in (wrong, right):
        stack.worker_beats(worker.rows()[0], 4)
    assert_nobody_was_taken_for_dead(stack, wrong, right)
    assert Worker.objects.alive().count() == 2
    stack.book.open_gate(1)
    stack.wait_final(its, other)
    stack.assert_completed([its, other])
    assert_nobody_was_taken_for_dead(stack, wrong, right)


@needs_postgres
@skewed
def test_the_task_of_a_wrong_worker_that_dies_is_recovered_soon(
    stack: Stack, make_clock: MakeClock, seconds: int
) -> None:
    """Soon is before its clock and ours agree again: a test waits for half of that."""
    wrong = start_wrong(stack, make_clock, seconds)
    task_id = hold_on(stack, wrong)
    stack.worker()
    wrong.kill9()
    stack.wait_begun(task_id, attempt=2)
    stack.book.open_gate(2)
    stack.wait_final(task_id)

    stack.assert_completed([task_id])
    assert stack.book.begun(task_id) == [1, 2]


@needs_postgres
@skewed
def test_a_wrong_worker_begins_what_is_due_and_plans_retries_by_the_right_time(
    stack: Stack, make_clock: MakeClock, seconds: int
) -> None:
    start_wrong(stack, make_clock, seconds)
    due = timezone.now() + timedelta(seconds=3)
    waits = str(tell_time.using(owner=stack.owner, run_after=due).enqueue().id)
    trips = stack.enqueue(trip)
    planned = wait_until(lambda: fresh(trips).run_after, "a retry is planned")
    assert timedelta(0) < planned - timezone.now() < timedelta(seconds=MINUTES / 2)
    stack.wait_final(waits, trips)

    for task_id, at in ((waits, due), (trips, planned)):
        begun: Any = fresh(task_id).attempted_at
        assert at <= begun < at + timedelta(seconds=MINUTES / 2)
    stack.assert_completed([waits, trips])
    assert (stack.book.begun(waits), stack.book.begun(trips)) == ([1], [1, 2])


# One host whose clock is set.


@pytest.mark.parametrize("step", [MINUTES, -MINUTES], ids=["forward", "back"])
def test_nothing_is_recovered_when_the_clock_is_set(stack: Stack, make_clock: MakeClock, step: int) -> None:
    clock = make_clock(0)
    first = stack.worker(**clock.environment)
    one = hold_on(stack, first)
    second = stack.worker(**clock.environment)
    two = hold_on(stack, second)
    for worker in (first, second):
        stack.worker_beats(worker.rows()[0], 1)
    clock.set(step)
    for worker in (first, second):
        stack.worker_beats(worker.rows()[0], 4)
    assert_nobody_was_taken_for_dead(stack, first, second)
    stack.book.open_gate(1)
    stack.wait_final(one, two)
    require_off(stack, step)

    stack.assert_completed([one, two])
    assert_nobody_was_taken_for_dead(stack, first, second)


def test_time_limits_run_by_a_clock_that_nobody_can_set(stack: Stack, make_clock: MakeClock) -> None:
    clock = make_clock(0)
    worker = stack.worker(**clock.environment)
    task_id = stack.enqueue(hold.using(timeout=MINUTES / 2))
    stack.wait_begun(task_id)
    clock.set(MINUTES)
    stack.worker_beats(worker.rows()[0], 3)
    assert fresh(task_id).state == "processing", "its time ran out with the step"
    stack.book.open_gate(1)
    stack.wait_final(task_id)
    require_off(stack, MINUTES)

    stack.assert_completed([task_id])
    assert stack.book.begun(task_id) == [1]
