"""What people want of running tasks: the one question that each worker's parent asks every second."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from taskcenter.lifecycle import answer_stack, ask_for_stack
from taskcenter.models import Task, TaskEvent
from taskcenter.models.event import wishes
from tests.factories import make_task, make_worker

pytestmark = pytest.mark.django_db


def running(**fields: Any) -> Task:
    return make_task("processing", worker=make_worker(), **fields)


def wanted(*tasks: Task) -> list[tuple[Any, int, bool, bool]]:
    return sorted(tuple(wish) for wish in wishes([task.id for task in tasks]))  # type: ignore[misc]


def test_it_finds_what_is_wanted_and_nothing_else() -> None:
    plain, cancelled, asked, both, other = (running() for _ in range(5))
    Task.objects.filter(id__in=[cancelled.id, both.id]).update(cancel_requested_at=timezone.now())
    for task in (asked, both, other):
        assert ask_for_stack(task.id)
    found = wanted(plain, cancelled, asked, both)
    assert found == sorted([(cancelled.id, 1, True, False), (asked.id, 1, False, True), (both.id, 1, True, True)])


def test_an_answered_question_is_no_wish_and_a_new_one_is() -> None:
    task = running()
    ask_for_stack(task.id)
    assert answer_stack(task.id, 1, trouble="", stack="in f")
    assert wanted(task) == []
    assert ask_for_stack(task.id)
    assert wanted(task) == [(task.id, 1, False, True)]


def test_a_question_is_of_one_attempt_and_so_is_its_answer() -> None:
    task = running()
    ask_for_stack(task.id)
    Task.objects.filter(id=task.id).update(attempt=2)
    assert wanted(task) == []
    assert not answer_stack(task.id, 1, trouble="", stack="in f")
    assert not TaskEvent.objects.filter(kind="stack").exists()


def test_of_a_task_that_has_ended_nothing_is_wanted() -> None:
    task = running()
    ask_for_stack(task.id)
    Task.objects.filter(id=task.id).update(state="completed", finished_at=timezone.now() + timedelta(seconds=1))
    assert wanted(task) == []


def test_a_long_history_does_not_slow_it_down() -> None:
    task = running()
    TaskEvent.objects.bulk_create(TaskEvent(task=task, seq=seq, kind="log", attempt=1) for seq in range(1, 3001))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        with CaptureQueriesContext(connection) as asked:
            assert wishes([task.id]) == []
        [question] = asked.captured_queries
        explain = "EXPLAIN" if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN"
        cursor.execute(f"{explain} {question['sql']}")
        plan = str(cursor.fetchall())
    assert "taskcenter_event_stacks" in plan, plan
