"""A claim costs the same among a million rows: it walks the claim index and stops."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from taskcenter.models import Task
from taskcenter.models.engine import Ended, Want, engine_of, own_connection, postgres, sqlite
from tests.factories import make_task

ROWS = 1_000_000
WAITING = 10_000

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def million(transactional_db: None) -> Iterator[None]:
    """A million finished rows, and ten thousand that wait in two queues; statistics are fresh."""
    if connection.vendor != "postgresql":
        pytest.skip("PostgreSQL's planner; SQLite's is asked below")
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
        copy(cursor, make_task(state="completed"), ROWS)
        copy(cursor, make_task(), WAITING, queue="(ARRAY['default', 'analysis'])[1 + n %% 2]", priority="n %% 11")
        cursor.execute("VACUUM ANALYZE taskcenter_task")
    yield
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE taskcenter_task CASCADE")


def test_the_claim_index_is_walked_however_many_are_claimed(million: None) -> None:
    own = own_connection()
    try:
        engine = engine_of(own, is_own=True)
        assert isinstance(engine, postgres.PostgresEngine)
        for queues in (("default",), ("default", "analysis")):
            for limit in (1, 64):
                want = Want(queues, ("tests.tasks.sample", "another.one"), uuid.uuid4(), limit)
                claimed = engine.turn((), want).claimed
                assert len(claimed) == limit
                ended = [Ended(row, "1") for row in claimed]
                assert len(engine.turn(ended, want).landed) == limit
                for plan in (plan_of(own, engine, want, []), plan_of(own, engine, want, ended)):
                    nodes = list(walk(plan))
                    on_tasks = [node for node in nodes if node.get("Relation Name") == "taskcenter_task"]
                    assert {"Seq Scan"}.isdisjoint(node["Node Type"] for node in on_tasks)
                    assert any(node.get("Index Name") == "taskcenter_task_claim" for node in nodes)
                    looked_at = sum(node.get("Rows Removed by Filter", 0) for node in on_tasks)
                    assert looked_at < 2 * limit + 100, "it filtered rows that an index should have left out"
    finally:
        own.close()


def test_sqlite_walks_it_too() -> None:
    if connection.vendor != "sqlite":
        pytest.skip("SQLite's planner; PostgreSQL's is asked above")
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN QUERY PLAN " + sqlite._PICK.format(names="'one', 'two'").replace("?", "'x'"))
        plan = " ".join(row[-1] for row in cursor.fetchall())
    assert "USING INDEX taskcenter_task_claim" in plan
    assert "TEMP B-TREE" not in plan, "it sorts"


def copy(cursor: Any, model: Task, count: int, **otherwise: str) -> None:
    """Write rows as they are to be. An UPDATE would be planned by the statistics of an empty table, and take hours."""
    values = {name: f't."{name}"' for name in (field.column for field in Task._meta.concrete_fields)}
    values |= {"id": "uuidv7()", **otherwise}
    cursor.execute(
        f"INSERT INTO taskcenter_task ({', '.join(values)}) SELECT {', '.join(values.values())} "  # noqa: S608 names of our own columns
        "FROM taskcenter_task t, generate_series(1, %s) n WHERE t.id = %s",
        [count, model.id],
    )


def plan_of(own: Any, engine: Any, want: Want, ended: list[Ended]) -> Any:
    """The generic plan, which is what a prepared statement runs, as it ran."""
    shape, values = postgres._finishing(ended)
    now = timezone.now().isoformat()
    values.update(postgres._wish(want, now), now=now)
    sql = postgres.statement(postgres._wishing(shape, want))
    names = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", sql)))
    for number, name in enumerate(names, 1):
        sql = sql.replace(f"%({name})s", f"${number}")
    with own.cursor() as cursor:
        cursor.execute("BEGIN")
        try:
            cursor.execute(f"PREPARE turn AS {sql}")
            marks = ", ".join(["%s"] * len(names))
            cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE turn({marks})", [values[name] for name in names])
            [[plan]] = cursor.fetchall()
        finally:
            cursor.execute("ROLLBACK")
            cursor.execute("DEALLOCATE ALL")
    return plan[0]["Plan"]


def walk(node: Any) -> Iterator[Any]:
    yield node
    for child in node.get("Plans", ()):
        yield from walk(child)
