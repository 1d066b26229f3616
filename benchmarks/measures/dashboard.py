"""The dashboard before a long table: milliseconds and queries per look, and what it costs to count the minutes.

`python -m benchmarks.measures.dashboard --tasks 5000000`. It stands by itself: what is measured is the site's own page,
on a PostgreSQL of its own that is filled by one INSERT … SELECT, with nobody working.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.servers import Postgres

__all__ = ["main"]

LOOKS = 7
WAITING = 50_000
"""The last so many tasks have yet to run."""

# Ids rise with time, as those of uuid7 do. One task in fifty failed, of a hundred kinds; they ended over seven days.
FILL = """
INSERT INTO taskcenter_task (id, definition, queue, priority, state, rev, attempt, failures, crashes, interrupted,
  max_attempts, max_crashes, created_at, started_at, attempted_at, finished_at, args, kwargs, metadata, error_type,
  error_message, fingerprint, progress_state, title, tags, limit_key, waits_for, code_version)
SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(n % 4096), 3, '0')
    || '8' || lpad(to_hex(n), 15, '0'))::uuid,
  'shop.tasks.parse', 'queue-' || n % 6, 0, state, 3, (state <> 'pending')::int, (state = 'failed')::int, 0, 0, 1, 3,
  at, ran, ran, CASE WHEN state <> 'pending' THEN at + ran_for END, '[]', '{{}}', '{{}}',
  CASE WHEN state = 'failed' THEN 'ValueError' ELSE '' END, '',
  CASE WHEN state = 'failed' THEN 'f' || n % 100 ELSE '' END, '{{}}', '', '[]', '', 0, ''
FROM (SELECT *, CASE WHEN state <> 'pending' THEN at END AS ran FROM (
  SELECT n, now() - interval '7 days' * (1 - n::float8 / {tasks}) - interval '1 minute' AS at,
    interval '1 second' * (0.02 + n % 37) AS ran_for,
    CASE WHEN n > {tasks} - {waiting} THEN 'pending' WHEN n % 50 = 0 THEN 'failed' ELSE 'completed' END AS state
  FROM generate_series(1, {tasks}) AS n) AS made) AS begun"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=500_000)
    tasks = parser.parse_args().tasks
    with _site():
        from django.core.management import call_command  # noqa: PLC0415 after the settings

        call_command("migrate", verbosity=0)
        print(f"{tasks:,} tasks, filled in {_seconds(lambda: _fill(tasks)):.0f} s")
        _count_minutes()
        for span in ("1h", "24h", "7d"):
            _look(span)


@contextmanager
def _site() -> Iterator[None]:
    directory = Path(tempfile.mkdtemp(prefix="taskcenter-bench-"))
    directory.chmod(0o711)
    server = Postgres(directory / "postgres")
    try:
        server.execute("CREATE DATABASE {name} OWNER bench", name="site")
        os.environ |= {
            "DATABASE_URL": f"postgres://bench@127.0.0.1:{server.port}/site",
            "DJANGO_SETTINGS_MODULE": "analysis.settings",
            "REDIS_URL": "redis://127.0.0.1:1/0",
            "DATA_DIR": str(directory),
            "SECRET_KEY": "of the benchmark",
            "ALLOWED_HOSTS": "testserver",
            "LOG_LEVEL": "ERROR",
        }
        import django  # noqa: PLC0415 after the settings

        logging.captureWarnings(capture=True)  # no folder of static files is not news here
        django.setup()
        yield
        django.db.connections.close_all()
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)


def _fill(tasks: int) -> None:
    from django.db import connection  # noqa: PLC0415 after the settings

    with connection.cursor() as cursor:
        cursor.execute(FILL.format(tasks=tasks, waiting=min(WAITING, tasks // 10)))
        cursor.execute("VACUUM ANALYZE taskcenter_task")


def _count_minutes() -> None:
    from taskcenter import minutes  # noqa: PLC0415 after the settings
    from taskcenter.models import Minute  # noqa: PLC0415 as above

    print(f"first count of 7 days: {_seconds(minutes.roll_up):.1f} s, {Minute.objects.count():,} rows")
    print(f"count of the newest minutes: {1000 * _seconds(minutes.roll_up):.0f} ms")


def _look(span: str) -> None:
    from django.contrib.auth import get_user_model  # noqa: PLC0415 after the settings
    from django.db import connection  # noqa: PLC0415 as above
    from django.test import Client  # noqa: PLC0415 as above
    from django.test.utils import CaptureQueriesContext  # noqa: PLC0415 as above

    user, _ = get_user_model().objects.get_or_create(username="root", is_staff=True, is_superuser=True)
    client = Client()
    client.force_login(user)
    address = f"/admin/taskcenter/dashboard/?range={span}"
    first = _seconds(lambda: client.get(address))
    times = [_seconds(lambda: client.get(address)) for _ in range(LOOKS)]
    begun = time.process_time()
    with CaptureQueriesContext(connection) as queries:
        client.get(address)
    cpu = time.process_time() - begun
    in_sql = sum(float(one["time"]) for one in queries.captured_queries)
    slowest = max(queries.captured_queries, key=lambda one: float(one["time"]))
    print(
        f"{span}: median {1000 * statistics.median(times):.0f} ms, fastest {1000 * min(times):.0f}, slowest "
        f"{1000 * max(times):.0f}, first {1000 * first:.0f}; Python's own {1000 * cpu:.0f} ms of CPU; "
        f"{len(queries)} queries in {1000 * in_sql:.0f} ms, the slowest {1000 * float(slowest['time']):.0f} ms: "
        f"{' '.join(slowest['sql'].split())[:100]}"
    )


def _seconds(do: Any) -> float:
    begun = time.perf_counter()
    do()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
