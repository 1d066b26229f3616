"""`recover_tasks --reconcile`: Redis beside the database, after it forgot, and however much waits."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import redis
from asgiref.sync import async_to_sync
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from taskcenter import pointers
from taskcenter.models import Task
from taskcenter.pointers import ENOUGH
from taskcenter.recovery import Difference, TaskRecovery
from taskcenter.states import State
from tests.factories import make_task, make_worker
from tests.servers import free_port

pytestmark = pytest.mark.django_db(transaction=True)

IS_POSTGRES = connection.vendor == "postgresql"
ROWS = 200_000 if IS_POSTGRES else 20_000
"""SQLite's plans do not look at the number of rows; writing them takes it long."""


def said(*arguments: str) -> str:
    out = io.StringIO()
    call_command("recover_tasks", "--reconcile", *arguments, stdout=out)
    return out.getvalue()


def told(*arguments: str) -> dict[str, Any]:
    answer = json.loads(said("--format", "json", *arguments))
    answer["queues"] = {one.pop("queue"): one for one in answer["queues"]}
    return answer


def listed(queue: str = "default") -> list[uuid.UUID]:
    return pointers.listed(queue) or []


def push(*task_ids: uuid.UUID, queue: str = "default") -> None:
    assert pointers.push([(task_id, queue) for task_id in task_ids])


@pytest.fixture
def crowd(transactional_db: None) -> Iterator[None]:
    """Hundreds of thousands of tasks that wait in one queue."""
    task = make_task()
    names = ", ".join(f'"{it.column}"' for it in task._meta.concrete_fields if it.column != "id")
    key = "gen_random_uuid()" if IS_POSTGRES else "lower(hex(randomblob(16)))"
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS}) "  # noqa: S608 our own
            f"INSERT INTO taskcenter_task (id, {names}) SELECT {key}, {names} FROM taskcenter_task CROSS JOIN n"
        )
        cursor.execute(f"{'VACUUM ' * IS_POSTGRES}ANALYZE taskcenter_task")
    yield
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE taskcenter_task CASCADE" if IS_POSTGRES else "DELETE FROM taskcenter_task")


def test_after_flushall_what_waits_has_pointers_again_and_the_difference_is_told(redis_client: redis.Redis) -> None:
    here, there = [make_task().id for _ in range(3)], [make_task(queue="analysis").id]
    push(*here)
    push(*there, queue="analysis")
    redis_client.flushall()
    push(here[1])  # the first enqueue since then

    answer = told()
    assert answer["queues"]["default"] == {"waiting": 3, "more": False, "pointers": 1, "orphans": 0, "pushed": 2}
    assert answer["queues"]["analysis"] == {"waiting": 1, "more": False, "pointers": 0, "orphans": 0, "pushed": 1}
    assert sorted(listed()) == sorted(here)
    assert listed("analysis") == there
    assert said().splitlines()[-1] == "Nothing was different."


def test_it_prints_a_table(redis_client: redis.Redis) -> None:
    make_task()
    push(uuid.uuid4())
    assert said() == (
        "queue     waiting  pointers  orphans  missing\n"
        "default         1         1        1        1\n"
        "analysis        0         0        0        0\n"
        "1 orphans deleted, 1 pointers pushed.\n"
    )


def test_a_dry_run_says_the_same_and_writes_nothing(redis_client: redis.Redis) -> None:
    make_task()
    make_task(State.SCHEDULED, run_after=timezone.now() - timedelta(hours=1))
    push(uuid.uuid4(), make_task(State.COMPLETED).id)
    before = sorted(redis_client.keys("*"))  # type: ignore[type-var,arg-type]  # redis-py's async twin
    dry = told("--dry-run")
    assert sorted(redis_client.keys("*")) == before  # type: ignore[type-var,arg-type]  # as above
    assert Task.objects.filter(state="scheduled").count() == 1
    assert dry["queues"]["default"] == {"waiting": 1, "more": False, "pointers": 2, "orphans": 2, "pushed": 1}
    assert "2 orphans to delete, 1 pointers to push." in said("--dry-run")

    real = told()
    assert real["promoted"] == 1
    assert {**real["queues"]["default"], "waiting": 1, "pushed": 1, "pointers": 2} == dry["queues"]["default"]


def test_orphans_go_from_the_list_of_their_own_queue(redis_client: redis.Redis) -> None:
    live = make_task(queue="analysis")
    push(uuid.uuid4(), make_task(State.FAILED).id)
    push(uuid.uuid4(), live.id, uuid.uuid4(), queue="analysis")
    redis_client.rpush("rq:queue:analysis", "somebody-elses-job")
    assert TaskRecovery().delete_orphans() == 4
    assert redis_client.lrange("rq:queue:default", 0, -1) == []
    assert redis_client.lrange("rq:queue:analysis", 0, -1) == [
        pointers.pointer_id(live.id).encode(),
        b"somebody-elses-job",
    ]
    assert redis_client.keys("rq:job:task-*") == [f"rq:job:{pointers.pointer_id(live.id)}".encode()]


def test_a_hash_that_no_list_names_is_an_orphan_too(redis_client: redis.Redis) -> None:
    push(uuid.uuid4(), queue="analysis")
    redis_client.delete("rq:queue:analysis")
    assert {name: one["orphans"] for name, one in told()["queues"].items()} == {"default": 0, "analysis": 1}
    assert redis_client.keys("rq:job:*") == []


def test_a_pointer_that_stands_twice_is_counted_and_deleted_twice(redis_client: redis.Redis) -> None:
    gone = uuid.uuid4()
    push(gone, gone)
    assert TaskRecovery().delete_orphans() == 2
    assert listed() == []


def test_a_long_list_is_read_page_by_page(redis_client: redis.Redis) -> None:
    live = [make_task().id for _ in range(5)]
    push(*live[:2], *(uuid.uuid4() for _ in range(2500)), *live[2:], *(uuid.uuid4() for _ in range(700)))
    assert TaskRecovery().reconcile(dry_run=True).queues[0].orphans == 3200
    assert TaskRecovery().reconcile().queues[0].orphans == 3200
    assert listed() == live


def test_what_waits_is_woken_not_mirrored(redis_client: redis.Redis, crowd: None) -> None:
    """A queue is given `ENOUGH` pointers; what is read does not grow with what waits."""
    with CaptureQueriesContext(connection) as queries:
        [default, _] = TaskRecovery().reconcile().queues
    assert default == Difference("default", waiting=ENOUGH, more=True, pointers=0, orphans=0, pushed=ENOUGH)
    assert len(listed()) == ENOUGH
    assert len(queries) <= 4, queries.captured_queries
    for query in queries.captured_queries:
        assert_bounded(query["sql"])
    assert "1,000+" in said()

    redis_client.ltrim("rq:queue:default", 0, 599)
    assert TaskRecovery().push_missing_pointers() == 400, "a sweep fills up to the same number"
    assert TaskRecovery().push_missing_pointers() == 0


def assert_bounded(sql: str) -> None:
    """The statement reads through an index, and stops."""
    with connection.cursor() as cursor:
        if not IS_POSTGRES:
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
            plan = " ".join(row[-1] for row in cursor.fetchall())
            assert "SCAN taskcenter_task" not in plan, plan
            assert "TEMP B-TREE" not in plan, "it sorts"
            return
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}")
        [[plan]] = cursor.fetchall()
    for node in walk(plan[0]["Plan"]):
        assert node["Node Type"] not in {"Seq Scan", "Sort"}, sql
        assert node["Actual Rows"] <= ENOUGH + 1, sql
        assert node.get("Rows Removed by Filter", 0) <= ENOUGH, sql


def walk(node: Any) -> Iterator[Any]:
    yield node
    for child in node.get("Plans", ()):
        yield from walk(child)


def test_one_queue_alone(redis_client: redis.Redis) -> None:
    make_task()
    make_task(queue="analysis")
    assert list(told("--queue", "analysis")["queues"]) == ["analysis"]
    assert listed() == []


def test_of_another_queue_nothing_is_taken_away(redis_client: redis.Redis) -> None:
    gone = uuid.uuid4()
    push(gone)
    assert told("--queue", "analysis")["queues"]["analysis"]["orphans"] == 0
    assert listed() == [gone]
    assert redis_client.exists(f"rq:job:{pointers.pointer_id(gone)}")


def test_lost_tasks_are_not_its_business() -> None:
    task = make_task(State.PROCESSING, worker=make_worker(silent=3600))
    said()
    assert Task.objects.get(id=task.id).state == "processing"


@pytest.mark.parametrize("other", [("--task", str(uuid.UUID(int=7))), ("--older-than", "5")], ids=" ".join)
def test_what_does_not_go_together_is_said(other: tuple[str, str]) -> None:
    with pytest.raises(CommandError, match="leave out --task and --older-than"):
        said(*other)


def test_without_redis_it_ends_with_a_sentence(settings: Any) -> None:
    settings.RQ_QUEUES = {"default": {"URL": f"redis://127.0.0.1:{free_port()}/0"}}
    with pytest.raises(CommandError, match="Redis does not answer for queue 'default'"):
        said()


def test_the_async_twin_does_the_same(redis_client: redis.Redis) -> None:
    make_task()
    assert async_to_sync(TaskRecovery().areconcile)().queues[0].pushed == 1
