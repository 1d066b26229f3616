"""The Django Tasks API: code that knows only `django.tasks` gets what it expects."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.dispatch import Signal
from django.utils import timezone

from taskcenter import InvalidPayload, TaskDefinition
from taskcenter.backend import TaskCenterBackend
from taskcenter.compat import (
    InvalidTask,
    TaskResultDoesNotExist,
    TaskResultStatus,
    task_backends,
    task_enqueued,
    task_finished,
    task_started,
)
from taskcenter.models import Task
from taskcenter.states import State
from taskcenter.worker import run_pointer
from tests.factories import make_event, make_task
from tests.ledger.tasks import add, add_async, boom, echo, flaky, plain

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def heard(signal: Signal) -> Iterator[list[tuple[Any, Any]]]:
    """Collects (sender, result) of each time a signal is sent."""
    calls: list[tuple[Any, Any]] = []

    def listener(sender: Any, task_result: Any, **_: Any) -> None:
        calls.append((sender, task_result))

    signal.connect(listener)
    try:
        yield calls
    finally:
        signal.disconnect(listener)


@pytest.mark.parametrize("flag", ["supports_defer", "supports_async_task", "supports_get_result", "supports_priority"])
def test_the_backend_can_do_everything_the_api_knows(flag: str) -> None:
    assert getattr(task_backends["default"], flag) is True


def test_django_s_own_decorator_makes_one_of_our_definitions() -> None:
    assert isinstance(plain, TaskDefinition)
    result = plain.enqueue(a=4)
    assert Task.objects.get(id=result.id).priority == 3
    run_pointer(result.id)
    result.refresh()
    assert result.return_value == 5


def test_a_result_is_read_again_by_its_id_and_refreshed() -> None:
    result = add.enqueue(1, b=2)
    assert (result.status, result.args, result.kwargs) == (TaskResultStatus.READY, [1], {"b": 2})
    assert result.enqueued_at is not None
    assert not result.is_finished
    with pytest.raises(ValueError, match="not finished"):
        _ = result.return_value
    run_pointer(result.id)
    assert result.status == TaskResultStatus.READY, "it changes only when it is asked to"
    result.refresh()
    assert (result.status, result.return_value, result.attempts) == (TaskResultStatus.SUCCESSFUL, 3, 1)
    again = add.get_result(result.id)
    assert (again.status, again.return_value, again.task.func) == (TaskResultStatus.SUCCESSFUL, 3, add.func)
    assert again.started_at is not None
    assert again.finished_at >= again.started_at


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (State.BLOCKED, "READY"),
        (State.SCHEDULED, "READY"),
        (State.PENDING, "READY"),
        (State.PROCESSING, "RUNNING"),
        (State.COMPLETED, "SUCCESSFUL"),
        (State.FAILED, "FAILED"),
        (State.CANCELLED, "FAILED"),
    ],
)
def test_each_state_has_its_word_in_django(state: State, status: str) -> None:
    task = make_task(state, definition=add.module_path)
    assert task_backends["default"].get_result(str(task.id)).status == TaskResultStatus[status]


def test_a_failure_comes_with_its_exception_and_traceback() -> None:
    result = boom.enqueue("it broke")
    run_pointer(result.id)
    result.refresh()
    assert result.status == TaskResultStatus.FAILED
    [error] = result.errors
    assert error.exception_class is ValueError
    assert "it broke" in error.traceback
    with pytest.raises(ValueError, match="failed"):
        _ = result.return_value


def test_an_attempt_that_will_be_repeated_leaves_the_task_ready() -> None:
    result = flaky.enqueue()
    run_pointer(result.id)
    result.refresh()
    assert (result.status, result.attempts) == (TaskResultStatus.READY, 1)
    assert result.errors[0].exception_class is ConnectionError


@pytest.mark.parametrize("unknown", [str(uuid.UUID(int=7)), "no-id", "", "1"])
def test_an_id_that_nobody_knows_does_not_exist(unknown: str) -> None:
    with pytest.raises(TaskResultDoesNotExist):
        task_backends["default"].get_result(unknown)


def test_a_task_whose_code_is_gone_has_no_result() -> None:
    task = make_task(definition="no.longer.here")
    with pytest.raises(TaskResultDoesNotExist):
        task_backends["default"].get_result(str(task.id))


def test_another_task_s_result_is_refused() -> None:
    result = add.enqueue(1, 2)
    with pytest.raises(Exception, match=r"[Tt]ask"):
        boom.get_result(result.id)


def test_a_queue_that_no_setting_names_is_refused() -> None:
    with pytest.raises(InvalidTask):
        add.using(queue_name="nowhere").enqueue(1, 2)
    assert not Task.objects.exists()


def test_run_after_and_priority_reach_the_row_and_come_back() -> None:
    when = timezone.now() + timedelta(hours=2)
    result = add.using(run_after=when, priority=-7).enqueue(1, 2)
    row = Task.objects.get(id=result.id)
    assert (row.run_after, row.priority, row.state) == (when, -7, "scheduled")
    again = add.get_result(result.id)
    assert (again.task.run_after, again.task.priority) == (when, -7)


def test_a_unique_key_gives_the_same_result_and_no_second_signal() -> None:
    with heard(task_enqueued) as calls:
        first = add.using(unique_key="once").enqueue(1, 2)
        second = add.using(unique_key="once").enqueue(1, 2)
    assert first.id == second.id
    assert len(calls) == 1


@pytest.mark.parametrize(("definition", "end"), [(add, "SUCCESSFUL"), (add_async, "SUCCESSFUL"), (boom, "FAILED")])
def test_each_signal_is_sent_once_by_the_backend(definition: TaskDefinition, end: str) -> None:
    arguments = [] if definition is boom else [1, 2]
    with heard(task_enqueued) as enqueued, heard(task_started) as started, heard(task_finished) as finished:
        result = definition.enqueue(*arguments)
        run_pointer(result.id)
    for calls, status in ((enqueued, "READY"), (started, "RUNNING"), (finished, end)):
        [(sender, told)] = calls
        assert sender is TaskCenterBackend
        assert (told.id, told.status) == (result.id, TaskResultStatus[status])


def test_a_listener_s_error_does_not_change_how_the_task_ended() -> None:
    def listener(**_: Any) -> None:
        raise RuntimeError("of a stranger")

    task_finished.connect(listener)
    try:
        result = add.enqueue(1, 2)
        run_pointer(result.id)
    finally:
        task_finished.disconnect(listener)
    assert Task.objects.get(id=result.id).state == "completed"


def test_many_at_once_give_a_result_each() -> None:
    results = add.enqueue_many([{"a": number, "b": 1} for number in range(3)])
    assert [result.kwargs["a"] for result in results] == [0, 1, 2]
    assert {str(task.id) for task in Task.objects.all()} == {result.id for result in results}


def test_many_at_once_are_told_of_one_by_one() -> None:
    with heard(task_enqueued) as calls:
        results = add.enqueue_many([{"a": number, "b": 1} for number in range(3)])
    assert [(sender, told.id) for sender, told in calls] == [(TaskCenterBackend, result.id) for result in results]


def test_arguments_are_taken_as_django_s_own_backends_take_them() -> None:
    given = (b"bytes", range(2), MappingProxyType({"a": (1,)}))
    result = echo.enqueue(*given, key=b"more")
    assert (result.args, result.kwargs) == (["bytes", [0, 1], {"a": [1]}], {"key": "more"})
    [many] = echo.enqueue_many([MappingProxyType({"key": b"more"})])
    assert Task.objects.get(id=many.id).kwargs == {"key": "more"}


@pytest.mark.parametrize("value", [timezone.now(), {1}, {(1, 2): 3}, object()])
def test_what_is_not_json_is_refused_in_django_s_words(value: Any) -> None:
    for enqueue in (echo.enqueue, lambda given: echo.enqueue_many([{"a": given}])):
        with pytest.raises(InvalidPayload, match=r"cannot be kept as JSON: .*(Unsupported type|unhashable)") as error:
            enqueue(value)
        assert isinstance(error.value, TypeError)
    assert not Task.objects.exists()


def test_what_django_would_take_and_a_database_would_not_is_refused_too() -> None:
    for value in (float("nan"), "\x00", b"\xff"):
        with pytest.raises(InvalidPayload):
            echo.enqueue(value)
    assert not Task.objects.exists()


def test_a_result_costs_one_query_and_another_one_after_trouble(django_assert_num_queries: Any) -> None:
    good, bad = add.enqueue(1, 2), boom.enqueue()
    for result in (good, bad):
        run_pointer(result.id)
    with django_assert_num_queries(1):
        assert task_backends["default"].get_result(good.id).errors == []
    with django_assert_num_queries(2):
        assert len(task_backends["default"].get_result(bad.id).errors) == 1


def test_a_task_s_own_log_lines_are_not_its_errors() -> None:
    task = make_task(State.FAILED, definition=add.module_path)
    make_event(task, "log", "the other side failed", level="error", data={"traceback": "of the other side"})
    make_event(task, "failed", "ValueError: no", data={"type": "builtins.ValueError", "traceback": "of ours"})
    make_event(task, "crashed", "Its worker stopped answering.")
    errors = task_backends["default"].get_result(str(task.id)).errors
    told = [(error.exception_class, error.traceback) for error in errors]
    assert told == [(ValueError, "of ours"), (RuntimeError, "")]


def test_a_task_whose_queue_is_gone_from_the_settings_still_has_a_result() -> None:
    task = make_task(State.COMPLETED, definition=add.module_path, queue="closed", priority=5)
    result = add.get_result(str(task.id))
    assert (result.return_value, result.task.func) == ({"rows": 3}, add.func)


def test_the_async_twins_do_the_same() -> None:
    # In this thread: nobody would close the connection of another.
    async_to_sync(_use_the_async_twins)()


async def _use_the_async_twins() -> None:
    result = await add_async.aenqueue(3, 4)
    many = await add.aenqueue_many([{"a": 1, "b": 1}] * 2)
    assert len(many) == 2
    assert await Task.objects.acount() == 3
    again = await add_async.aget_result(result.id)
    assert again.status == TaskResultStatus.READY
    await Task.objects.filter(id=result.id).aupdate(state="cancelled", finished_at=timezone.now())
    await again.arefresh()
    assert again.status == TaskResultStatus.FAILED
