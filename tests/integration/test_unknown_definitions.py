"""Tasks whose code is nowhere: failed with a sentence after UNKNOWN_FAILS_AFTER, and never during a deploy."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.utils import timezone

from taskcenter import lifecycle
from taskcenter.enqueue import enqueue_many
from taskcenter.models import Notification, Queue, Report, Task, TaskEvent, Worker
from taskcenter.models.unknown import _WAITING, unheard_since, waiting_definitions
from taskcenter.recovery import TaskRecovery
from taskcenter.states import State
from tests.factories import make_event, make_report, make_task, make_user, make_worker
from tests.integration.rivals import overtaken
from tests.ledger.tasks import add, echo, flaky

pytestmark = pytest.mark.django_db(transaction=True)

LIMIT = timedelta(hours=1)
LONG = timedelta(hours=2)
KNOWN, UNKNOWN = "shop.tasks.known", "shop.tasks.unknown"


def ago(span: timedelta) -> datetime:
    return timezone.now() - span


def waiting(definition: str = UNKNOWN, **fields: Any) -> Task:
    return make_task(**{"definition": definition, "created_at": ago(LONG), **fields})


def worker(*definitions: str, up: timedelta = LONG, **fields: Any) -> Worker:
    return make_worker(definitions=list(definitions or (KNOWN,)), started_at=ago(up), **fields)


def swept() -> int:
    return TaskRecovery().recover_stuck_tasks().unknown_failed


def state(task: Task) -> str:
    return Task.objects.get(id=task.id).state


def test_a_task_that_nobody_has_known_for_long_fails_with_the_reason_and_the_way_out() -> None:
    task = waiting(owner=make_user())
    draft = make_report(task, is_final=False)
    worker()
    assert swept() == 1
    row = Task.objects.get(id=task.id)
    assert (row.state, row.error_type, row.rev) == ("failed", "taskcenter.exceptions.UnknownDefinition", 2)
    assert row.finished_at is not None
    for words in (UNKNOWN, "queue default", "Deploy the code", "retry"):
        assert words in row.error_message
    [event] = row.events.all()
    assert (event.kind, event.level, event.text) == ("failed", "error", row.error_message)
    assert Notification.objects.get(task=task).kind == "failed"
    assert Report.objects.get(id=draft.id).is_final
    assert swept() == 0


def test_a_task_that_a_worker_of_its_queue_knows_is_left_alone() -> None:
    task = waiting(KNOWN)
    worker()
    assert swept() == 0
    assert state(task) == "pending"


def test_knowing_it_on_another_queue_does_not_help() -> None:
    here, there = waiting(), waiting(queue="analysis")
    worker(KNOWN, queues=["default"])
    worker(UNKNOWN, queues=["analysis"])
    assert swept() == 1
    assert (state(here), state(there)) == ("failed", "pending")


@pytest.mark.parametrize(
    "fields",
    [
        {"created_at": timezone.now()},
        {"run_after": timezone.now()},
        {"attempted_at": timezone.now(), "attempt": 1},
    ],
    ids=["made", "due", "tried"],
)
def test_a_task_that_has_not_waited_long_is_left_alone(fields: dict[str, Any]) -> None:
    task = waiting(**fields)
    worker()
    assert swept() == 0
    assert state(task) == "pending"


def test_a_task_to_which_something_has_happened_is_left_alone() -> None:
    """An operator retried it just now, say: the fix may be under way."""
    task = waiting()
    make_event(task, TaskEvent.Kind.RETRIED)
    worker()
    assert swept() == 0
    TaskEvent.objects.update(at=ago(LONG))
    assert swept() == 1


@pytest.mark.parametrize("other", [State.BLOCKED, State.SCHEDULED, State.PROCESSING, State.COMPLETED])
def test_only_pending_tasks_are_failed(other: State) -> None:
    keeper = worker()
    task = waiting(state=other, **({"worker": keeper} if other == State.PROCESSING else {}))
    assert swept() == 0
    assert state(task) == other


# What a deploy looks like.


def test_without_a_living_worker_nothing_is_failed() -> None:
    task = waiting()
    worker(silent=3600)
    worker(stopped_at=ago(LONG))
    worker(queues=["analysis"])
    assert swept() == 0
    assert state(task) == "pending"


def test_while_a_worker_is_young_nothing_of_its_queues_is_failed() -> None:
    waiting()
    worker()
    young = worker(up=timedelta(minutes=5))
    assert swept() == 0
    Worker.objects.filter(id=young.id).update(started_at=ago(LONG))
    assert swept() == 1


@pytest.mark.parametrize("how", ["stopped", "silent"])
def test_a_worker_that_knew_it_a_moment_ago_may_be_on_its_way_back(how: str) -> None:
    task = waiting()
    worker()
    gone = worker(KNOWN, UNKNOWN, silent=60, stopped_at=timezone.now() if how == "stopped" else None)
    assert swept() == 0
    assert state(task) == "pending"
    Worker.objects.filter(id=gone.id).update(heartbeat_at=ago(LONG))
    assert swept() == 1


def test_a_queue_is_paused_for_a_deploy_and_loses_nothing() -> None:
    waiting()
    worker()
    Queue.objects.pause("default")
    assert swept() == 0
    Queue.objects.resume("default")
    assert swept() == 1


def test_the_setting_says_how_long(settings: Any) -> None:
    waiting()
    worker()
    settings.TASKCENTER = {"UNKNOWN_FAILS_AFTER": timedelta(hours=3)}
    assert swept() == 0
    settings.TASKCENTER = {"UNKNOWN_FAILS_AFTER": timedelta(minutes=90)}
    assert swept() == 1


# How it goes about it.


def test_a_cancel_that_comes_at_the_same_moment_wins_or_loses_whole() -> None:
    task = waiting()
    worker()
    cancelled, failed = overtaken(
        lambda: lifecycle.request_cancel(task.id), lambda: lifecycle.fail_unknown(UNKNOWN, ["default"], ago(LIMIT))
    )
    assert (bool(cancelled), failed) == (True, 0)
    assert state(task) == "cancelled"


def test_many_are_failed_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskcenter.recovery.sweep.BATCH", 2)
    for _ in range(3):
        waiting()
    worker()
    assert [swept(), swept(), swept()] == [2, 1, 0]


def test_trouble_with_them_never_stops_a_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> int:
        raise DatabaseError("not now")

    monkeypatch.setattr(lifecycle, "fail_unknown", refuse)
    waiting()
    worker()
    lost = make_task(State.PROCESSING, worker_id=None)
    outcome = TaskRecovery().recover_stuck_tasks()
    assert (outcome.errors, [task_id for task_id, _ in outcome.recovered]) == (1, [lost.id])


def test_waiting_definitions_are_each_named_once() -> None:
    for definition in (KNOWN, UNKNOWN, UNKNOWN, "a.b"):
        waiting(definition)
    make_task(State.COMPLETED, definition="over.and.done")
    assert sorted(waiting_definitions()) == ["a.b", KNOWN, UNKNOWN]


def test_no_definitions_wait_in_an_empty_table() -> None:
    assert waiting_definitions() == []


def plan(sql: str, parameters: Any = ()) -> str:
    explain = "EXPLAIN " if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN "
    with connection.cursor() as cursor:
        cursor.execute(explain + sql, parameters)
        return "\n".join(str(line[-1]) for line in cursor.fetchall())


def test_looking_for_them_walks_an_index() -> None:
    for definition in (add, echo, flaky):
        enqueue_many(definition, [{}] * 2000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE taskcenter_task" if connection.vendor == "postgresql" else "ANALYZE")
    looked = plan(_WAITING.format(table="taskcenter_task"))
    assert "taskcenter_task_definition" in looked
    assert "Seq Scan" not in looked
    reads = [line for line in looked.splitlines() if " taskcenter_task" in line]
    assert all("taskcenter_task_definition" in line for line in reads), looked
    found = plan(*unheard_since(timezone.now(), UNKNOWN, ["default"]).query.sql_with_params())
    assert "taskcenter_task_definition" in found
