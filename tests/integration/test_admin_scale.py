"""The admin among hundreds of thousands of tasks: few statements, none of which walks the table.

The pages and the rows are those of `make bench`, which measures them at five million.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from benchmarks.projects.admin.fill import fill
from benchmarks.projects.admin.visits import addresses
from taskcenter.models import Task
from taskcenter.progress import standstill
from tests.factories import make_staff, make_task

ROWS = 300_000
LOOKED_AT = 60_000
"""A list counts to 10,000; what one row in four is finds those among 40,000."""
STATEMENTS = 8
"""Those for the session and its user included."""
EXPLAINED = 9
"""Why a task waits is asked of what it waits for."""

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def many(transactional_db: None) -> Iterator[None]:
    if connection.vendor != "postgresql":
        pytest.skip("PostgreSQL's planner")
    fill(ROWS)
    yield
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE taskcenter_task CASCADE")


@pytest.fixture
def root() -> Client:
    client = Client()
    client.force_login(make_staff("root", is_superuser=True))
    return client


def test_no_page_asks_much_or_walks_the_table(many: None, root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standstill, "KNOWN_FOR", 3600.0)
    standstill.forget()
    faults = []
    for name, address in addresses():
        root.get(address)  # the usual pace of a definition is remembered for a while
        with CaptureQueriesContext(connection) as captured:
            assert root.get(address).status_code == 200
        if len(captured) > (EXPLAINED if name == "task page, waiting" else STATEMENTS):
            faults.append(f"{name}: {len(captured)} statements")
        faults += [f"{name}: looks at {rows:,} rows: {sql}" for sql, rows in walks(captured)]
    assert faults == []


def test_failures_of_long_ago_are_not_walked_for_those_of_one_definition(many: None) -> None:
    failed = Task.objects.filter(state="failed").order_by("-id")
    of_one = failed.filter(definition="benchmarks.projects.admin.tasks.draw")[:50]
    assert "taskcenter_task_failed_at" not in of_one.explain()
    assert "taskcenter_task_failed_at" in failed.failed_since(timezone.now() - timedelta(minutes=1)).explain()


def walks(captured: CaptureQueriesContext) -> Iterator[tuple[str, float]]:
    for query in captured.captured_queries:
        sql = query["sql"]
        if not sql.startswith(("SELECT", "(SELECT")) or "taskcenter_task" not in sql:
            continue
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}")
            [[plan]] = cursor.fetchall()
        rows = looked_at(plan[0]["Plan"])
        if rows > LOOKED_AT:
            yield sql, rows


def looked_at(node: dict[str, Any]) -> float:
    """Rows of tasks that the plan has touched, those included that it threw away."""
    own = node["Actual Rows"] + node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    here = own * node["Actual Loops"] if node.get("Relation Name") == "taskcenter_task" else 0
    if node["Node Type"] == "Bitmap Index Scan" and node["Index Name"].startswith("taskcenter_task_"):
        here = node["Actual Rows"] * node["Actual Loops"]
    return float(here + sum(map(looked_at, node.get("Plans", ()))))


def test_an_unfiltered_list_is_not_counted(many: None, root: Client) -> None:
    assert "about 300,000 tasks" in root.get("/admin/taskcenter/task/").content.decode()
    assert "10,000+ tasks" in root.get("/admin/taskcenter/task/", {"state": "finished"}).content.decode()


def test_pages_of_one_queue_are_as_of_any_list(root: Client) -> None:
    for number in range(120):
        make_task("completed" if number % 3 else "pending", title=f"Task {number:03}", queue="analysis")
    make_task(queue="default", title="Elsewhere")
    titles = []
    for page in (1, 2, 3):
        text = root.get("/admin/taskcenter/task/", {"queue": "analysis", "p": page}).content.decode()
        titles += [f"Task {number:03}" for number in range(119, -1, -1) if f">Task {number:03}<" in text]
        assert "Elsewhere" not in text
    assert titles == [f"Task {number:03}" for number in range(119, -1, -1)]


def test_the_indexes_of_the_admin_go_and_come_again() -> None:
    names = {"taskcenter_task_failed_at"} | ({"taskcenter_task_title"} if connection.vendor == "postgresql" else set())
    try:
        call_command("migrate", "taskcenter", "0005", verbosity=0)
        assert names.isdisjoint(indexes())
    finally:
        call_command("migrate", "taskcenter", verbosity=0)
    assert names <= indexes()


def indexes() -> set[str]:
    with connection.cursor() as cursor:
        return set(connection.introspection.get_constraints(cursor, Task._meta.db_table))
