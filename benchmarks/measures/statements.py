"""SQL statements and Redis commands per task, as the servers count them.

SQL is counted by pg_stat_statements (BEGIN and COMMIT are statements too; those inside a function are not), for the
role that the measured use. Redis commands are those of INFO commandstats, which counts commands inside MULTI and Lua.
"""

from __future__ import annotations

from typing import Any

from benchmarks.measures.backlog import fill
from benchmarks.stand import Stand

__all__ = ["statements"]

SINGLY = 100
"""Tasks enqueued one by one, to count what that costs."""
NOT_WORK = {"cmdstat_info", "cmdstat_config|resetstat"}
"""What counting itself sends."""


def statements(stand: Stand) -> dict[str, float]:
    """Per task: sql and redis to run it; enqueue_sql and enqueue_redis to enqueue it alone."""
    count = max(100, stand.runner.tasks // 10)
    stand.house.postgres.count_statements(on=True)
    try:
        with stand.frozen():
            _reset(stand)
            stand.ask("one_by_one", kind="noop", count=SINGLY)
            enqueued = _read(stand, SINGLY)
            target = stand.done() + SINGLY + count
            fill(stand, "noop", count)
            _reset(stand)
        stand.wait_done(target)
        run = _read(stand, SINGLY + count)
    finally:
        stand.house.postgres.count_statements(on=False)
    return {**run, **{f"enqueue_{name}": number for name, number in enqueued.items()}}


def _reset(stand: Stand) -> None:
    stand.house.postgres.execute("SELECT pg_stat_statements_reset()")
    stand.house.valkey.client.config_resetstat()
    stand.looks = 0


def _read(stand: Stand, tasks: int) -> dict[str, float]:
    query = "SELECT coalesce(sum(calls), 0)::int FROM pg_stat_statements WHERE userid = 'bench'::regrole"
    with stand.house.postgres.connect() as connection:
        sql = connection.execute(query).fetchone() or (0,)
    counted: dict[str, dict[str, Any]] = stand.house.valkey.client.info("commandstats")
    commands = sum(it["calls"] for name, it in counted.items() if name not in NOT_WORK)
    return {"sql": sql[0] / tasks, "redis": (commands - stand.looks) / tasks}
