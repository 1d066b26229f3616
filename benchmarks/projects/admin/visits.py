"""`python -m benchmarks.projects.admin.visits ROWS`: fill the database, open each page here, say what it cost.

One JSON object a line: the page, its SQL statements (those of session and permissions included), the slowest of
them, the whole request and this process's CPU in ms; the least of several visits, which is what the machine's other
work leaves. EXPLAIN=1: the plan of the slowest goes to stderr. ONLY=text: pages with that in their names.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import django
from django.db import connection

VISITS = 5


class Clock:
    """Notes each statement and how long it took, its rows fetched."""

    def __init__(self) -> None:
        self.taken: list[tuple[float, str, Any]] = []

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        begun = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            self.taken.append((1000 * (time.perf_counter() - begun), sql, params))


def addresses() -> Iterator[tuple[str, str]]:
    """What an operator opens."""
    from taskcenter.models import Task  # noqa: PLC0415 after django.setup()

    tasks, base = Task.objects.order_by("-id"), "/admin/taskcenter/task/"
    failed, waiting = tasks.filter(state="failed")[0], tasks.filter(state="pending")[0]
    running = tasks.filter(state="processing")[0]
    queries = {
        "list": "",
        "list, last page": "p=200",
        "failed": "state=failed",
        "failed, 24 h": "state=failed&ended=1",
        "not finished": "state=live",
        "waiting": "state=waiting",
        "retrying": "state=retrying",
        "lost": "state=lost",
        "stalled": "state=stalled",
        "finished": "state=finished",
        "queue": "queue=mail",
        "queue of long ago": "queue=old",
        "queue and state": "queue=old&state=failed",
        "definition": "definition=benchmarks.projects.admin.tasks.draw",
        "definition and state": "definition=benchmarks.projects.admin.tasks.draw&state=failed",
        "made in 7 days": "created=7",
        "made in 7 days, failed": "created=7&state=failed",
        "with a report": "report=yes",
        "without a report, failed": "report=no&state=failed",
        "search: id": f"q={failed.pk}",
        "search: start of an id": f"q={failed.pk.hex[:14]}",
        "search: start of a title": "q=Import+sales+4999",
        "search: start of many titles": "q=import",
        "search: nothing": "q=no+such+title",
        "search: definition": "q=draw",
    }
    yield from ((name, f"{base}?{query}") for name, query in queries.items())
    for name, task in (("failed", failed), ("waiting", waiting), ("running", running)):
        yield f"task page, {name}", f"{base}{task.pk}/change/"
    yield "confirm one", f"{base}{failed.pk}/retry/"


def visited(client: Any, address: str) -> dict[str, float]:
    found: list[tuple[int, float, float, float]] = []
    for _ in range(VISITS + 1):  # the first one is not counted: templates are read, plans are made
        clock, begun, used = Clock(), time.perf_counter(), time.process_time()
        with connection.execute_wrapper(clock):
            response = client.get(address)
        spent = [1000 * (time.perf_counter() - begun), 1000 * (time.process_time() - used)]
        if response.status_code != 200:
            raise SystemExit(f"{address}: {response.status_code}")
        found.append((len(clock.taken), max(one[0] for one in clock.taken), spent[0], spent[1]))
    if os.environ.get("EXPLAIN"):
        _explain(address, max(clock.taken, key=lambda one: one[0]))
    queries, slowest, whole, cpu = zip(*found[1:], strict=True)
    return {"queries": max(queries), "slowest": min(slowest), "whole": min(whole), "cpu": min(cpu)}


def _explain(address: str, taken: tuple[float, str, Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS) {taken[1]}", taken[2])
        plan = "\n".join(row[0] for row in cursor.fetchall())
    print(f"--- {address}: {taken[0]:.1f} ms\n{taken[1][-600:]}\n{plan}", file=sys.stderr, flush=True)


def main() -> None:
    django.setup()
    from django.contrib.auth import get_user_model  # noqa: PLC0415 after django.setup()
    from django.test import Client  # noqa: PLC0415 as above

    from benchmarks.projects.admin.fill import fill  # noqa: PLC0415 as above
    from taskcenter.models import Task  # noqa: PLC0415 as above

    if not Task.objects.exists():
        fill(int(sys.argv[1]))
    operator, _ = get_user_model().objects.get_or_create(username="operator", is_staff=True, is_superuser=True)
    client = Client()
    client.force_login(operator)
    only = os.environ.get("ONLY", "")
    for name, address in ((name, address) for name, address in addresses() if only in name):
        print(json.dumps({"page": name, **visited(client, address)}), flush=True)


if __name__ == "__main__":
    main()
