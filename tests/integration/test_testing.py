"""The room for users' tests: run pending tasks, look at what was enqueued, move the clock; and the suite to inherit."""

from __future__ import annotations

import re
import sys
import unittest
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction
from django.test import TestCase, TransactionTestCase, override_settings
from django.utils import timezone

from taskcenter import lifecycle, task
from taskcenter.backend import TaskCenterBackend
from taskcenter.compat import TaskResult, TaskResultStatus, task_backends, task_finished, task_started
from taskcenter.models import Queue, Task, Worker
from taskcenter.recovery import TaskRecovery
from taskcenter.testing import BackendConformance, assert_enqueued, captured, clock, run_pending
from tests.factories import make_task
from tests.ledger.tasks import add, boom, echo, flaky, naps, plain

PAGE = Path(__file__).resolve().parents[2] / "docs" / "testing.md"
NOON = datetime(2031, 5, 1, 12, tzinfo=UTC)


class TestOurBackend(BackendConformance, TransactionTestCase):
    """The suite, where commits are real."""

    queue = "analysis"


class TestOurBackendInATransaction(BackendConformance, TestCase):
    """And where each test is one transaction that is rolled back: the usual case in a user's tests."""


@task
def again(left: int) -> int:
    """Enqueues itself."""
    again.enqueue(left - 1)
    return left


@task(takes_context=True)
def hears(context: Any) -> None:
    context.raise_if_cancelled()


def ids(ran: list[Any]) -> list[str]:
    return [str(one.task.id) for one in ran]


# The suite finds what is wrong


class Forgetful(TaskCenterBackend):
    """Knows no priority and counts wrong; and its tasks are told of under its parent's name."""

    supports_priority = False

    def get_result(self, result_id: str) -> TaskResult:
        result = super().get_result(result_id)
        object.__setattr__(result, "worker_ids", [""] * 2)
        return result


@pytest.mark.django_db(transaction=True)
def test_the_suite_finds_what_a_backend_does_not_do() -> None:
    class Case(BackendConformance, TransactionTestCase):
        pass

    result = unittest.TestResult()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(task_backends["default"], "__class__", Forgetful)
        unittest.defaultTestLoader.loadTestsFromTestCase(Case).run(result)
    bad = {str(test).split()[0] for test, _ in result.failures + result.errors}
    assert bad >= {
        "test_the_four_capabilities_are_there",
        "test_priority_has_its_bounds",
        "test_a_finished_task_has_its_value_times_and_worker",
        "test_a_result_is_found_by_its_id",
    }
    assert "test_a_rollback_leaves_nothing" not in bad


# run_pending


@pytest.mark.django_db
class TestRunPending:
    def test_the_best_runs_first_and_each_says_what_came_of_it(self) -> None:
        low, high, oldest = (
            add.using(priority=priority, queue_name=queue).enqueue(1, 2)
            for priority, queue in ((-1, "default"), (9, "analysis"), (0, "default"))
        )
        failing = boom.enqueue("it broke")
        ran = run_pending()
        assert ids(ran) == [high.id, oldest.id, failing.id, low.id]
        assert [one.task.state for one in ran] == ["completed", "completed", "failed", "completed"]
        assert [bool(one.outcome) for one in ran] == [True] * 4
        assert "it broke" in ran[2].outcome.text
        assert ran[0].result.return_value == 3
        assert ran[2].result.status == TaskResultStatus.FAILED

    def test_nothing_to_do_is_no_error(self) -> None:
        assert run_pending() == []
        assert run_pending(["default"], definitions=[]) == []

    def test_queues_and_definitions_choose(self) -> None:
        here = add.enqueue(1, 2)
        there = add.using(queue_name="analysis").enqueue(1, 2)
        other = echo.enqueue()
        assert ids(run_pending(["analysis"])) == [there.id]
        assert ids(run_pending(definitions=[add])) == [here.id]
        assert ids(run_pending(definitions=["tests.ledger.tasks.echo"])) == [other.id]

    def test_a_paused_queue_is_left_alone(self) -> None:
        result = add.enqueue(1, 2)
        queue = Queue.objects.create(name="default", paused_at=timezone.now())
        assert run_pending() == []
        queue.delete()
        assert ids(run_pending()) == [result.id]

    def test_it_ends_with_tasks_that_enqueue_themselves(self) -> None:
        again.enqueue(10)
        ran = run_pending(limit=4)
        assert [one.result.return_value for one in ran] == [10, 9, 8, 7]
        assert Task.objects.pending().count() == 1

    def test_a_task_of_unknown_code_stays(self) -> None:
        left = make_task(definition="no.longer.here")
        assert run_pending() == []
        left.refresh_from_db()
        assert left.state == "pending"

    def test_a_retry_runs_when_the_clock_is_moved(self) -> None:
        with clock() as hand:
            flaky.enqueue()  # three attempts, 7 and 9 seconds apart
            assert [one.task.state for one in run_pending()] == ["scheduled"]
            hand.advance(6.9)
            assert run_pending() == []
            hand.advance(0.1)
            assert [one.task.failures for one in run_pending()] == [2]
            hand.advance(timedelta(seconds=9))
            [last] = run_pending()
        assert (last.task.state, last.task.attempt, len(last.result.errors)) == ("failed", 3, 3)

    def test_a_snoozed_task_runs_on(self) -> None:
        with clock() as hand:
            naps.enqueue()
            run_pending()
            hand.advance(30)
            [ran] = run_pending()
        assert ran.result.return_value == "rested"

    def test_a_running_task_hears_that_it_is_cancelled(self) -> None:
        def cancel(task_result: TaskResult, **_: Any) -> None:
            lifecycle.request_cancel(UUID(task_result.id))

        hears.enqueue()
        task_started.connect(cancel)
        try:
            [ran] = run_pending()
        finally:
            task_started.disconnect(cancel)
        assert ran.task.state == "cancelled"

    def test_the_worker_that_stood_in_is_retired(self) -> None:
        add.enqueue(1, 2)
        [ran] = run_pending()
        worker = Worker.objects.get()
        assert (worker.stopped_at is not None, ran.task.worker_id) == (True, worker.id)

    def test_django_s_own_tasks_run_and_are_told_of(self) -> None:
        heard: list[TaskResult] = []

        def listener(task_result: TaskResult, **_: Any) -> None:
            heard.append(task_result)

        task_finished.connect(listener)
        try:
            result = plain.enqueue(a=4)
            run_pending()
        finally:
            task_finished.disconnect(listener)
        assert [(told.id, told.return_value) for told in heard] == [(result.id, 5)]


# assert_enqueued and captured


@pytest.mark.django_db
class TestAssertEnqueued:
    def test_it_returns_the_tasks_that_fit(self) -> None:
        add.enqueue(1, b=2)
        wanted = add.using(queue_name="analysis", priority=5).enqueue((1, 2), b={"c": (3,)})
        add.enqueue(1, 2)
        [found] = assert_enqueued(add, args=[(1, 2)], kwargs={"b": {"c": (3,)}}, queue="analysis", priority=5)
        assert str(found.id) == wanted.id
        assert len(assert_enqueued("tests.ledger.tasks.add", count=3)) == 3
        assert assert_enqueued(echo, count=0) == []

    def test_a_finished_task_was_enqueued_too(self) -> None:
        add.enqueue(1, 2)
        run_pending()
        assert_enqueued(add, state="completed", result=3, count=1)

    @pytest.mark.parametrize(
        "expected",
        [
            {"args": [2]},
            {"args": []},
            {"kwargs": {}},
            {"kwargs": {"b": 2, "c": 3}},
            {"queue": "analysis"},
            {"count": 2},
            {"count": 0},
            {"priority": 1},
            {"args": [1], "owner": None, "title": "other"},
        ],
    )
    def test_what_differs_does_not_fit(self, expected: dict[str, Any]) -> None:
        add.enqueue(1, b=2)
        with pytest.raises(AssertionError, match=r"tests\.ledger\.tasks\.add.*, found [01]\."):
            assert_enqueued(add, **expected)

    def test_the_error_lists_what_was_enqueued_instead(self) -> None:
        add.using(priority=3).enqueue(1, b=2)
        with pytest.raises(AssertionError) as error:
            assert_enqueued(add, args=[9], queue="analysis", title="Sum")
        assert str(error.value).splitlines() == [
            "Expected at least 1 of tests.ledger.tasks.add title='Sum' args=[9] queue='analysis', found 0.",
            "Enqueued were:",
            "  tests.ledger.tasks.add args=[1] kwargs={'b': 2} queue='default' priority=3 state='pending' title=''",
        ]

    def test_the_error_stays_short(self) -> None:
        add.enqueue_many([{"a": number, "b": 1} for number in range(25)])
        with pytest.raises(AssertionError) as error:
            assert_enqueued(echo)
        lines = str(error.value).splitlines()
        assert (len(lines), lines[-1]) == (23, "  and 5 more")

    def test_the_error_says_when_there_was_nothing(self) -> None:
        with pytest.raises(AssertionError, match=r"found 0\.\nNothing was enqueued\."):
            assert_enqueued(add)

    def test_a_field_that_no_task_has_is_an_error_of_the_test(self) -> None:
        with pytest.raises(TypeError, match="no field colour"):
            assert_enqueued(add, count=0, colour="red")


@pytest.mark.django_db
class TestCaptured:
    def test_only_what_is_made_inside_is_caught(self) -> None:
        add.enqueue(0, 0)
        with captured() as caught:
            assert (list(caught), len(caught)) == ([], 0)
            first = add.enqueue(1, 2)
            many = echo.enqueue_many([{"a": 1}, {"a": 2}])
        add.enqueue(3, 4)
        assert [str(row.id) for row in caught] == [first.id, *(one.id for one in many)]
        assert len(caught) == 3
        caught.assert_enqueued(add, args=[1, 2], count=1)
        caught.assert_enqueued(echo, count=2, priority=0)
        with pytest.raises(AssertionError, match=r"found 0\."):
            caught.assert_enqueued(add, args=[3, 4])

    def test_a_rollback_takes_them_back(self) -> None:
        with captured() as caught, transaction.atomic():
            add.enqueue(1, 2)
            assert len(caught) == 1
            transaction.set_rollback(True)
        assert caught.tasks == []

    def test_a_task_that_was_there_before_is_not_caught(self) -> None:
        held = add.using(unique_key="one").enqueue(1, 2)
        with captured() as caught:
            assert add.using(unique_key="one").enqueue(1, 2).id == held.id
        assert len(caught) == 0

    def test_an_error_inside_still_closes_it(self) -> None:
        with pytest.raises(ZeroDivisionError), captured() as caught:
            raise ZeroDivisionError
        add.enqueue(1, 2)
        assert len(caught) == 0


# The clock


@pytest.mark.django_db
class TestClock:
    def test_it_stands_still_until_it_is_moved_and_goes_on_afterwards(self) -> None:
        before = timezone.now()
        with clock(NOON) as hand:
            assert [timezone.now(), timezone.now(), hand.now] == [NOON] * 3
            assert hand.advance(90) == timezone.now() == NOON + timedelta(seconds=90)
            assert hand.advance(timedelta(seconds=-90)) == NOON
            assert hand.move_to(NOON + timedelta(days=1)) == timezone.now()
        assert before <= timezone.now() < before + timedelta(minutes=10)

    def test_without_a_time_it_stops_at_now(self) -> None:
        before = timezone.now()
        with clock() as hand:
            assert before <= hand.now <= datetime.now(tz=UTC)
            assert hand.now == timezone.now()

    def test_one_clock_inside_another(self) -> None:
        with clock(NOON):
            with clock(NOON + timedelta(hours=1)):
                assert timezone.now().hour == 13
            assert timezone.now() == NOON

    def test_it_moves_the_times_of_rows(self) -> None:
        with clock(NOON) as hand:
            result = add.using(run_after=timedelta(hours=1)).enqueue(1, 2)
            assert run_pending() == []
            hand.advance(3600)
            run_pending()
        row = Task.objects.get(id=result.id)
        hour = NOON + timedelta(hours=1)
        assert (row.created_at, row.started_at, row.finished_at) == (NOON, hour, hour)
        assert Worker.objects.filter(heartbeat_at=hour, started_at=hour).exists()

    def test_it_moves_who_counts_as_dead(self) -> None:
        with clock() as hand:
            worker = Worker.objects.create(name="w", host="h", pid=1)
            row = make_task("processing", worker=worker, definition=add.module_path, kwargs={"a": 1, "b": 2})
            hand.advance(2)
            assert worker.is_alive
            TaskRecovery().recover_stuck_tasks()
            row.refresh_from_db()
            assert row.state == "processing"
            hand.advance(60)
            TaskRecovery().recover_stuck_tasks()
            row.refresh_from_db()
            assert (row.state, row.crashes) == ("pending", 1)
            assert [one.result.return_value for one in run_pending()] == [3]

    def test_a_time_without_a_zone_is_refused(self) -> None:
        nowhere = NOON.replace(tzinfo=None)
        with pytest.raises(ValueError, match="zone"), clock(nowhere):
            pass
        with clock(NOON) as hand, pytest.raises(ValueError, match="zone"):
            hand.move_to(nowhere)

    def test_without_time_zones_it_tells_local_time(self) -> None:
        local = datetime(2031, 5, 1, 12)  # noqa: DTZ001 that is the point
        with override_settings(USE_TZ=False), clock(local):
            assert timezone.now() == local

    def test_what_django_makes_of_times_stays_right(self) -> None:
        with clock(NOON):
            assert type(timezone.now()) is datetime
            assert timezone.template_localtime(NOON, use_tz=True) == NOON
            assert timezone.localtime(timezone=UTC) == NOON


# The page


@pytest.mark.django_db(transaction=True)  # its test cases end their own transactions
def test_the_examples_of_the_page_run_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = dict(re.findall(r'```python title="([^"]+)"\n(.*?)```', PAGE.read_text(), re.DOTALL))
    shop = ModuleType("shop")
    shop.__path__ = []
    monkeypatch.setitem(sys.modules, "shop", shop)
    for title, code in blocks.items():
        name = title.removesuffix(".py").replace("/", ".")
        module = ModuleType(name)
        monkeypatch.setitem(sys.modules, name, module)
        setattr(shop, name.removeprefix("shop."), module)
        exec(compile(code, title, "exec"), vars(module))  # noqa: S102 the page's own code
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromNames(["shop.tests", "shop.test_backend"]).run(result)
    assert result.failures + result.errors == []
    assert result.testsRun >= 8
