"""Lost tasks by the thousand: few statements, no claim torn apart, rivals harmless, one bad row alone."""

from __future__ import annotations

import uuid
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from taskcenter import lifecycle, pointers
from taskcenter.models import Notification, Report, Task, TaskEvent, Worker
from taskcenter.models.lost import pages
from taskcenter.models.worker import stale_before
from taskcenter.recovery import TaskRecovery
from taskcenter.recovery.chunks import CHUNK, KEPT
from tests.factories import make_report, make_task, make_user, make_worker
from tests.integration.rivals import at_once, overtaken

pytestmark = pytest.mark.django_db(transaction=True)

THEN = timezone.now() - timedelta(hours=1)

needs_row_locks = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="SQLite locks the whole database: nothing can be left out"
)


def make_lost(count: int, *, claim: int = 1, worker: Worker | None = None, **fields: Any) -> list[Task]:
    """Lost tasks of one dead worker, so many to a claim."""
    dead = worker or make_worker(silent=3600)
    values = {"definition": "tests.tasks.sample", "state": "processing", "attempt": 1, "worker_id": dead.pk, **fields}
    rows = [Task(**values, attempted_at=THEN + timedelta(seconds=number // claim)) for number in range(count)]
    return Task.objects.bulk_create(rows, batch_size=500)


def fresh(task: Task) -> Task:
    return Task.objects.get(id=task.id)


def told(task: Task) -> list[tuple[str, str]]:
    return [(event.kind, event.text) for event in task.events.told()]


def test_a_thousand_lost_tasks_cost_six_statements_at_most() -> None:
    """With all that may become of them: again, failed with an owner to tell, cancelled, lost in a batch."""
    with CaptureQueriesContext(connection) as idle:
        TaskRecovery().recover_stuck_tasks()
    owner, thousands = make_user(), 2 * CHUNK // 1000
    make_lost(CHUNK // 2)
    make_lost(CHUNK // 2, owner=owner, max_crashes=1)
    make_lost(CHUNK // 2, cancel_requested_at=THEN)
    make_lost(CHUNK // 2, claim=10)
    with CaptureQueriesContext(connection) as busy:
        swept = TaskRecovery().recover_stuck_tasks()

    assert swept.by_state == {"pending": CHUNK, "failed": CHUNK // 2, "cancelled": CHUNK // 2}
    assert Notification.objects.count() == CHUNK // 2
    assert not Task.objects.processing().exists()
    assert len(busy) - len(idle) <= 6 * thousands, "\n".join(query["sql"][:80] for query in busy.captured_queries)
    assert len(swept.recovered) == KEPT, "a sweep remembers each of them"


def test_a_claim_is_never_torn_apart_by_the_end_of_a_page() -> None:
    make_lost(60, claim=7)
    make_lost(20, claim=7)
    make_lost(10, worker_id=None)
    found = list(pages(Task.objects.lost(stale_before()), 10))
    assert sum(len(claim.tasks) for page in found for claim in page) == 90
    whole = Counter((task.worker_id, task.attempted_at) for task in Task.objects.exclude(worker_id=None))
    claims = [claim for page in found for claim in page if claim.tasks[0].worker_id]
    assert {len(claim.tasks) for claim in claims} == set(whole.values())
    assert [len(claim.tasks) for page in found for claim in page if not claim.tasks[0].worker_id] == [1] * 10
    assert not any(claim.more for claim in claims)


def test_of_a_claim_that_is_larger_than_a_page_none_is_blamed() -> None:
    make_lost(21, claim=21)
    recovery = TaskRecovery()
    recovery.chunk = 10  # so that one is left over for the last page
    assert recovery.recover_lost().by_state == {"pending": 21}
    assert set(Task.objects.values_list("crashes", "interrupted")) == {(0, 1)}


def test_one_that_was_lost_alone_is_blamed_and_those_lost_together_are_not() -> None:
    [alone], together = make_lost(1), make_lost(3, claim=3)
    TaskRecovery().recover_stuck_tasks()
    assert (fresh(alone).crashes, fresh(alone).interrupted) == (1, 0)
    assert {(fresh(one).crashes, fresh(one).interrupted) for one in together} == {(0, 1)}


def test_the_events_tell_the_reason_and_the_worker() -> None:
    worker = make_worker(silent=3600, host="web7", pid=77)
    [alone], [mate, _] = make_lost(1, worker=worker), make_lost(2, claim=2)
    [last], [nobody] = make_lost(1, max_crashes=0), make_lost(1, worker_id=None)
    Worker.objects.filter(id=last.worker_id).update(stopped_at=THEN)
    TaskRecovery().recover_stuck_tasks()

    (crashed, why), (recovered, what) = told(alone)
    assert (crashed, recovered) == ("crashed", "recovered")
    assert why.startswith("Its worker stopped answering. Worker web7:77, last heard of at ")
    assert what == "Will run again: Its worker stopped answering."
    assert told(mate)[0][0] == "handed_back"
    assert "nobody knows which one ran" in told(mate)[1][1]
    assert told(last)[1] == ("recovered", "Lost, and it must not be begun twice: Its worker is gone.")
    assert (fresh(last).state, fresh(last).error_message) == ("failed", "Its worker is gone.")
    assert told(nobody)[0] == ("crashed", "No worker stands behind it.")
    verdicts = TaskEvent.objects.filter(kind="recovered").values_list("task_id", "data__verdict")
    assert dict(verdicts)[last.id] == "failed"
    assert dict(verdicts)[alone.id] == "again"


def test_lines_are_told_behind_those_that_were_told_before() -> None:
    [task] = make_lost(1)
    for number in range(3):
        TaskEvent.objects.tell(task.id, TaskEvent.Kind.LOG, f"line {number}")
    TaskRecovery().recover_stuck_tasks()
    assert [event.seq for event in task.events.told()] == [1, 2, 3, 4, 5]


def test_what_ended_has_its_report_and_nobody_else_s() -> None:
    failed, again = make_lost(1, max_crashes=1)[0], make_lost(1)[0]
    for task in (failed, again):
        make_report(task, is_final=False)
    TaskRecovery().recover_stuck_tasks()
    assert dict(Report.objects.values_list("task", "is_final")) == {failed.id: True, again.id: False}


def test_waiting_tasks_are_woken_not_mirrored(redis_client: redis.Redis) -> None:
    make_lost(pointers.ENOUGH + 300)
    make_lost(5, queue="analysis")
    TaskRecovery().recover_lost()
    assert pointers.count_all(["default", "analysis"]) == {"default": pointers.ENOUGH, "analysis": 5}


def test_the_bad_rows_are_found_and_the_others_are_put_right(caplog: pytest.LogCaptureFixture) -> None:
    make_lost(40, claim=3)
    bad = [make_lost(1, crashes=1)[0] for _ in range(2)]  # the database refuses more crashes than attempts
    swept = TaskRecovery().recover_stuck_tasks()
    assert (swept.count, swept.errors) == (40, 2)
    assert set(Task.objects.processing()) == set(bad)
    for task in bad:
        assert f"Task {task.id} could not be recovered" in caplog.text


def test_a_line_told_at_the_same_moment_costs_nobody_anything() -> None:
    """It takes the number of ours; the database refuses the chunk, and it is tried again."""
    tasks = make_lost(4)

    def tell() -> None:
        TaskEvent.objects.tell(tasks[1].id, TaskEvent.Kind.LOG, "still here", attempt=1)

    _, swept = overtaken(tell, TaskRecovery().recover_lost)
    assert (swept.count, swept.errors) == (4, 0)
    assert sorted(kind for kind, _ in told(tasks[1])) == ["crashed", "log", "recovered"]


def test_many_recoveries_at_once_put_each_task_right_once() -> None:
    make_lost(300)
    make_lost(300, claim=10)
    make_lost(30, max_crashes=1)
    swept = at_once(4, lambda _: TaskRecovery().recover_lost())
    assert sum(one.count for one in swept) == 630
    assert not Task.objects.processing().exists()
    assert set(Task.objects.values_list("rev", "attempt")) == {(2, 1)}
    counts = Counter(Task.objects.values_list("state", "crashes", "interrupted"))
    assert counts == {("pending", 1, 0): 300, ("pending", 0, 1): 300, ("failed", 1, 0): 30}
    assert TaskEvent.objects.filter(kind="recovered").count() == 630


def test_a_finish_between_finding_and_acting_stays() -> None:
    """The worker was slow, not dead: what it ends before we act has ended."""
    found = make_lost(2) + make_lost(3, claim=3)
    [page] = pages(Task.objects.lost(stale_before()), CHUNK)
    for task in (found[0], found[2]):
        assert lifecycle.complete(fresh(task), "in time").moved
    done = lifecycle.recover_many(page, Counter())
    assert set(done.outcomes) == {found[1].id}
    assert [task.id for task in done.torn] == [found[3].id], "of the rest nobody knows any more who was lost with whom"
    assert {fresh(task).state for task in (found[0], found[2])} == {"completed"}


@needs_row_locks
def test_a_finish_in_flight_is_neither_waited_for_nor_overrun() -> None:
    slow, *others = make_lost(5)

    def rival() -> Any:
        swept = TaskRecovery().recover_lost()
        assert fresh(slow).state == "processing", "it waited for the end"
        return swept

    finished, swept = overtaken(lambda: lifecycle.complete(slow, "in time"), rival)
    assert finished.moved
    assert {task_id for task_id, _ in swept.recovered} == {task.id for task in others}
    assert (fresh(slow).state, fresh(slow).crashes) == ("completed", 0)


@needs_row_locks
def test_the_rest_of_a_claim_waits_for_the_one_that_is_ending() -> None:
    """Then it is known who was lost: not together with the one that ended well."""
    ending, lost = make_lost(2, claim=2)
    finished, swept = overtaken(lambda: lifecycle.complete(ending, "in time"), TaskRecovery().recover_lost)
    assert finished.moved
    assert [task_id for task_id, _ in swept.recovered] == [lost.id]
    assert (fresh(lost).crashes, fresh(lost).interrupted) == (1, 0)


def test_an_attempt_that_was_begun_anew_meanwhile_is_left_alone() -> None:
    [task] = make_lost(1)
    [page] = pages(Task.objects.lost(stale_before()), CHUNK)
    Task.objects.filter(id=task.id).update(attempt=2)
    assert lifecycle.recover_many(page, Counter()).outcomes == {}
    assert fresh(task).state == "processing"


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL's planner goes by the numbers of rows")
def test_a_chunk_is_moved_by_primary_key() -> None:
    """Through all that are processing instead, and through the whole chunk for each: that would be for ever."""
    make_lost(3)
    [page] = pages(Task.objects.lost(stale_before()), CHUNK)
    with CaptureQueriesContext(connection) as queries:
        lifecycle.recover_many(page, Counter())
    [update] = [query["sql"] for query in queries if query["sql"].lstrip().startswith("UPDATE taskcenter_task")]
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {update}")
        plan = "\n".join(str(row[-1]) for row in cursor.fetchall())
    assert "SEARCH taskcenter_task USING INDEX sqlite_autoindex_taskcenter_task_1 (id=?)" in plan


def test_without_time_the_rest_is_for_the_next_sweep() -> None:
    make_lost(30)
    recovery = TaskRecovery(seconds=0)
    recovery.chunk = 10
    assert [recovery.recover_stuck_tasks().count for _ in range(4)] == [10, 10, 10, 0]


def test_it_narrows_by_queue_age_and_worker() -> None:
    here, there = make_lost(1)[0], make_lost(1, queue="analysis")[0]
    recovery = TaskRecovery()
    assert recovery.recover_lost(begun_before=THEN - timedelta(seconds=1)).count == 0
    assert recovery.recover_lost(workers=[uuid.uuid4()]).count == 0
    assert recovery.recover_lost(queue="analysis").count == 1
    assert (fresh(here).state, fresh(there).state) == ("processing", "pending")
    assert recovery.recover_lost(workers=[here.worker_id]).count == 1  # type: ignore[list-item]  # it has one


def test_dead_workers_are_retired_together_once_they_hold_nothing() -> None:
    idle, busy, alive = make_worker(silent=60), make_worker(silent=60), make_worker()
    make_task("processing", worker=busy, attempted_at=timezone.now())
    assert TaskRecovery().recover_stuck_tasks().workers_retired == 1
    assert set(Worker.objects.filter(stopped_at=None)) == {busy, alive}
    assert idle not in Worker.objects.filter(stopped_at=None)
