"""What a backend of Django Tasks must do, as tests to inherit: what TaskCenter promises, for any backend."""

# ruff: noqa: PT009, PT027 unittest is all that a user must have

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from asgiref.sync import async_to_sync
from django.db import transaction
from django.dispatch import Signal
from django.utils import timezone
from django.utils.module_loading import import_string

from taskcenter.compat import (
    InvalidTask,
    TaskResult,
    TaskResultDoesNotExist,
    TaskResultStatus,
    task_backends,
    task_enqueued,
    task_finished,
    task_started,
)

from . import samples
from .pending import run_pending

__all__ = ["BackendConformance"]

if TYPE_CHECKING:
    from unittest import TestCase as Case
else:
    Case = object  # a mixin: alone it is not a test, so that importing it runs nothing

READY, RUNNING, FAILED, SUCCESSFUL = (TaskResultStatus[name] for name in ("READY", "RUNNING", "FAILED", "SUCCESSFUL"))


class BackendConformance(Case):
    """Inherit from this and from one of Django's test cases with a database, and say which backend it is:

        class TestOurs(BackendConformance, TransactionTestCase):
            alias = "default"

    A backend other than TaskCenter's says in `run_tasks()` how its tasks are run. A worker in another
    process calls `taskcenter.testing.samples.on(alias)` before it looks for work.
    """

    alias = "default"
    """The backend's key in `TASKS`."""
    queue = "default"
    """A queue that the backend has."""
    unknown_queue = "no-queue-has-this-name"
    """A queue that it has not."""
    database = "default"
    """Where it keeps its tasks."""

    def run_tasks(self) -> None:
        """Run whatever may run now, until nothing is left of it."""
        run_pending()

    def setUp(self) -> None:
        super().setUp()
        self.backend: Any = task_backends[self.alias]
        self.tasks: Any = samples.on(self.alias, queue=self.queue)

    # What the backend says of itself

    def test_the_four_capabilities_are_there(self) -> None:
        for flag in ("supports_defer", "supports_async_task", "supports_get_result", "supports_priority"):
            with self.subTest(flag):
                self.assertIs(getattr(self.backend, flag), True)

    def test_it_finds_nothing_wrong_with_its_settings(self) -> None:
        self.assertEqual(list(self.backend.check()), [])

    # Enqueue

    def test_an_enqueued_task_is_ready_and_knows_its_arguments(self) -> None:
        self._is_new(self.tasks.add.enqueue(1, b=2))

    def test_enqueuing_from_async_code_does_the_same(self) -> None:
        self._is_new(async_to_sync(self.tasks.add.aenqueue)(1, b=2))

    def _is_new(self, result: TaskResult) -> None:
        self.assertIsInstance(result.id, str)
        self.assertEqual((result.status, result.is_finished, result.attempts), (READY, False, 0))
        self.assertEqual((result.args, result.kwargs), ([1], {"b": 2}))
        self.assertEqual((result.task, result.backend), (self.tasks.add, self.alias))
        self.assertEqual((result.errors, result.worker_ids), ([], []))
        self.assertIsNotNone(result.enqueued_at)
        self.assertEqual((result.started_at, result.last_attempted_at, result.finished_at), (None, None, None))
        with self.assertRaisesRegex(ValueError, "not finished"):
            _ = result.return_value

    def test_each_task_has_an_id_of_its_own(self) -> None:
        self.assertEqual(len({self.tasks.add.enqueue(1, 2).id for _ in range(3)}), 3)

    def test_arguments_are_kept_as_json(self) -> None:
        result = self.tasks.kinds.enqueue((1, 2), {"a": (3,)}, "x", 1.5, None, True)
        self.assertEqual(result.args, [[1, 2], {"a": [3]}, "x", 1.5, None, True])
        again = self._ended(result)
        self.assertEqual(again.args, result.args)
        self.assertEqual(again.return_value, ["list", "dict", "str", "float", "NoneType", "bool"])

    def test_arguments_that_are_not_json_are_refused_at_once(self) -> None:
        with _heard(task_enqueued) as heard:
            for value in (datetime.now(tz=timezone.get_current_timezone()), object(), {1, 2}):
                with self.subTest(type(value)), self.assertRaisesRegex(TypeError, "Unsupported type"):
                    self.tasks.echo.enqueue(value)
        self.assertEqual(heard, [])

    # Results

    def test_a_result_is_found_by_its_id(self) -> None:
        result = self.tasks.add.enqueue(1, 2)
        self.assertEqual(self.tasks.add.get_result(result.id), result)
        self.assertEqual(self.backend.get_result(result.id), result)
        self.assertEqual(async_to_sync(self.tasks.add.aget_result)(result.id), result)
        self.assertEqual(async_to_sync(self.backend.aget_result)(result.id), result)

    def test_a_result_that_does_not_exist_is_said_to_be_missing(self) -> None:
        for unknown in (str(uuid.uuid4()), "123", ""):
            for look in (self.backend.get_result, async_to_sync(self.backend.aget_result)):
                with self.subTest(unknown), self.assertRaises(TaskResultDoesNotExist):
                    look(unknown)

    def test_the_result_of_another_task_is_refused(self) -> None:
        mismatch = import_string(f"{TaskResultDoesNotExist.__module__}.TaskResultMismatch")
        result = self.tasks.add.enqueue(1, 2)
        for look in (self.tasks.echo.get_result, async_to_sync(self.tasks.echo.aget_result)):
            with self.assertRaises(mismatch):
                look(result.id)

    def test_a_result_changes_when_it_is_refreshed_and_not_before(self) -> None:
        def refresh(result: TaskResult) -> None:
            result.refresh()

        def arefresh(result: TaskResult) -> None:
            async_to_sync(result.arefresh)()

        for way in (refresh, arefresh):
            with self.subTest(way.__name__):
                self._is_refreshed_by(way)

    def _is_refreshed_by(self, refresh: Callable[[TaskResult], None]) -> None:
        result = self.tasks.add.enqueue(1, 2)
        self.run_tasks()
        self.assertEqual(result.status, READY)
        refresh(result)
        self.assertEqual((result.status, result.return_value), (SUCCESSFUL, 3))

    def test_a_finished_task_has_its_value_times_and_worker(self) -> None:
        result = self._ended(self.tasks.add.enqueue(1, 2))
        self.assertEqual((result.status, result.is_finished, result.return_value), (SUCCESSFUL, True, 3))
        self.assertEqual((result.attempts, result.errors), (1, []))
        self.assertTrue(all(result.worker_ids))
        times: list[Any] = [result.enqueued_at, result.started_at, result.last_attempted_at, result.finished_at]
        self.assertEqual(times, sorted(times))

    def test_a_value_comes_back_as_json(self) -> None:
        result = self._ended(self.tasks.echo.enqueue(1, (2, 3), key={"deep": None}))
        self.assertEqual(result.return_value, [[1, [2, 3]], {"key": {"deep": None}}])

    def test_a_coroutine_function_is_run_to_its_end(self) -> None:
        self.assertEqual(self._ended(self.tasks.add_async.enqueue(3, b=4)).return_value, 7)

    def test_a_task_that_takes_the_context_gets_its_own(self) -> None:
        result = self._ended(self.tasks.look.enqueue(word="hello"))
        seen = {"id": result.id, "attempt": 1, "status": "RUNNING", "is_context": True, "word": "hello"}
        self.assertEqual(result.return_value, seen)

    # Failures

    def test_a_failure_is_kept_with_its_exception_and_traceback(self) -> None:
        for task in (self.tasks.fail, self.tasks.fail_async):
            with self.subTest(task.name):
                result = self._ended(task.enqueue("it broke"))
                self._has_failed(result)
                self.assertIs(result.errors[0].exception_class, ValueError)
                self.assertTrue(result.errors[0].traceback.endswith("ValueError: it broke\n"))
                self.assertIn(task.name, result.errors[0].traceback)

    def test_leaving_the_interpreter_is_a_failure_and_no_more(self) -> None:
        result = self._ended(self.tasks.leave.enqueue())
        self._has_failed(result)
        self.assertIs(result.errors[0].exception_class, SystemExit)

    def test_a_value_that_is_not_json_is_a_failure(self) -> None:
        result = self._ended(self.tasks.unkeepable.enqueue())
        self._has_failed(result)
        self.assertTrue(issubclass(result.errors[0].exception_class, TypeError))

    def _has_failed(self, result: TaskResult) -> None:
        self.assertEqual((result.status, result.is_finished), (FAILED, True))
        self.assertEqual((result.attempts, len(result.errors)), (1, 1))
        self.assertIsNotNone(result.finished_at)
        with self.assertRaisesRegex(ValueError, "failed"):
            _ = result.return_value

    # Signals

    def test_each_signal_is_sent_once_by_the_class_of_the_backend(self) -> None:
        with _heard(task_enqueued, task_started, task_finished) as heard:
            done = self._ended(self.tasks.add.enqueue(1, 2))
            failed = self._ended(self.tasks.fail.enqueue("no"))
        expected = [
            (signal, type(self.backend), result.id, status)
            for result, end in ((done, SUCCESSFUL), (failed, FAILED))
            for signal, status in ((task_enqueued, READY), (task_started, RUNNING), (task_finished, end))
        ]
        self.assertEqual(heard, expected)

    def test_a_listener_that_raises_does_not_change_how_a_task_ends(self) -> None:
        def angry(**_: Any) -> None:
            raise RuntimeError("of a listener")

        for signal in (task_started, task_finished):
            signal.connect(angry)
            self.addCleanup(signal.disconnect, angry)
        self.assertEqual(self._ended(self.tasks.add.enqueue(1, 2)).status, SUCCESSFUL)

    # Options

    def test_priority_has_its_bounds(self) -> None:
        for priority in (-100, 0, 100):
            result = self.tasks.add.using(priority=priority).enqueue(1, 2)
            self.assertEqual(self.backend.get_result(result.id).task.priority, priority)
        for wrong in (-101, 101, 0.5):
            with self.subTest(wrong), self.assertRaisesRegex(InvalidTask, "priority must be a whole number"):
                self.tasks.add.using(priority=wrong)

    def test_the_highest_priority_runs_first_and_among_equals_the_oldest(self) -> None:
        ids = [self.tasks.add.using(priority=priority).enqueue(1, 2).id for priority in (0, 5, -5, 5)]
        with _heard(task_started) as heard:
            self.run_tasks()
        self.assertEqual([call[2] for call in heard], [ids[1], ids[3], ids[0], ids[2]])

    def test_an_unknown_queue_is_refused(self) -> None:
        with self.assertRaisesRegex(InvalidTask, "is not valid for backend"):
            self.tasks.add.using(queue_name=self.unknown_queue)

    def test_a_task_is_checked_again_when_it_is_enqueued(self) -> None:
        queues = set(self.backend.queues)
        self.backend.queues = {self.unknown_queue}
        try:
            with self.assertRaises(InvalidTask):
                self.tasks.add.enqueue(1, 2)
            with self.assertRaises(InvalidTask):
                async_to_sync(self.tasks.add.aenqueue)(1, 2)
        finally:
            self.backend.queues = queues

    def test_a_task_does_not_run_before_its_time(self) -> None:
        later = timezone.now() + timedelta(hours=1)
        result = self._ended(self.tasks.add.using(run_after=later).enqueue(1, 2), status=READY)
        self.assertEqual((result.attempts, result.task.run_after), (0, later))

    def test_a_time_that_has_passed_is_no_reason_to_wait(self) -> None:
        before = timezone.now() - timedelta(hours=1)
        self._ended(self.tasks.add.using(run_after=before).enqueue(1, 2), status=SUCCESSFUL)

    def test_a_time_without_a_zone_is_refused(self) -> None:
        with self.settings_with_zones(), self.assertRaisesRegex(InvalidTask, "aware"):
            self.tasks.add.using(run_after=datetime(2030, 1, 1))  # noqa: DTZ001 that is the point

    def settings_with_zones(self) -> Any:
        """Time zones are on, whatever the project's settings say."""
        from django.test import override_settings  # noqa: PLC0415 sets up Django's test machinery

        return override_settings(USE_TZ=True)

    # Transactions

    def test_a_rollback_leaves_nothing(self) -> None:
        with self.assertRaises(_Undo), transaction.atomic(using=self.database):
            result = self.tasks.add.enqueue(1, 2)
            raise _Undo
        with _heard(task_started) as heard:
            self.run_tasks()
        self.assertEqual(heard, [])
        with self.assertRaises(TaskResultDoesNotExist):
            self.backend.get_result(result.id)

    def test_a_commit_keeps_the_task_and_it_runs(self) -> None:
        with transaction.atomic(using=self.database):
            result = self.tasks.add.enqueue(1, 2)
            self.assertEqual(self.backend.get_result(result.id).status, READY)
        self.assertEqual(self._ended(result).status, SUCCESSFUL)

    def _ended(self, result: TaskResult, *, status: TaskResultStatus | None = None) -> TaskResult:
        """The result after all tasks were run."""
        self.run_tasks()
        again: TaskResult = self.backend.get_result(result.id)
        if status is not None:
            self.assertEqual(again.status, status)
        return again


class _Undo(Exception):
    """Rolls back."""


@contextmanager
def _heard(*signals: Signal) -> Iterator[list[tuple[Signal, Any, str, TaskResultStatus]]]:
    """Collect signal, sender, id and status of each time one of these signals is sent."""
    calls: list[tuple[Signal, Any, str, TaskResultStatus]] = []

    def listen(sender: Any, signal: Signal, task_result: TaskResult, **_: Any) -> None:
        calls.append((signal, sender, task_result.id, task_result.status))

    for signal in signals:
        signal.connect(listen)
    try:
        yield calls
    finally:
        for signal in signals:
            signal.disconnect(listen)
