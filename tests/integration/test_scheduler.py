"""The scheduler's own duties: taken once however many schedulers run, and done at the right time."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import override_settings
from django.utils import timezone
from django_rq.queues import get_connection

from taskcenter import scheduler as room
from taskcenter.models import Duty, Report, Task
from taskcenter.scheduler import TaskScheduler, next_midnight
from taskcenter.states import State
from tests.factories import make_report, make_task
from tests.integration.rivals import at_once
from tests.processes import Process, wait_for

pytestmark = pytest.mark.django_db(transaction=True)

NOON = datetime(2026, 11, 23, 12, 0, 30, tzinfo=UTC)


@pytest.fixture
def new_scheduler() -> Iterator[Callable[[], TaskScheduler]]:
    connections = []

    def make() -> TaskScheduler:
        connections.append(get_connection("default"))
        return TaskScheduler("default", connection=connections[-1])

    yield make
    for connection in connections:
        connection.close()


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The duties as they are done, instead of doing them."""
    names: list[str] = []

    def noted(name: str) -> Callable[[], str]:
        def action() -> str:
            names.append(name)
            return f"{name} done"

        return action

    monkeypatch.setattr(room, "DUTIES", {name: (noted(name), due) for name, (_, due) in room.DUTIES.items()})
    return names


def test_a_duty_is_done_when_it_is_due_and_not_before(new_scheduler: Any, done: list[str]) -> None:
    scheduler = new_scheduler()
    assert scheduler.tick(NOON) == ["dispatch", "clean-up", "roll-up"]
    assert scheduler.tick(NOON + timedelta(seconds=29)) == []
    assert scheduler.tick(NOON + timedelta(seconds=30)) == ["dispatch", "roll-up"]
    assert scheduler.tick(NOON + timedelta(hours=12)) == ["dispatch", "clean-up", "roll-up"]
    a_minute = ["dispatch", "roll-up"]
    assert done == ["dispatch", "clean-up", "roll-up", *a_minute, "dispatch", "clean-up", "roll-up"]


def test_a_scheduler_that_slept_for_days_does_each_duty_once(new_scheduler: Any, done: list[str]) -> None:
    new_scheduler().tick(NOON)
    done.clear()
    new_scheduler().tick(NOON + timedelta(days=3))
    assert done == ["dispatch", "clean-up", "roll-up"]


def test_two_schedulers_take_each_due_time_once(new_scheduler: Any, done: list[str]) -> None:
    schedulers = [new_scheduler() for _ in range(4)]
    for minute in range(5):
        at_once(4, lambda n, m=minute: schedulers[n].tick(NOON + timedelta(minutes=m)))  # type: ignore[misc]
    assert done.count("dispatch") == 5
    assert done.count("clean-up") == 1


def test_a_duty_that_fails_stops_no_other_and_is_written_down(
    new_scheduler: Any, done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> str:
        raise RuntimeError("the disk is full")

    monkeypatch.setitem(room.DUTIES, "dispatch", (broken, room.DUTIES["dispatch"][1]))
    new_scheduler().tick(NOON)
    assert done == ["clean-up", "roll-up"]
    assert "the disk is full" in Duty.objects.get(name="dispatch").last_outcome
    assert Duty.objects.get(name="clean-up").last_outcome == "clean-up done"


def test_dispatch_recovers_promotes_and_wakes(new_scheduler: Any) -> None:
    make_task(State.PROCESSING, worker_id=None)
    make_task(State.SCHEDULED, run_after=timezone.now() - timedelta(seconds=1))
    new_scheduler().tick()
    assert set(Task.objects.values_list("state", flat=True)) == {"pending"}
    duty = Duty.objects.get(name="dispatch")
    assert duty.last_outcome.startswith("1 recovered, 1 promoted")
    assert duty.last_finished_at is not None


def test_clean_up_deletes_only_finished_tasks_past_their_time(new_scheduler: Any) -> None:
    old, young = timezone.now() - timedelta(days=7, minutes=1), timezone.now() - timedelta(days=6, hours=23)
    gone = [make_task(state, finished_at=old) for state in (State.COMPLETED, State.FAILED, State.CANCELLED)]
    report = make_report(gone[0])
    kept = [make_task(State.COMPLETED, finished_at=young)]
    kept += [make_task(state, created_at=old) for state in (State.BLOCKED, State.SCHEDULED, State.PENDING)]
    room.clean_up()
    assert set(Task.objects.values_list("id", flat=True)) == {task.id for task in kept}
    assert Report.objects.filter(id=report.id, task=None).exists(), "reports outlive their tasks"


@override_settings(TASKCENTER={"TASK_RETENTION": None})
def test_without_a_retention_nothing_is_deleted() -> None:
    make_task(State.COMPLETED, finished_at=timezone.now() - timedelta(days=999))
    room.clean_up()
    assert Task.objects.count() == 1


@pytest.mark.parametrize(
    ("now", "midnight"),
    [
        ("2026-03-07 22:00", "2026-03-08 05:00"),  # the day before the clocks go forward
        ("2026-03-08 05:00", "2026-03-09 04:00"),  # that day, 23 hours long, at its midnight
        ("2026-03-08 06:59", "2026-03-09 04:00"),
        ("2026-03-08 07:00", "2026-03-09 04:00"),
        ("2026-03-09 03:59", "2026-03-09 04:00"),
        ("2026-10-31 22:00", "2026-11-01 04:00"),
        ("2026-11-01 04:00", "2026-11-02 05:00"),  # 25 hours long
        ("2026-11-01 05:30", "2026-11-02 05:00"),  # half past one, for the first time
        ("2026-11-01 06:30", "2026-11-02 05:00"),  # half past one, for the second time
        ("2026-11-02 04:59", "2026-11-02 05:00"),
        ("2028-02-28 12:00", "2028-02-29 05:00"),
        ("2026-12-31 12:00", "2027-01-01 05:00"),
    ],
)
@override_settings(TIME_ZONE="America/New_York")
def test_midnight_is_that_of_the_site_across_changes_of_the_clock(now: str, midnight: str) -> None:
    assert next_midnight(datetime.fromisoformat(f"{now}+00:00")) == datetime.fromisoformat(f"{midnight}+00:00")


@override_settings(TIME_ZONE="America/New_York")
def test_midnights_rise_strictly_for_two_years() -> None:
    now = datetime(2026, 1, 1, 5, tzinfo=UTC)
    for _ in range(730):
        following = next_midnight(now)
        assert timedelta(hours=23) <= following.astimezone(UTC) - now <= timedelta(hours=25)
        now = following.astimezone(UTC)


def test_the_command_runs_until_it_is_told_to_stop(process: Callable[..., Process]) -> None:
    task = make_task(State.PROCESSING, worker_id=None)
    started = process("rqscheduler", "--interval", "1")
    wait_for(lambda: Task.objects.get(id=task.id).state == "pending", 60, "the first tick recovers the task")
    started.popen.send_signal(signal.SIGTERM)
    assert started.wait(30) == 0
    assert "Traceback" not in started.output()
