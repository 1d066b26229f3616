"""Rolling up: what ended is counted by the minute, whoever counts, however often, and wherever it is killed."""

from __future__ import annotations

import signal
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from taskcenter import minutes, scheduler
from taskcenter.models import Duty, Minute, Task
from taskcenter.models.minute import HALF_HOUR, WAITING, minute_of, seconds_of
from taskcenter.states import FINAL, State
from tests.factories import make_task, make_worker
from tests.integration.rivals import at_once, overtaken
from tests.processes import wait_for

pytestmark = pytest.mark.django_db(transaction=True)


def ended(ago: float, state: str = State.COMPLETED, *, ran: float = 2.0, **fields: Any) -> Task:
    """A task that ended that many minutes ago and ran for so many seconds."""
    at = timezone.now() - timedelta(minutes=ago)
    began = at - timedelta(seconds=ran)
    return make_task(state, finished_at=at, attempted_at=began, started_at=began, **fields)


def kept(width: int = 1) -> Counter[tuple[int, str, str]]:
    rows = Minute.objects.filter(kind__in=FINAL, width=width).values_list("minute", "queue", "kind", "tasks")
    found: Counter[tuple[int, str, str]] = Counter()
    for minute, queue, kind, tasks in rows:
        found[minute, queue, kind] += tasks
    return found


def truth(width: int = 1) -> Counter[tuple[int, str, str]]:
    rows = Task.objects.filter(state__in=FINAL)
    return Counter((minute_of(task.finished_at) // width * width, task.queue, str(task.state)) for task in rows)


def some_history(count: int = 60) -> None:
    for number in range(count):
        state = State.FAILED if number % 5 == 0 else State.COMPLETED
        ended(number * 3.7, state, queue=("default", "analysis")[number % 2], ran=number / 7)


def test_what_ended_is_counted_by_minute_queue_and_state() -> None:
    some_history()
    make_task(State.PENDING)
    make_task(State.CANCELLED)
    minutes.roll_up()
    assert kept() == truth()
    assert kept(HALF_HOUR) == truth(HALF_HOUR)


def test_counting_again_changes_nothing() -> None:
    some_history()
    minutes.roll_up()
    rows = list(Minute.objects.order_by("pk").values_list())
    minutes.roll_up()
    assert list(Minute.objects.order_by("pk").values_list()) == rows


def test_a_commit_that_came_late_is_counted_the_next_time() -> None:
    ended(1)
    minutes.roll_up()
    ended(2.5)
    minutes.roll_up()
    assert kept() == truth()
    assert kept(HALF_HOUR) == truth(HALF_HOUR)


def test_empty_hours_are_skipped(django_assert_max_num_queries: Any) -> None:
    ended(6 * 24 * 60)
    ended(1)
    with django_assert_max_num_queries(16):
        minutes.roll_up()
    assert kept() == truth()
    assert kept(HALF_HOUR) == truth(HALF_HOUR)


def test_a_long_history_is_counted_in_portions_that_add_up() -> None:
    some_history()
    outcomes = [minutes.roll_up(seconds=0)]
    while "next" in outcomes[-1]:
        outcomes.append(minutes.roll_up(seconds=0))
    assert len(outcomes) > 2
    assert kept() == truth()
    assert kept(HALF_HOUR) == truth(HALF_HOUR)


def test_the_count_of_a_minute_never_falls() -> None:
    """Neither by a retry nor by an older look at the table that is written later."""
    failed = ended(1, State.FAILED)
    minutes.roll_up()
    before = kept()
    Task.objects.filter(pk=failed.pk).update(state=State.PENDING, finished_at=None)
    minutes.roll_up()
    assert kept() == before


def test_run_times_are_kept_in_steps() -> None:
    ended(1, ran=42.0)
    minutes.roll_up()
    row = Minute.objects.ended().get(width=1)
    assert seconds_of(row.took - 1) < 42.0 <= seconds_of(row.took)


def test_one_that_never_began_took_nothing() -> None:
    make_task(State.CANCELLED, finished_at=timezone.now())
    minutes.roll_up()
    assert Minute.objects.ended().get(width=1).took == 0


def test_how_many_wait_is_kept_at_its_highest() -> None:
    tasks = [make_task(State.PENDING) for _ in range(3)]
    minutes.roll_up()
    tasks[0].delete()
    minutes.roll_up()
    assert Minute.objects.filter(kind=WAITING, queue="default").order_by("minute").first().tasks == 3


def test_two_at_once_count_everything_once() -> None:
    """Without one order of rows, PostgreSQL finds a deadlock here."""
    for number in range(300):
        ended(number / 40, queue=f"queue-{number % 30}", ran=number / 10)
    at_once(4, lambda _: minutes.roll_up())
    assert kept() == truth()
    assert kept(HALF_HOUR) == truth(HALF_HOUR)


@pytest.mark.skipif(connection.vendor == "sqlite", reason="one writer at a time, whose look is never old")
def test_an_old_look_that_is_written_late_takes_nothing_back() -> None:
    """The second one sees one task where the first, not yet committed, has counted two; and writes after it."""
    ended(1)

    def one_more() -> None:
        ended(1)
        minutes.roll_up()

    overtaken(one_more, minutes.roll_up)
    assert kept() == truth()
    assert kept(HALF_HOUR) == truth(HALF_HOUR)


def test_killed_anywhere_the_next_one_makes_it_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever statement was the last one: what it counted is whole, and the rest is counted later."""
    some_history(40)
    roll = Minute.objects.roll_up
    for survived in range(4):
        left = iter(range(survived))

        def until_killed(*args: Any, left: Any = left) -> None:
            if next(left, None) is None:
                raise SystemExit
            roll(*args)

        monkeypatch.setattr(type(Minute.objects), "roll_up", lambda _, *args, do=until_killed: do(*args))
        with pytest.raises(SystemExit):
            minutes.roll_up()
        monkeypatch.undo()
        assert kept() <= truth()
    minutes.roll_up()
    assert kept() == truth()
    assert kept(HALF_HOUR) == truth(HALF_HOUR)


def test_schedulers_that_are_killed_while_they_count_lose_and_double_nothing(process: Any, redis_client: Any) -> None:
    some_history(30)
    for _ in range(2):
        both = [process("rqscheduler", "--interval", "1") for _ in range(2)]
        wait_for(Minute.objects.exists, what="something was counted")
        ended(1)
        Duty.objects.filter(name=minutes.DUTY).update(next_due=timezone.now())
        for one in both:
            one.popen.send_signal(signal.SIGKILL)
            one.popen.wait()
    minutes.roll_up()
    assert kept() == truth()
    assert kept(HALF_HOUR) == truth(HALF_HOUR)


def test_a_worker_counts_where_no_scheduler_does(process: Any, redis_client: Any) -> None:
    ended(2)
    Duty.objects.create(name=minutes.DUTY, next_due=timezone.now() - timedelta(minutes=2))
    process("rqworker", "default", TASKCENTER_HEARTBEAT="0.5")
    wait_for(lambda: kept() == truth(), what="the worker has counted")
    wait_for(lambda: "counted" in Duty.objects.get(name=minutes.DUTY).last_outcome, what="it has said so")


def test_a_worker_leaves_it_to_a_scheduler_that_is_in_time() -> None:
    make_worker()
    Duty.objects.create(name=minutes.DUTY, next_due=timezone.now() - timedelta(seconds=5))
    assert not minutes.roll_up_if_late()


def test_only_one_of_many_workers_counts() -> None:
    Duty.objects.create(name=minutes.DUTY, next_due=timezone.now() - timedelta(minutes=2))
    assert sorted(at_once(3, lambda _: minutes.roll_up_if_late())) == [False, False, True]


def test_counts_go_when_nobody_looks_at_them_any_more() -> None:
    now = timezone.now()
    for days in (1, 6, 8):
        Minute.objects.create(
            minute=minute_of(now - timedelta(days=days)), queue="default", kind=State.COMPLETED, tasks=1
        )
    scheduler.clean_up()
    assert Minute.objects.count() == 2
