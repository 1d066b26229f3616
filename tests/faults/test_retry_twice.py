"""Retry is clicked twice, from two browsers, and once more when the task has failed again meanwhile."""

from __future__ import annotations

from django.contrib.admin.models import LogEntry

from taskcenter.models import Task
from tests.faults.operators import Operator, all_at_once, events_of
from tests.faults.stack import Stack, require_fired, wait_until
from tests.ledger.tasks import flop, stumble


def failed_again(task_id: str, attempt: int) -> Task | None:
    return Task.objects.filter(id=task_id, state="failed", attempt=attempt).first()


def test_one_failure_is_retried_once_however_often_it_is_clicked(stack: Stack) -> None:
    stack.worker()
    task_id = stack.enqueue(flop)
    stack.wait_final(task_id)
    ann, bob = Operator("ann"), Operator("bob")
    forms = [(operator, operator.ask("retry", task_id)) for operator in (ann, bob)]

    said = all_at_once(*[lambda who=who, form=form: who.confirm(form) for who, form in forms * 2])
    wait_until(lambda: failed_again(task_id, 2), "it has failed for the second time")
    late = [who.confirm(form) for who, form in forms]

    require_fired(failed_again(task_id, 2), "a late click met a task that it could not have retried anyway")
    assert [("It will run again" in text) for text in said].count(True) == 1, said
    assert all("not done a second time" in text for text in late)
    assert stack.book.begun(task_id) == [1, 2]
    assert events_of("retried", task_id) == 1
    assert LogEntry.objects.count() == 1


def test_many_tasks_are_retried_once_by_two_people(stack: Stack) -> None:
    stack.worker(concurrency=2)
    ids = [stack.enqueue(stumble) for _ in range(6)]
    stack.wait_final(*ids)
    ann, bob = Operator("ann"), Operator("bob")
    forms = [(operator, operator.ask("retry", *ids)) for operator in (ann, bob)]

    said = all_at_once(*[lambda who=who, form=form: who.confirm(form) for who, form in forms * 2])
    stack.book.open_gate(2)
    stack.wait_final(*ids)

    require_fired(sum("left alone" in text for text in said), "nobody clicked what was retried already")
    assert sum("6 retried" in text for text in said) == 1, said
    assert events_of("retried", *ids) == 6
    assert {tuple(stack.book.begun(one)) for one in ids} == {(1, 2)}
    assert {task.state for task in Task.objects.filter(id__in=ids)} == {"completed"}
    assert LogEntry.objects.count() == 1
