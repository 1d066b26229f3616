"""explain(): each cause by its name, its sentence and its way out; bounded, and without Redis too."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rq.suspension import resume, suspend

from taskcenter import definitions, lifecycle, pointers
from taskcenter.enqueue import key_hash
from taskcenter.explain import Explanation, aexplain, explain, explain_key
from taskcenter.explain.crowd import AHEAD_CAP
from taskcenter.models import Queue, Task, TaskEvent, Worker
from taskcenter.recovery import TaskRecovery
from taskcenter.states import State
from tests.factories import make_event, make_task, make_user, make_worker
from tests.integration.test_claim_plan import walk
from tests.ledger.tasks import add
from tests.servers import ValkeyServer, free_port

pytestmark = pytest.mark.django_db(transaction=True)

KNOWN, UNKNOWN = "tests.tasks.sample", "shop.tasks.gone"
HOUR = timedelta(hours=1)
STATEMENTS = 9
"""SQL statements of one explanation, at most."""


@pytest.fixture(autouse=True)
def _code_that_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The code here defines what the factory's tasks name."""
    monkeypatch.setitem(definitions._registry, KNOWN, add)


def worker(*known: str, **fields: Any) -> Worker:
    return make_worker(**{"definitions": list(known or (KNOWN,)), "slots": 1, **fields})


def running(held_by: Worker, **fields: Any) -> Task:
    """Begun two minutes ago, and a second for each `number`: by itself, so that it fills a slot."""
    begun = timezone.now() - timedelta(seconds=120 + fields.pop("number", 0))
    return make_task(State.PROCESSING, worker=held_by, attempted_at=begun, **fields)


def codes(found: Explanation) -> list[str]:
    return [reason.code for reason in found.reasons]


def wake(queue: str = "default") -> None:
    """A pointer in the queue's list, as an enqueue leaves one."""
    assert pointers.push([(uuid.uuid4(), queue)])


# Waiting for something of its own.


def test_a_task_whose_time_has_not_come() -> None:
    worker()
    found = explain(make_task(State.SCHEDULED, run_after=timezone.now() + timedelta(minutes=90)))
    assert codes(found) == ["not_due"]
    assert "in 1 h 30 min." in str(found)
    assert found.reasons[0].data["seconds_left"] == pytest.approx(5400, abs=5)


def test_a_retry_names_its_failure_and_its_time() -> None:
    worker()
    task = make_task(State.PROCESSING, max_attempts=3)
    lifecycle.fail(task, lifecycle.Failure("builtins.ConnectionError", "not now"), delay=600)
    [reason] = explain(task).reasons
    assert reason.code == "retry"
    assert "Attempt 1 failed (ConnectionError: not now), the failure 1 of 3." in reason.text
    assert "in 10 min" in reason.text


def test_a_snoozed_task_that_has_failed_before_waits_for_its_snooze() -> None:
    worker()
    task = make_task(State.PROCESSING, attempt=2, failures=1, max_attempts=3)
    make_event(task, TaskEvent.Kind.RETRY_PLANNED, attempt=1)
    lifecycle.snooze(task, 60)
    assert codes(explain(task)) == ["snoozed"]


def test_a_due_task_that_nobody_has_made_pending() -> None:
    task = make_task(State.SCHEDULED, run_after=timezone.now() - timedelta(seconds=20))
    found = explain(task)
    assert codes(found) == ["due", "no_worker"]
    assert "no worker is alive" in found.reasons[0].text
    assert "rqworker default" in found.reasons[0].fix
    worker()
    assert (codes(explain(task)), explain(task).reasons[0].fix) == (["due"], "")


def test_what_would_hold_a_scheduled_task_is_told_after_its_time() -> None:
    worker(UNKNOWN)
    Queue.objects.pause("default", "stocktaking")
    found = explain(make_task(State.SCHEDULED))
    assert codes(found) == ["not_due", "queue_paused", "unknown_definition"]
    Queue.objects.resume("default")
    [_, unknown] = explain(make_task(State.SCHEDULED)).reasons
    assert unknown.data["fails_at"] is None, "only pending tasks are failed"


def test_a_blocked_task_names_the_parent_it_waits_for() -> None:
    parent = make_task(State.PROCESSING, title="Import")
    [reason] = explain(make_task(State.BLOCKED, parent=parent, waits_for=1)).reasons
    assert (reason.code, reason.fix) == ("parents", "")
    assert reason.text == f"It waits for one parent to finish. That is Import ({parent.pk}), which is processing."
    failed = make_task(State.FAILED)
    [reason] = explain(make_task(State.BLOCKED, parent=failed, waits_for=3)).reasons
    assert "3 parents" in reason.text
    assert "One of them is" in reason.text
    assert "Retry" in reason.fix


def test_blocked_without_any_parent_left_is_told() -> None:
    assert codes(explain(make_task(State.BLOCKED, waits_for=0))) == ["parents_gone"]
    assert codes(explain(make_task(State.BLOCKED, waits_for=2))) == ["parents"]


# Queue and workers.


def test_a_paused_queue_says_since_when_and_why() -> None:
    worker()
    Queue.objects.pause("default", "the supplier is down")
    [reason] = explain(make_task()).reasons
    assert reason.code == "queue_paused"
    assert reason.text.endswith(": the supplier is down.")
    assert "manage.py resume_queue default" in reason.fix
    assert reason.data["reason"] == "the supplier is down"


def test_without_a_living_worker_the_command_to_start_one_is_told() -> None:
    worker(silent=60)
    worker(stopped_at=timezone.now())
    found = explain(make_task(queue="analysis"))
    assert str(found) == (
        "No living worker serves queue analysis: no worker is alive at all. Start one: manage.py rqworker analysis"
    )
    worker(queues=["default"])
    [reason] = explain(make_task(queue="analysis")).reasons
    assert reason.code == "no_worker"
    assert "one living worker on default only" in reason.text


def test_a_worker_of_code_that_does_not_know_the_task_is_not_held_out_as_the_remedy() -> None:
    found = explain(make_task(definition=UNKNOWN))
    assert codes(found) == ["no_worker", "unknown_definition"]
    assert f"does not define {UNKNOWN}" in found.reasons[1].text
    assert "Deploy the code" in found.reasons[1].fix


def test_a_queue_that_no_setting_names_is_told_as_such() -> None:
    [reason] = explain(make_task(queue="old")).reasons
    assert reason.code == "unknown_queue"
    assert "RQ_QUEUES names analysis, default" in reason.text
    assert "Add 'old' to RQ_QUEUES" in reason.fix


def test_suspended_workers_are_told_with_the_command_that_ends_it(redis_client: redis.Redis) -> None:
    worker()
    suspend(redis_client)
    task = make_task()
    assert codes(explain(task)) == ["workers_suspended"]
    assert "manage.py rqresume" in str(explain(task))
    resume(redis_client)
    assert "workers_suspended" not in codes(explain(task))


def test_a_definition_that_no_worker_knows_and_when_it_will_be_failed() -> None:
    """At the moment told, and not before it, the sweep fails it."""
    knew = worker(UNKNOWN, silent=1000, started_at=timezone.now() - 3 * HOUR)
    worker(KNOWN, started_at=timezone.now() - 2 * HOUR)
    task = make_task(definition=UNKNOWN, created_at=timezone.now() - 4 * HOUR)
    [reason] = explain(task).reasons
    assert reason.code == "unknown_definition"
    assert reason.text.startswith(f"The one living worker of queue default does not know {UNKNOWN}. Nor does the code")
    assert "Deploy the code" in reason.fix
    assert reason.data["fails_at"] == (knew.heartbeat_at + HOUR).isoformat()

    assert TaskRecovery().recover_stuck_tasks().unknown_failed == 0
    Worker.objects.filter(pk=knew.pk).update(heartbeat_at=timezone.now() - HOUR)  # its hour is over now
    assert TaskRecovery().recover_stuck_tasks().unknown_failed == 1
    assert codes(explain(task)) == ["failed"]


@pytest.mark.parametrize("news", ["event", "run_after", "attempted_at", "young worker"])
def test_each_hope_puts_off_the_failing_of_an_unknown_definition(news: str) -> None:
    moment = timezone.now() - timedelta(minutes=10)
    worker(KNOWN, started_at=moment if news == "young worker" else timezone.now() - 2 * HOUR)
    times = {news: moment} if news in {"run_after", "attempted_at"} else {}
    task = make_task(definition=UNKNOWN, created_at=timezone.now() - 4 * HOUR, **times)
    if news == "event":
        TaskEvent.objects.filter(pk=make_event(task).pk).update(at=moment)
    assert explain(task).reasons[0].data["fails_at"] == (moment + HOUR).isoformat()


def test_workers_of_old_code_are_told_from_code_that_nobody_has() -> None:
    worker(KNOWN)
    [reason] = explain(make_task(definition=add.module_path)).reasons
    assert "The code here does" in reason.text
    assert "Restart the workers" in reason.fix


def test_one_worker_that_knows_it_is_enough() -> None:
    worker(UNKNOWN)
    worker(KNOWN)
    wake()
    assert codes(explain(make_task())) == ["unexplained"]


# Other tasks.


def test_a_limit_names_the_tasks_that_use_it_up() -> None:
    busy = worker(slots=9)
    Queue.objects.limit("default", 5)
    held = [running(busy, title=f"Load {number}", number=number) for number in range(5)]
    [reason] = explain(make_task()).reasons
    assert reason.code == "limit_reached"
    assert f"lets 5 tasks run at once, and so many do: Load 4 ({held[4].pk})" in reason.text
    assert reason.text.endswith("and 2 more.")
    assert len(reason.data["tasks"]) == 3
    Queue.objects.limit("default", 6)
    assert "limit_reached" not in codes(explain(make_task()))


def test_busy_slots_name_what_is_in_them() -> None:
    busy = worker(slots=2)
    first = running(busy, title="Long one", number=2)
    task = make_task()
    assert "workers_busy" not in codes(explain(task))
    running(busy, number=1)
    [reason] = explain(task).reasons
    assert reason.code == "workers_busy"
    assert reason.text.startswith(f"All 2 slots that could run it are busy, on web1:4242: Long one ({first.pk}), ")
    assert "rqworker default" in reason.fix
    worker(slots=1)
    assert "workers_busy" not in codes(explain(task))


def test_a_batch_fills_one_slot_only() -> None:
    busy = worker(slots=2)
    at = timezone.now()
    for _ in range(8):
        make_task(State.PROCESSING, worker=busy, attempted_at=at)
    assert "workers_busy" not in codes(explain(make_task()))


def test_free_slots_of_workers_that_do_not_know_it_do_not_count() -> None:
    running(worker(KNOWN))
    worker(UNKNOWN, slots=5)
    assert codes(explain(make_task()))[0] == "workers_busy"


def test_what_comes_first_is_counted_by_why_it_does() -> None:
    running(worker(KNOWN, UNKNOWN, queues=["default", "analysis"]))
    for priority in (5, 5, 0, -5):
        make_task(priority=priority)
    for elsewhere in ({"queue": "analysis"}, {"definition": "nobody.knows.it"}):
        for priority in (9, 0):
            make_task(priority=priority, **elsewhere)
    task = make_task()
    make_task()
    found = explain(task)
    assert codes(found) == ["workers_busy", "behind"]
    text = "3 tasks of queue default come first: 2 of higher priority and 1 older. Its workers serve analysis too."
    assert found.reasons[1].text == text
    assert found.reasons[1].data["is_capped"] is False


def test_a_long_line_is_counted_as_far_as_the_cap() -> None:
    Task.objects.bulk_create(Task(definition=KNOWN) for _ in range(AHEAD_CAP + 5))
    worker()  # not before: on a slow machine the inserts outlast a heartbeat
    reason = next(reason for reason in explain(make_task()).reasons if reason.code == "behind")
    assert reason.text.startswith(f"At least {AHEAD_CAP:,} tasks of queue default come first")
    assert (reason.data["ahead"], reason.data["is_capped"]) == (AHEAD_CAP, True)


# Nothing holds it.


def test_a_free_worker_is_about_to_take_it() -> None:
    worker()
    wake()
    assert codes(explain(make_task(created_at=timezone.now()))) == ["soon"]


def test_without_pointers_workers_find_it_by_themselves(redis_client: redis.Redis) -> None:
    worker()
    wake()
    redis_client.flushall()
    found = explain(make_task(created_at=timezone.now()))
    assert codes(found) == ["soon", "no_pointer"]
    assert "every second" in found.reasons[1].text


def test_what_cannot_be_explained_is_not_explained_away() -> None:
    worker()
    wake()
    found = explain(make_task())
    assert codes(found) == ["unexplained"]
    assert "web1:4242" in found.reasons[0].fix


def test_a_task_that_was_just_retried_has_not_waited_since_it_was_made() -> None:
    worker()
    wake()
    task = make_task(State.FAILED)
    assert lifecycle.retry(task.pk)
    assert codes(explain(task)) == ["soon"]


def test_everything_is_explained_without_redis_too(valkey: ValkeyServer, settings: Any) -> None:
    settings.RQ_QUEUES = {"default": {"URL": valkey.url}}
    worker()
    task = make_task(created_at=timezone.now())
    assert codes(explain(task)) == ["soon", "no_pointer"]
    valkey.kill9()
    assert codes(explain(task)) == ["soon", "redis_away"]
    Queue.objects.pause("default")
    assert codes(explain(task)) == ["queue_paused"]


def test_a_redis_that_was_never_there_is_away(settings: Any) -> None:
    settings.RQ_QUEUES = {"default": {"URL": f"redis://127.0.0.1:{free_port()}/0"}}
    worker()
    assert "redis_away" in codes(explain(make_task()))


# Claimed.


def test_a_running_task_is_running() -> None:
    found = explain(running(worker(), attempt=2))
    assert codes(found) == ["running"]
    assert found.is_running
    assert "attempt 2 began 2 min ago on worker web1:4242" in str(found)


def test_a_cancel_that_is_not_yet_obeyed_names_who_asked() -> None:
    task = running(worker())
    lifecycle.request_cancel(task.pk, actor=make_user("ann"), reason="wrong file")
    found = explain(task)
    assert codes(found) == ["cancelling", "running"]
    assert not found.is_running
    assert found.reasons[0].text.startswith("ann asked it to stop 0 s ago (wrong file).")
    assert "killed after 2 s" in found.reasons[0].text


def test_a_lost_task_says_who_will_recover_it() -> None:
    task = running(worker(silent=60))
    found = explain(task)
    assert codes(found) == ["lost"]
    assert "No worker is alive to recover it" in str(found)
    assert "rqworker default" in found.reasons[0].fix
    worker(queues=["analysis"])
    found = explain(task)
    assert "A living worker recovers it within 1 s" in str(found)
    assert f"recover_tasks --task {task.pk}" in found.reasons[0].fix
    assert "It will run again" in str(found)


def test_a_lost_task_says_what_becomes_of_it() -> None:
    dead = worker(stopped_at=timezone.now())
    assert "it will be failed" in str(explain(running(dead, attempt=3, crashes=2)))
    asked = running(dead, number=1)
    lifecycle.request_cancel(asked.pk)
    assert codes(explain(asked)) == ["lost", "cancelling"]
    assert "cancelled when it is recovered" in explain(asked).reasons[1].text


def test_an_attempt_too_young_to_be_given_up_says_when_it_will_be() -> None:
    task = make_task(State.PROCESSING, worker_id=uuid.uuid4(), attempted_at=timezone.now())
    found = explain(task)
    assert codes(found) == ["silent"]
    assert found.reasons[0].data["lost_at"] == (task.attempted_at + timedelta(seconds=3)).isoformat()
    assert explain(make_task(State.PROCESSING, worker_id=None)).reasons[0].code == "lost"


# Over.


def test_how_a_task_ended() -> None:
    assert codes(explain(make_task(State.COMPLETED))) == ["completed"]
    found = explain(make_task(State.FAILED))
    assert codes(found) == ["failed"]
    assert "1 of 1 failures" in str(found)
    assert "ValueError: line 41 has 9 fields, expected 8" in str(found)


@pytest.mark.parametrize("state", [State.PENDING, State.PROCESSING])
def test_who_cancelled_it_and_why(state: State) -> None:
    task = make_task(state)
    lifecycle.request_cancel(task.pk, actor=make_user("ann"), reason="no longer wanted")
    if state == State.PROCESSING:
        lifecycle.cancelled(task)
    [reason] = explain(task).reasons
    assert reason.code == "cancelled"
    assert reason.text.startswith("It was cancelled by ann at ")
    assert reason.text.endswith("The reason given: no longer wanted")
    assert reason.data["by"] == "ann"


def test_a_retry_that_would_be_refused_names_the_task_that_holds_the_key() -> None:
    task = make_task(State.FAILED, unique_key="k")
    assert codes(explain(task)) == ["failed"]
    holder = make_task(unique_key="k", title="The other")
    found = explain(task)
    assert codes(found) == ["failed", "key_held"]
    assert f"held by task The other ({holder.pk})" in found.reasons[1].text


def test_a_task_that_is_gone() -> None:
    task = make_task(State.COMPLETED)
    Task.objects.all().delete()
    found = explain(task)
    assert (codes(found), found.state) == (["gone"], None)
    assert "after 7 days" in str(found) or "7 days after" in str(found)


def test_the_row_is_read_anew() -> None:
    task = make_task()
    lifecycle.request_cancel(task.pk)
    assert explain(task).state == "cancelled"


def test_an_enqueue_that_made_no_task_is_explained_by_its_key() -> None:
    holder = add.using(unique_key="nightly").enqueue(1, 2)
    assert add.using(unique_key="nightly").enqueue(1, 2).id == holder.id
    found = explain_key(add.module_path, "nightly")
    assert (str(found.task_id), codes(found)) == (holder.id, ["key_held", "no_worker"])
    assert codes(explain_key(add.module_path, "weekly")) == ["key_free"]
    assert "no definition of that name" in str(explain_key("no.such.thing", "nightly"))
    assert Task.objects.get().unique_key == key_hash(add.module_path, "nightly")


async def test_it_can_be_awaited() -> None:
    assert (await aexplain(Task(id=uuid.uuid4(), definition="a.b"))).state is None


# What others may see.


def test_tasks_that_a_reader_may_not_see_are_counted_and_not_named() -> None:
    ann = make_user("ann")
    busy = worker(slots=2)
    mine, other = (running(busy, title=title, owner=owner) for title, owner in (("Mine", ann), ("Secret", None)))
    Task.objects.filter(pk=other.pk).update(attempted_at=timezone.now())
    [reason] = explain(make_task(owner=ann), user=ann).reasons
    assert f"Mine ({mine.pk}) and 1 more." in reason.text
    assert "Secret" not in json.dumps(reason.as_dict())
    key = make_task(State.FAILED, unique_key="k", owner=ann)
    make_task(unique_key="k", title="Secret")
    parent = make_task(State.BLOCKED, parent=other, waits_for=1, owner=ann)
    for task in (key, parent):
        text = json.dumps(explain(task, user=ann).as_dict())
        assert "Secret" not in text
        assert str(other.pk) not in text
    Queue.objects.limit("default", 1)
    assert "Secret" not in json.dumps(explain(make_task(owner=ann), user=ann).as_dict())


# What it costs.


def everything() -> Iterator[Task]:
    """A task for each story, with as much around it as there can be."""
    user = make_user()
    busy = [worker(KNOWN, slots=2, queues=["default", "analysis"]) for _ in range(3)]
    for number in range(6):
        running(busy[number % 3], number=number, owner=user)
    for _ in range(30):
        make_task(priority=2)
    yield make_task()
    yield make_task(definition=UNKNOWN)
    yield make_task(queue="analysis")
    yield make_task(queue="nowhere")
    yield make_task(State.BLOCKED, parent=make_task(), waits_for=2)
    for state in (State.SCHEDULED, State.PROCESSING, *State):
        task = make_task(
            state, attempt=3, worker=worker(silent=60), unique_key=f"key {state}", cancel_requested_at=None
        )
        for kind in TaskEvent.Kind:
            make_event(task, kind, actor=user)
        holder = make_task(unique_key=f"key {state}") if task.is_final else None
        yield task
        Task.objects.filter(pk__in=[task.pk, holder and holder.pk]).update(unique_key=None)


def test_every_explanation_costs_few_statements_and_one_round_trip(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    look = pointers.look
    monkeypatch.setattr(pointers, "look", lambda queue: asked.append(queue) or look(queue))
    seen = set()
    reader = make_user("reader")
    for limit in (None, 2):
        Queue.objects.limit("default", limit)
        for task in everything():
            for user in (None, reader):
                asked.clear()
                with CaptureQueriesContext(connection) as captured:
                    found = explain(task, user=user)
                assert len(captured) <= STATEMENTS, [query["sql"] for query in captured.captured_queries]
                assert len(asked) <= 1
                assert json.loads(json.dumps(found.as_dict()))["reasons"]
                seen.update(codes(found))
        Worker.objects.all().delete()
        Task.objects.all().delete()
    assert {"limit_reached", "workers_busy", "behind", "unknown_definition", "lost", "key_held", "parents"} <= seen


@pytest.fixture
def long_line(transactional_db: None) -> Iterator[int]:
    """Three hundred thousand rows on one queue: most finished, a third waiting; statistics are fresh."""
    rows = 300_000
    if connection.vendor != "postgresql":
        pytest.skip("PostgreSQL's planner; the caps are the same elsewhere")
    models = [(make_task(state="completed", definition=KNOWN), rows * 2 // 3), (make_task(definition=KNOWN), rows // 3)]
    names = [f'"{field.column}"' for field in Task._meta.concrete_fields if field.column not in {"id", "priority"}]
    columns = ", ".join(names)
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
        for model, count in models:  # as they are to be: an UPDATE of many may be planned for a table of one row
            cursor.execute(
                f"INSERT INTO taskcenter_task (id, priority, {columns}) "  # noqa: S608 names of our own columns
                f"SELECT gen_random_uuid(), (random() * 10)::int, {columns} FROM taskcenter_task, "
                f"generate_series(1, {count}) WHERE id = %s",
                [model.id],
            )
        cursor.execute("VACUUM ANALYZE taskcenter_task")
    yield rows
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE taskcenter_task CASCADE")


def test_no_statement_reads_a_long_line_to_its_end(long_line: int) -> None:
    busy = worker(slots=2)
    for number in range(2):
        running(busy, number=number)
    behind, first = make_task(priority=-100), make_task(priority=100)
    unknown = make_task(definition=UNKNOWN)
    looked = 0
    for task, limit in ((behind, None), (first, None), (behind, 2), (unknown, None)):
        Queue.objects.limit("default", limit)
        with CaptureQueriesContext(connection) as captured:
            explain(task)
        for query in captured.captured_queries:
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {query['sql']}")
                [[plan]] = cursor.fetchall()
            for node in walk(plan[0]["Plan"]):
                if node.get("Relation Name") == "taskcenter_task":
                    assert node["Node Type"] != "Seq Scan", query["sql"]
                    read = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
                    assert read <= AHEAD_CAP, query["sql"]
                    looked += 1
    assert looked > 12, "it has not seen the statements it is about"
